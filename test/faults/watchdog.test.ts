import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { expect, it, onTestFinished } from "vitest";

it("the watchdog kills a blocked process though nobody reads its log any more", async () => {
  const script = new URL("../fixture/blocked-process.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  child.stderr.destroy();
  const ended = once(child, "exit");
  await once(createInterface(child.stdout), "line");
  child.stdout.destroy();
  expect(await ended).toEqual([null, "SIGKILL"]);
});
