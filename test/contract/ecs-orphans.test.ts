import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { alive } from "../fixture/alive.ts";

/** A host process that starts one task and says where it logs; it is then ended in a way that it can't react to. */
const HOST = `
import { startEcs } from "${new URL("../../local/ecs/endpoint.ts", import.meta.url).href}";
import { ECSClient, RunTaskCommand } from "@aws-sdk/client-ecs";
const [dir] = process.argv.slice(1);
const script = 'sleep 600 & echo "$$ $!"; wait';
const ecs = await startEcs({
  cluster: "c",
  taskDefinitions: [{ family: "t", command: "/bin/sh", args: ["-c", script], env: { PATH: "/usr/bin:/bin" }, cwd: dir, logDir: dir, stopTimeoutMs: 1000 }],
});
const client = new ECSClient({ endpoint: ecs.endpoint, region: "local", credentials: { accessKeyId: "x", secretAccessKey: "x" } });
await client.send(new RunTaskCommand({ cluster: "c", taskDefinition: "t" }));
process.stdout.write(ecs.tasks[0].logFile + "\\n");
setInterval(() => {}, 1000);
`;

it("tasks, and what they started, don't outlive a host that is ended by SIGKILL", async () => {
  const dir = await mkdtemp(join(tmpdir(), "roger-ecs-"));
  const host = spawn(process.execPath, ["--input-type=module", "-e", HOST, dir], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const [line] = (await once(host.stdout, "data")) as [Buffer];
    const pids = await vi.waitFor(async () => {
      const found = (await readFile(line.toString().trim(), "utf8")).trim().split(" ").map(Number);
      expect(found).toHaveLength(2);
      return found;
    }, WAIT);
    expect(pids.filter(alive)).toEqual(pids);
    host.kill("SIGKILL");
    await vi.waitFor(() => expect(pids.filter(alive)).toEqual([]), WAIT);
  } finally {
    host.kill("SIGKILL");
    await rm(dir, { recursive: true });
  }
});

const WAIT = { timeout: 60_000, interval: 50 };
