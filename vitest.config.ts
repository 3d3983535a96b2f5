import { defineConfig } from "vitest/config";
import { SlowestFirst } from "./test/slowest-first.ts";

const BROKER = ["./test/global/rabbitmq.ts"];

export default defineConfig({
  test: {
    pool: "forks",
    // More than two cores: half of a test is waiting, for RabbitMQ's disk, a lease, a retry.
    maxWorkers: 3,
    sequence: { sequencer: SlowestFirst },
    // Only what hangs runs into them, however slow the machine.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
    projects: [
      project("unit"),
      project("contract", { globalSetup: BROKER }),
      project("integration", { globalSetup: BROKER }),
      project("faults", { globalSetup: BROKER }),
      project("sim"),
      project("infra", { globalSetup: [...BROKER, "./test/global/sst.ts"] }),
      project("package", { globalSetup: [...BROKER, "./test/global/package.ts"] }),
      // One machine holds all the containers: one file after the other.
      project("docker", { globalSetup: ["./test/global/docker.ts"], fileParallelism: false }),
    ],
  },
});

function project(kind: string, more: { globalSetup?: string[]; fileParallelism?: boolean } = {}) {
  return { extends: true as const, test: { name: kind, include: [`test/${kind}/**/*.test.ts`], ...more } };
}
