import { defineConfig } from "vitest/config";
import { SlowestFirst } from "./test/slowest-first.ts";

const BROKER = ["./test/global/rabbitmq.ts"];

export default defineConfig({
  test: {
    pool: "forks",
    maxWorkers: 2,
    sequence: { sequencer: SlowestFirst },
    testTimeout: 30_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
    projects: [
      project("unit"),
      project("contract", { globalSetup: BROKER }),
      project("integration", { globalSetup: BROKER }),
      // They kill brokers and processes, and mostly wait for leases to run out: side by side, more of them than there are cores.
      project("faults", { globalSetup: BROKER, maxWorkers: 3 }),
      project("sim"),
      project("infra", { globalSetup: [...BROKER, "./test/global/sst.ts"] }),
      project("package", { globalSetup: [...BROKER, "./test/global/package.ts"] }),
      // One machine holds all the containers: one file after the other.
      project("docker", { globalSetup: ["./test/global/docker.ts"], fileParallelism: false }),
    ],
  },
});

function project(kind: string, more: { globalSetup?: string[]; fileParallelism?: boolean; maxWorkers?: number } = {}) {
  return { extends: true as const, test: { name: kind, include: [`test/${kind}/**/*.test.ts`], ...more } };
}
