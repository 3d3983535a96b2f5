import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { BrokerUnavailable } from "../../core/contract/errors.ts";
import type { OutgoingJob, Published } from "../../core/job/broker.ts";
import { PATIENCE_MS, PatientPublisher, QueueHeldBack } from "../../worker/patient-publisher.ts";

const DEADLINE_MS = 10_000;

/** RabbitMQ with queues that can't confirm: a publish to one fails at the deadline. */
function setUp() {
  const stuck = new Set<string>();
  const asked: string[] = [];
  const broker = { connected: true };
  let held = 0;
  const publisher = {
    async publish({ brokerQueue }: OutgoingJob): Promise<Published> {
      asked.push(brokerQueue);
      if (!stuck.has(brokerQueue)) return "queued";
      await new Promise((resolve) => setTimeout(resolve, DEADLINE_MS));
      throw new BrokerUnavailable("no confirm");
    },
  };
  const clock = { now: () => Date.now(), monotonic: () => performance.now() };
  const patient = new PatientPublisher({ publisher, clock, connected: () => broker.connected });
  const publish = (brokerQueue: string): Promise<Published | "failed" | number> =>
    patient.publish({ brokerQueue, partition: "acme", id: "1", body: "{}" }).catch((error: unknown) => {
      if (!(error instanceof QueueHeldBack)) return "failed";
      held += 1;
      return error.retryMs;
    });
  return { stuck, asked, broker, publish, held: () => held };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("PatientPublisher", () => {
  it("lets healthy queues be", async () => {
    const { publish, asked } = setUp();
    expect(await Promise.all([publish("a-1"), publish("a-1"), publish("b-1")])).toEqual(["queued", "queued", "queued"]);
    expect(asked).toHaveLength(3);
  });

  it("leaves a queue alone that is late, long before its deadline, and no other", async () => {
    const { stuck, publish, asked } = setUp();
    stuck.add("a-1");
    const first = publish("a-1");
    await vi.advanceTimersByTimeAsync(PATIENCE_MS);
    const retryMs = await publish("a-1");
    expect(retryMs).toBeGreaterThan(0);
    expect(retryMs).toBeLessThanOrEqual(1_500);
    expect(await publish("b-1")).toBe("queued");
    expect(asked).toEqual(["a-1", "b-1"]);
    await vi.advanceTimersByTimeAsync(DEADLINE_MS);
    expect(await first).toBe("failed");
  });

  it("tries one job after each pause, at ever longer ones, but no longer than half a minute", async () => {
    const { stuck, publish, asked } = setUp();
    stuck.add("a-1");
    const end = performance.now() + 600_000;
    while (performance.now() < end) {
      void publish("a-1");
      void publish("a-1");
      await vi.advanceTimersByTimeAsync(250);
    }
    // Two at first, unsuspecting, a few while the pauses grow, then one in 30 to 30.5 s.
    expect(asked.length).toBeGreaterThanOrEqual(600 / 31);
    expect(asked.length).toBeLessThanOrEqual(600 / 30 + 8);
  });

  it("trusts a queue again as soon as it confirms", async () => {
    const { stuck, publish, asked } = setUp();
    stuck.add("a-1");
    void publish("a-1");
    await vi.advanceTimersByTimeAsync(PATIENCE_MS);
    stuck.clear();
    await vi.advanceTimersByTimeAsync(1_001);
    expect(await publish("a-1")).toBe("queued");
    expect(await Promise.all(["a-1", "a-1", "a-1"].map(publish))).toEqual(["queued", "queued", "queued"]);
    expect(asked).toHaveLength(5);
  });

  it("tries few ailing queues at once, however many there are", async () => {
    const { stuck, publish, asked } = setUp();
    const queues = Array.from({ length: 100 }, (_, i) => `p${i}-1`);
    for (const queue of queues) stuck.add(queue);
    for (const queue of queues) void publish(queue);
    await vi.advanceTimersByTimeAsync(PATIENCE_MS + 1_001);
    for (const queue of queues) void publish(queue);
    expect(asked).toHaveLength(125);
    await vi.advanceTimersByTimeAsync(DEADLINE_MS);
  });

  it("blames no queue for a connection that is away, and forgets what it knew with it", async () => {
    const { stuck, publish, broker, held } = setUp();
    stuck.add("a-1");
    void publish("a-1");
    await vi.advanceTimersByTimeAsync(PATIENCE_MS);
    broker.connected = false;
    stuck.clear();
    expect(await publish("a-1")).toBe("queued");
    expect(held()).toBe(0);
  });
});
