import { describe, expect, it } from "vitest";
import type { Envelope } from "../../core/job/envelope.ts";
import { virtualClock } from "../../testing/clock.ts";
import { memoryStore } from "../../testing/memory-store.ts";
import { noRun, Recorder } from "../../worker/record.ts";

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

describe("a redelivered message", () => {
  it("whose job was buried at this attempt is a copy", async () => {
    const { recorder, enqueued, bury } = world();
    const envelope = enqueued();
    expect(await recorder.wasRecorded(envelope)).toBeUndefined();
    await bury(envelope);
    expect(await recorder.wasRecorded(envelope)).toBe("buried");
    expect(await recorder.wasRecorded({ ...envelope, attempt: 2 })).toBeUndefined();
  });

  it("is no copy because an earlier job of the same id, a caller's own, is buried", async () => {
    const { clock, recorder, enqueued, bury } = world();
    await bury(enqueued());
    clock.advance(HOUR_MS + 1);
    expect(await recorder.wasRecorded(enqueued())).toBeUndefined();
  });

  it("is a copy though the clock that enqueued it went ahead of the one that buried it", async () => {
    const { recorder, enqueued, bury } = world();
    const envelope = { ...enqueued(), enqueued_at: enqueued().enqueued_at + 60_000 };
    await bury(envelope);
    expect(await recorder.wasRecorded(envelope)).toBe("buried");
  });

  it("whose item a pump has claimed makes it due at once; any other keeps its due", async () => {
    const { clock, parked, recorder, enqueued } = world();
    const envelope = enqueued();
    await recorder.snooze(envelope, 60_000, "T1/1");
    expect(await recorder.wasRecorded(envelope)).toBe("parked");
    expect(await parked.get(envelope)).toMatchObject({ due: clock.now() + 60_000 });
    clock.advance(60_000);
    await parked.claim(envelope, clock.now(), clock.now() + 30_000);
    expect(await recorder.wasRecorded(envelope)).toBe("parked");
    expect(await parked.get(envelope)).toMatchObject({ due: clock.now(), claimed: false });
  });
});
