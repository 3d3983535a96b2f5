import { expect, it } from "vitest";
import { DEFAULT_TIMINGS } from "../../core/contract/limits.ts";
import { runId } from "../../core/keys/runs.ts";
import { applyCommand } from "../../core/partition/commands.ts";
import type { TaskReport } from "../../core/partition/task-store.ts";
import { virtualClock } from "../../testing/clock.ts";
import { Reporter, type ReporterOptions } from "../../worker/reporter.ts";
import { Run } from "../../worker/run.ts";

const rows = Array.from({ length: 6 }, (_, i) => applyCommand(`p${i}`, undefined, { type: "start", pools: { default: { default: 1 } } }));

/** The next report of a task that is told what RabbitMQ answers, and who else there is. */
async function reportOf(options: {
  readonly depth?: (name: string) => Promise<number | undefined>;
  readonly connected?: boolean;
  readonly othersConnected?: boolean;
  readonly owns?: (duty: string) => boolean;
  readonly running?: readonly Run[];
}): Promise<{ readonly report: TaskReport; readonly asked: readonly string[]; readonly troubles: readonly unknown[] }> {
  const { depth = async () => 0, connected = true, othersConnected = false, owns = () => true, running = [] } = options;
  const clock = virtualClock();
  const asked: string[] = [];
  const troubles: unknown[] = [];
  const reporter: { current?: Reporter } = {};
  const report = await new Promise<TaskReport>((resolve) => {
    reporter.current = new Reporter({
      boot: "me",
      pool: "default",
      slots: 4,
      arn: undefined,
      tasks: { report: async (told: TaskReport) => resolve(told) },
      admin: {
        depth: async (name: string) => {
          asked.push(name);
          clock.advance(4_000);
          return depth(name);
        },
      },
      watch: { all: () => rows.values(), applied: [1] },
      roster: { owns: (duty: string) => owns(duty), othersConnected: () => othersConnected },
      workforce: {
        rested: async () => undefined,
        queues: () => [{ partition: "p0", worker: { queue: "default", share: 1, intake: { running: new Set(running) } } }],
        partitions: new Map(),
        running: () => [],
      },
      turns: { busy: 0 },
      clock,
      timings: DEFAULT_TIMINGS,
      emit: (event: unknown) => void troubles.push(event),
      brokerConnected: () => connected,
    } as unknown as ReporterOptions);
    void reporter.current.start();
  });
  await reporter.current?.stop();
  return { report, asked, troubles };
}

it("tells the queues that wait, and leaves idle and missing ones out", async () => {
  const answers = new Map<string, number | undefined>([
    ["p0-default", 7],
    ["p1-default", 0],
  ]);
  const { report, asked } = await reportOf({ depth: async (name) => answers.get(name), owns: (duty) => /p[012]-/.test(duty) });
  expect(asked).toEqual(["p0-default", "p1-default", "p2-default"]);
  expect(report.queues).toEqual([{ partition: "p0", key: "default/default", share: 0, running: 0, ready: 7 }]);
  expect(report.counted).toBe(true);
});

it("asks nothing without RabbitMQ, and says whether anybody counts", async () => {
  const alone = await reportOf({ connected: false });
  expect([alone.asked, alone.report.counted, alone.report.queues]).toEqual([[], false, []]);
  const beside = await reportOf({ connected: false, othersConnected: true });
  expect([beside.asked, beside.report.counted]).toEqual([[], true]);
});

it("tells a queue that gave no answer as uncounted, and reports all the same", async () => {
  const { report, troubles } = await reportOf({
    depth: (name) => (name === "p1-default" ? Promise.reject(new Error("no majority")) : Promise.resolve(3)),
    owns: (duty) => /p[01]-/.test(duty),
  });
  expect(report.queues.map(({ partition, ready, uncounted }) => [partition, ready, uncounted])).toEqual([
    ["p0", 3, undefined],
    ["p1", undefined, true],
  ]);
  expect(troubles).toMatchObject([{ doing: "counting messages" }]);
});

it("counts no longer than until the next report is due: what is left is uncounted", async () => {
  const { report, asked } = await reportOf({ depth: async () => 1 });
  expect(asked).toHaveLength(4);
  expect(report.queues.filter(({ uncounted }) => uncounted)).toHaveLength(2);
});

it("names each run, and how far its job had come", async () => {
  const run = new Run({ delivery: undefined as never, receivedAt: 0, startedAt: 5_000, makeLog: () => undefined as never });
  run.decoded({ v: 1, id: "j", name: "greet", args: {}, partition: "p0", queue: "default", attempt: 4, attempts_before: 3, enqueued_at: 1_000 });
  const { report } = await reportOf({ running: [run] });
  const job = { id: "j", name: "greet", partition: "p0", queue: "default", attempt: 1, startedAt: 5_000 };
  expect(report.running).toEqual([{ ...job, run: runId("me", run), stage: { enqueuedAt: 1_000, attempt: 4 } }]);
});
