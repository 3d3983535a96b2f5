import { describe, expect, it } from "vitest";
import { InvalidInput } from "../../core/contract/errors.ts";
import { localSettings, ROOT } from "../../local/environment.ts";
import { Progress } from "../../local/progress.ts";
import { Checks } from "../../local/tour/world.ts";

describe("settings of the local cloud", () => {
  it("are total without any option", () => {
    expect(localSettings([], {})).toEqual({
      port: 3000,
      portMayMove: true,
      jobs: `${ROOT}jobs/index.ts`,
      tasks: { min: 1, max: 3 },
      slots: 10,
      dataDir: undefined,
      amqpUrl: undefined,
      dynamoEndpoint: undefined,
      inherited: {},
    });
  });

  it("come from options, else from the environment; paths are relative to where npm was called", () => {
    const env = {
      ROGER_PORT: "4000",
      ROGER_SLOTS: "5",
      ROGER_TASKS: "4",
      ROGER_DATA: "state",
      INIT_CWD: "/home/me",
      AWS_PROFILE: "prod",
      MY_DB: "x",
    };
    expect(localSettings(["--port", "0", "--tasks=0..2"], env)).toMatchObject({
      port: 0,
      portMayMove: false,
      tasks: { min: 0, max: 2 },
      slots: 5,
      dataDir: "/home/me/state",
      inherited: { MY_DB: "x" },
    });
    expect(localSettings([], env)).toMatchObject({ port: 4000, tasks: { min: 4, max: 4 } });
    expect(localSettings([], env).inherited).not.toHaveProperty("AWS_PROFILE");
  });

  it.each([
    [["--port", "70000"], {}, "--port"],
    [["--port"], {}, "--port"],
    [["--slots", "0"], {}, "--slots"],
    [["--tasks", "3..1"], {}, "--tasks"],
    [["--tasks", "0"], {}, "--tasks"],
    [["--tasks", "many"], {}, "--tasks"],
    [["--jobs", "no-such-file.ts"], {}, "--jobs"],
    [["--verbose"], {}, "--verbose"],
    [["acme"], {}, "arguments"],
    [[], { ROGER_PORT: "-1" }, "ROGER_PORT"],
    [[], { ROGER_AMQP_URL: "http://127.0.0.1" }, "ROGER_AMQP_URL"],
    [[], { AWS_ENDPOINT_URL_DYNAMODB: "8000" }, "AWS_ENDPOINT_URL_DYNAMODB"],
  ])("refuse %j with %j, naming %s", (argv, env, field) => {
    const refused = () => localSettings(argv, env);
    expect(refused).toThrow(InvalidInput);
    expect(refused).toThrow(expect.objectContaining({ field }));
  });
});

describe("progress", () => {
  const at = (isTerminal: boolean) => {
    const shown: string[] = [];
    let now = 0;
    const screen = {
      isTerminal: () => isTerminal,
      print: (text: string) => void shown.push(text),
      redraw: (line: string) => void shown.push(`~${line}`),
    };
    const progress = new Progress(screen, { now: () => now, monotonic: () => now });
    return { progress, shown, wait: (ms: number) => (now += ms) };
  };

  it("redraws a bar on a terminal", () => {
    const { progress, shown } = at(true);
    progress.bar({ done: 1, total: 2, note: "half" });
    progress.bar({ done: 2, total: 2, note: "whole" });
    expect(shown).toEqual([`~  ${"█".repeat(12)}${"░".repeat(12)} 1 of 2  half`, `~  ${"█".repeat(24)} 2 of 2  whole`]);
  });

  it("prints a line every few seconds elsewhere", () => {
    const { progress, shown, wait } = at(false);
    for (let done = 0; done < 100; done++) {
      progress.bar({ done, total: 100, note: "" });
      wait(100);
    }
    expect(shown.map((line) => line.trim())).toEqual(["0 of 100", "50 of 100"]);
  });
});

it("checks remember what differed, and what was found instead", () => {
  const checks = new Checks();
  checks.that(true, "the sky is up");
  checks.that(false, "grass is green", { color: "brown" });
  expect(checks).toMatchObject({ right: ["the sky is up"], wrong: ['grass is green (found: {"color":"brown"})'] });
});
