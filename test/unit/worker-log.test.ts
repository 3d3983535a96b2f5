import { expect, it } from "vitest";
import type { Delivery } from "../../core/job/broker.ts";
import { jobLog, logBroker, logEvents, openLog } from "../../worker/log.ts";
import { Run } from "../../worker/run.ts";

/** A log whose lines are kept. */
function kept(level = "info") {
  const lines: Record<string, unknown>[] = [];
  return { lines, logger: openLog(level, { write: (line) => void lines.push(JSON.parse(line)) }) };
}

it("says what an Error says, wherever it stands", () => {
  const { lines, logger } = kept();
  const error = new TypeError("no connection");
  logBroker(logger)({ kind: "connect_failed", connection: "c", error });
  logEvents(logger)({ type: "trouble", doing: "pumping", error });
  const run = new Run({ delivery: {} as Delivery, receivedAt: 0, startedAt: 0, makeLog: (made) => jobLog(logger, made) });
  run.decoded({ v: 1, id: "job-1", name: "x", args: {}, partition: "acme", queue: "default", attempt: 1, enqueued_at: 1 });
  run.log.error("could not send", { error, err: error, thrown: "text" });
  const said = { name: "TypeError", message: "no connection", stack: expect.stringContaining("worker-log.test.ts") };
  expect(lines).toMatchObject([
    { level: "warn", msg: "broker: connect failed", connection: "c", error: said },
    { level: "warn", msg: "trouble", doing: "pumping", error: said },
    { level: "error", msg: "could not send", job: { id: "job-1" }, error: said, err: said, thrown: "text" },
  ]);
});

it("tells what is in order as info, and what is below the level not at all", () => {
  const { lines, logger } = kept();
  logBroker(logger)({ kind: "queue_created", brokerQueue: "acme-default" });
  const quiet = kept("error");
  logBroker(quiet.logger)({ kind: "connected", connection: "c" });
  expect(lines).toMatchObject([{ level: "info", msg: "broker: queue created", brokerQueue: "acme-default" }]);
  expect(quiet.lines).toEqual([]);
});
