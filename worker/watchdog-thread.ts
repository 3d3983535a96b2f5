import { writeSync } from "node:fs";
import { workerData } from "node:worker_threads";

const { lastGood, limitMs } = workerData as { readonly lastGood: BigInt64Array; readonly limitMs: number };

setInterval(
  () => {
    const ageMs = Number(process.hrtime.bigint() - Atomics.load(lastGood, 0)) / 1e6;
    if (ageMs < limitMs) return;
    // Straight to the file descriptor: the main thread, which owns the streams, may never run again.
    writeSync(2, `${JSON.stringify({ level: 60, msg: "watchdog: the lease was not renewed in time, this task ends", ageMs: Math.round(ageMs) })}\n`);
    process.kill(process.pid, "SIGKILL");
  },
  Math.max(20, Math.min(250, limitMs / 20)),
);
