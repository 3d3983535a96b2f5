import { runWorker } from "roger-serverless/worker";

await runWorker({ jobs: new URL("./jobs/index.ts", import.meta.url) });
