import { workerData } from "node:worker_threads";

const { lastGood, limitMs } = workerData as { readonly lastGood: BigInt64Array; readonly limitMs: number };

setInterval(
  () => {
    const ageMs = Number(process.hrtime.bigint() - Atomics.load(lastGood, 0)) / 1e6;
    if (ageMs < limitMs) return;
    // Not a word first: a log that is closed or full throws or blocks, and nothing may keep the process alive now.
    // ECS shows exit code 137, and a peer reports this task dead.
    process.kill(process.pid, "SIGKILL");
  },
  Math.max(20, Math.min(250, limitMs / 20)),
);
