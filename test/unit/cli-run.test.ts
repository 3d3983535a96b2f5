import { describe, expect, it } from "vitest";
import { run, type Surroundings } from "../../cli/run.ts";
import { table } from "../../cli/table.ts";
import { ApiProblem } from "../../client/api.ts";

function around(change: Partial<Surroundings> = {}) {
  const out: string[] = [];
  const err: string[] = [];
  const surroundings: Surroundings = {
    version: "1.2.3",
    apiUrl: () => "http://127.0.0.1:9",
    readStdin: async () => "",
    print: (lines) => out.push(...lines),
    printError: (line) => err.push(line),
    ...change,
  };
  return { out, err, surroundings };
}

describe("the command line", () => {
  it.each([[[]], [["help"]], [["--help"]], [["-h"]]])("%j shows every command", async (argv) => {
    const { out, surroundings } = around();
    expect(await run(argv, surroundings)).toBe(0);
    const names = [
      "start",
      "reconfigure",
      "safe-stop",
      "stop",
      "pause",
      "resume",
      "enqueue",
      "partitions",
      "tasks",
      "jobs",
      "job",
      "explain",
      "cancel",
      "buried",
      "peek",
      "purge",
      "delete",
    ];
    for (const name of names) expect(out.join("\n")).toMatch(new RegExp(`^  ${name} `, "m"));
  });

  it.each([
    ["help", "enqueue"],
    ["enqueue", "--help"],
  ])("%s %s shows usage, options and examples", async (...argv) => {
    const { out, surroundings } = around();
    expect(await run(argv, surroundings)).toBe(0);
    expect(out[0]).toBe("Usage: roger enqueue <partition> <job name> [<args>|-] [options]");
    expect(out.join("\n")).toContain("--delay <seconds>");
    expect(out.join("\n")).toContain("Examples:\n  roger enqueue acme hash-file");
  });

  it.each([[["--version"]], [["tasks", "--version"]]])("%j shows the version", async (argv) => {
    const { out, surroundings } = around();
    expect([await run(argv, surroundings), out]).toEqual([0, ["1.2.3"]]);
  });

  it.each([
    [["strat", "acme"], 'there is no command "strat"'],
    [["help", "strat"], 'there is no command "strat"'],
    [["--json", "tasks"], "the command comes first"],
    [["start"], "usage: roger start <partition>"],
    [["stop", "acme", "globex"], "usage: roger stop <partition>"],
    [["stop", "acme", "--force"], "Unknown option '--force'"],
    [["stop", "acme", "--wait"], "argument missing"],
    [["stop", "acme", "--wait", "soon"], '--wait: "soon" is no number'],
    [["reconfigure", "acme"], "name each queue and its max_workers, as in default=10"],
    [["enqueue", "acme", "greet", "--delay", "-1"], "argument is ambiguous. Did you forget"],
    [["jobs", "acme", "nap", "--state", "parked"], "--state is for lists"],
    [["partitions", "acme", "--all"], "--all is for lists"],
    [["start", "acme", "default"], '"default" is not <queue>=<max_workers>'],
    [["start", "acme", "default=-1"], '"default=-1" is not <queue>=<max_workers>'],
    [["start", "acme", "default=1", "mail=2", "default=3"], '"default" is named twice'],
    [["start", "acme", "default=1", "--pool", "default:default=2"], '"default:default" is named twice'],
    [["reconfigure", "acme", "--pool", "big:video=1", "--pool", "big:video=2"], '"big:video" is named twice'],
    [["start", "acme", "--pool", "default=1"], "--pool"],
    [["enqueue", "acme", "greet", "{"], "args: not JSON"],
    [["enqueue", "acme", "greet", "{}", "--id"], "argument missing"],
    [["job", "acme"], "usage: roger job <partition> <job id>"],
    [["explain", "acme", "a", "b"], "usage: roger explain <partition> <job id>"],
    [["cancel", "acme"], "usage: roger cancel <partition> <job id>"],
    [["buried"], "usage: roger buried <partition>"],
    [["buried", "acme", "revive"], '"revive" is not list, show, retry or delete'],
    [["buried", "acme", "toString"], '"toString" is not list'],
    [["buried", "acme", "list", "x"], "buried list takes no job id"],
    [["buried", "acme", "show"], "buried show takes a job id"],
    [["buried", "acme", "retry"], "buried retry takes a job id or --all"],
    [["buried", "acme", "retry", "x", "--all"], "a job id or --all, not both"],
    [["buried", "acme", "retry", "x", "--name", "greet"], "--name goes with --all"],
    [["buried", "acme", "delete"], "buried delete takes a job id"],
    [["tasks", "--api", "nowhere"], '--api: "nowhere" is no http(s) URL'],
  ])("%j is a usage error", async (argv, message) => {
    const { out, err, surroundings } = around();
    expect(await run(argv, surroundings)).toBe(2);
    expect(err).toEqual([expect.stringContaining(message)]);
    expect(out).toEqual([]);
  });
});

it.each([
  ["unknown_partition", 1, "hint: roger partitions lists those"],
  ["unreachable", 3, "hint: is it running?"],
  ["forbidden", 1, "hint: ROGER_API_TOKEN says who calls; else AWS credentials"],
] as const)("says what to do about %s", async (code, exit, hint) => {
  const refuses = () => {
    throw new ApiProblem({ code, detail: "no" });
  };
  const { err, surroundings } = around({ apiUrl: refuses });
  expect(await run(["tasks"], surroundings)).toBe(exit);
  expect(err).toEqual([`error: no (${code})`, expect.stringContaining(hint)]);
});

describe("tables", () => {
  it("align words to the left and numbers to the right, and show what is not known as -", () => {
    const rows = [
      ["default", 10, null],
      ["mail", 2, 345],
    ] as const;
    expect(table(["QUEUE", "MAX", "READY"], rows, "none")).toEqual(["QUEUE    MAX  READY", "default   10      -", "mail       2    345"]);
    expect(table(["QUEUE"], [], "no queues")).toEqual(["no queues"]);
  });

  it("let no job's text command the terminal", () => {
    expect(table(["WHAT"], [["a\u001b[31mred\u001b[0m\nline"]], "")).toEqual(["WHAT", "a [31mred [0m line"]);
  });
});
