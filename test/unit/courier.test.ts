import { describe, expect, it } from "vitest";
import { BrokerUnavailable } from "../../core/contract/errors.ts";
import { DEFAULT_TIMINGS } from "../../core/contract/limits.ts";
import type { OutgoingJob, Published } from "../../core/job/broker.ts";
import type { Envelope } from "../../core/job/envelope.ts";
import { parkedJob } from "../../core/job/parked.ts";
import { applyCommand, type Command } from "../../core/partition/commands.ts";
import type { Partition } from "../../core/partition/partition.ts";
import { virtualClock } from "../../testing/clock.ts";
import { memoryStore } from "../../testing/memory-store.ts";
import type { Keyring } from "../../worker/claims.ts";
import { Courier, type CourierOptions } from "../../worker/courier.ts";
import { QueueHeldBack } from "../../worker/patient-publisher.ts";

const SECOND = 1_000;
const REF = { partition: "acme", id: "job-1" };

/** A courier between the memory table and a RabbitMQ that says what it is told to. */
async function setUp() {
  const clock = virtualClock();
  const { parked, queueKeys } = memoryStore({ clock });
  const table = new Map<string, Partition>();
  const copy = new Map<string, Partition>();
  const troubles: string[] = [];
  const ensured: string[] = [];
  const published: OutgoingJob[] = [];
  const state: { answer: () => Published } = { answer: () => "unroutable" };
  let reads = 0;
  const options: Partial<CourierOptions> = {
    parked,
    queueKeys,
    publisher: {
      publish: async (message) => {
        published.push(message);
        return ensured.includes(message.brokerQueue) ? "queued" : state.answer();
      },
    },
    admin: { ensure: async (brokerQueue) => void ensured.push(brokerQueue) },
    rows: {
      get: (id) => copy.get(id),
      refresh: async (id) => {
        reads += 1;
        const row = table.get(id);
        if (row !== undefined) copy.set(id, row);
        return row;
      },
    },
    keyring: { abandon: async () => true } as unknown as Keyring,
    clock,
    timings: DEFAULT_TIMINGS,
    emit: (event) => void troubles.push(event.type),
  };
  const courier = new Courier(options as CourierOptions);
  const now = clock.now();
  const envelope = { v: 1, id: REF.id, name: "n", args: {}, partition: REF.partition, queue: "mail", attempt: 1, enqueued_at: now } as const;
  const park = async (more: Partial<Envelope>): Promise<void> =>
    void (await parked.park(parkedJob({ ...envelope, ...more }, { reason: "outbox", due: now, since: now })));
  await park({});
  const command = (what: Command): void => void table.set("acme", applyCommand("acme", table.get("acme"), what));
  /** Brings the job once it is due. @returns how long it then has to wait; `undefined` when it is on its way */
  const bring = async (): Promise<number | undefined> => {
    const due = (await parked.get(REF))?.due ?? clock.now();
    clock.advance(Math.max(0, due - clock.now()));
    await courier.bring({ kind: "parked", ref: REF });
    const left = await parked.get(REF);
    return left === undefined ? undefined : left.due - clock.now();
  };
  return { bring, command, state, troubles, ensured, published, park, clock, reads: () => reads, copy, table };
}

describe("a message", () => {
  it.each<[string, Partial<Envelope>, object]>([
    ["of a job with a trace", { traceparent: "00-aaaa-bbbb-01" }, { traceparent: "00-aaaa-bbbb-01" }],
    ["of a job without one", {}, {}],
    ["of a newer build's job, which can't be read here,", { v: 2, traceparent: "00-aaaa-bbbb-01" } as object, {}],
  ])("%s carries that in its headers", async (_, more, headers) => {
    const { bring, park, published, state } = await setUp();
    state.answer = () => "queued";
    await park(more);
    expect(await bring()).toBeUndefined();
    expect(published).toEqual([{ brokerQueue: "acme-mail", partition: "acme", id: REF.id, body: expect.any(String), ...headers }]);
  });
});

describe("a job whose queue is missing", () => {
  it("is tried less and less often, by its age: from 5 s to 10 min", async () => {
    const { bring, troubles } = await setUp();
    const waits: number[] = [];
    for (let i = 0; i < 12; i++) waits.push((await bring()) as number);
    expect(waits.map((ms) => ms / SECOND)).toEqual([5, 5, 10, 20, 40, 80, 160, 320, 600, 600, 600, 600]);
    expect(troubles).toEqual([]);
  });

  it("is brought at once when the partition was started a moment ago, unseen by this task", async () => {
    const { bring, command, ensured } = await setUp();
    for (let i = 0; i < 8; i++) await bring();
    command({ type: "start", pools: { default: { mail: 1 } } });
    expect(await bring()).toBeUndefined();
    expect(ensured).toEqual(["acme-mail"]);
  });

  it("is never declared for a queue that is not listed, or a partition that does not run", async () => {
    const { bring, command, ensured } = await setUp();
    command({ type: "start", pools: { default: { other: 1 } } });
    expect(await bring()).toBe(5 * SECOND);
    command({ type: "start", pools: { default: { mail: 1 } } });
    command({ type: "stop" });
    expect(await bring()).toBe(5 * SECOND);
    expect(ensured).toEqual([]);
  });

  it("costs no read while the row that is known lists it", async () => {
    const { bring, command, copy, table, reads } = await setUp();
    command({ type: "start", pools: { default: { mail: 1 } } });
    copy.set("acme", table.get("acme") as Partition);
    expect(await bring()).toBeUndefined();
    expect(reads()).toBe(0);
  });
});

describe("a job whose partition was deleted", () => {
  it("is brought to its queue when the partition has been started anew, though this task's copy is still the tombstone", async () => {
    const { bring, command, copy, table, ensured } = await setUp();
    command({ type: "start", pools: { default: { mail: 1 } } });
    const born = table.get("acme") as Partition;
    copy.set("acme", { ...born, status: "deleted", pools: {} });
    expect(await bring()).toBeUndefined();
    expect(ensured).toEqual(["acme-mail"]);
  });

  it("goes the way of all that belonged to it when it is deleted in truth", async () => {
    const { bring, command, copy, table, ensured } = await setUp();
    command({ type: "start", pools: { default: { mail: 1 } } });
    const tombstone: Partition = { ...(table.get("acme") as Partition), status: "deleted", pools: {} };
    table.set("acme", tombstone);
    copy.set("acme", tombstone);
    expect(await bring()).toBeUndefined();
    expect(ensured).toEqual([]);
  });
});

describe("a job whose queue does not confirm", () => {
  it("waits as long as the queue is left alone, without a word; after a failure, a second", async () => {
    const { bring, state, troubles } = await setUp();
    state.answer = () => {
      throw new QueueHeldBack("acme-mail", 12_345.6);
    };
    expect(await bring()).toBe(12_346);
    expect(troubles).toEqual([]);
    state.answer = () => {
      throw new BrokerUnavailable("no confirm");
    };
    expect(await bring()).toBe(SECOND);
    expect(troubles).toEqual(["trouble"]);
  });
});
