import { runWorker } from "./run-worker.ts";

/** The ECS process: one task, with the jobs that `ROGER_JOBS` names. Ends with 0 after a graceful stop, 1 when it could not start or lost its lease. */
await runWorker();
