import { describe, expect, it } from "vitest";
import type { Delivery } from "../../core/job/broker.ts";
import { decodeEnvelope, type Envelope, encodeEnvelope } from "../../core/job/envelope.ts";
import { parkedJob } from "../../core/job/parked.ts";
import { virtualClock } from "../../testing/clock.ts";
import { memoryStore } from "../../testing/memory-store.ts";
import { noRun, Recorder } from "../../worker/record.ts";
import type { Run } from "../../worker/run.ts";

const HOUR_MS = 3600 * 1000;

function world() {
  const clock = virtualClock();
  const { parked, buried } = memoryStore({ clock });
  const recorder = new Recorder({ parked, buried, clock, emit: () => undefined });
  const enqueued = (): Envelope => ({
    v: 1,
    id: "invoice-7",
    name: "mail",
    args: null,
    partition: "acme",
    queue: "default",
    attempt: 1,
    enqueued_at: clock.now(),
  });
  const bury = (envelope: Envelope) => recorder.bury(envelope, "", "failed", noRun(envelope, clock.now(), "it failed"));
  return { clock, parked, recorder, enqueued, bury };
}

/** The message that carries it has come back so often. */
function redelivered(envelope: Envelope, deliveryCount = 1): Pick<Run, "delivery"> {
  return { delivery: { body: Buffer.from(encodeEnvelope(envelope)), deliveryCount } as Delivery };
}

describe("a redelivered message", () => {
  it("whose job was buried at this attempt is a copy", async () => {
    const { recorder, enqueued, bury } = world();
    const envelope = enqueued();
    expect(await recorder.wasRecorded(redelivered(envelope), envelope)).toBeUndefined();
    await bury(envelope);
    expect(await recorder.wasRecorded(redelivered(envelope), envelope)).toBe("buried");
    expect(await recorder.wasRecorded(redelivered(envelope), { ...envelope, attempt: 2 })).toBeUndefined();
  });

  it("is no copy because an earlier job of the same id, a caller's own, is buried", async () => {
    const { clock, recorder, enqueued, bury } = world();
    await bury(enqueued());
    clock.advance(HOUR_MS + 1);
    expect(await recorder.wasRecorded(redelivered(enqueued()), enqueued())).toBeUndefined();
  });

  it("is a copy though the clock that enqueued it went ahead of the one that buried it", async () => {
    const { recorder, enqueued, bury } = world();
    const envelope = { ...enqueued(), enqueued_at: enqueued().enqueued_at + 60_000 };
    await bury(envelope);
    expect(await recorder.wasRecorded(redelivered(envelope), envelope)).toBe("buried");
  });

  it("whose item a pump has claimed makes it due at once; any other keeps its due", async () => {
    const { clock, parked, recorder, enqueued } = world();
    const envelope = enqueued();
    await recorder.snooze(envelope, 60_000, "T1/1");
    expect(await recorder.wasRecorded(redelivered(envelope), envelope)).toBe("parked");
    expect(await parked.get(envelope)).toMatchObject({ due: clock.now() + 60_000 });
    clock.advance(60_000);
    await parked.claim(envelope, clock.now(), clock.now() + 30_000);
    expect(await recorder.wasRecorded(redelivered(envelope), envelope)).toBe("parked");
    expect(await parked.get(envelope)).toMatchObject({ due: clock.now(), claimed: false });
  });

  it("hands the count of its returns on to the message that is published in its stead", async () => {
    const { clock, parked, recorder, enqueued } = world();
    let envelope = enqueued();
    await recorder.snooze(envelope, 0, "T1/1");
    const returns: (number | undefined)[] = [];
    for (const deliveryCount of [1, 2, 1]) {
      await parked.claim(envelope, clock.now(), clock.now() + 30_000);
      expect(await recorder.wasRecorded(redelivered(envelope, deliveryCount), envelope)).toBe("parked");
      envelope = decodeEnvelope((await parked.get(envelope))?.body ?? "");
      returns.push(envelope.returns);
    }
    expect(returns).toEqual([1, 3, 4]);
  });

  it("that is a copy tells the parked job of its returns, if those are more, and leaves its due", async () => {
    const { clock, parked, recorder, enqueued } = world();
    const copy = enqueued();
    await recorder.waitAsSuspect({ ...copy, returns: 2 });
    const before = await parked.get(copy);
    expect(await recorder.wasRecorded(redelivered(copy, 2), copy)).toBe("parked");
    expect(await parked.get(copy)).toMatchObject({ body: before?.body, due: before?.due });
    expect(await recorder.wasRecorded(redelivered(copy, 3), copy)).toBe("parked");
    const after = await parked.get(copy);
    expect(after).toMatchObject({ due: before?.due, reason: "suspect" });
    expect(decodeEnvelope(after?.body ?? "")).toEqual({ ...copy, waiting_since: clock.now(), returns: 3 });
  });

  it("says nothing to a later attempt, nor to a run that has moved to its parked item", async () => {
    const { clock, parked, recorder, enqueued } = world();
    const envelope = enqueued();
    await recorder.retry(envelope, 1_000, noRun(envelope, clock.now(), "it failed"));
    const retried = await parked.get(envelope);
    expect(await recorder.wasRecorded(redelivered(envelope), envelope)).toBe("parked");
    expect(await parked.get(envelope)).toMatchObject({ body: retried?.body, due: retried?.due });
    const long = { ...envelope, id: "invoice-8" };
    await parked.park(parkedJob(long, { reason: "long", due: clock.now() + 60_000, since: clock.now(), run: "T1/1" }));
    expect(await recorder.wasRecorded(redelivered(long), long)).toBe("parked");
    expect(await parked.get(long)).toMatchObject({ body: encodeEnvelope(long), run: "T1/1" });
  });
});
