import { beforeEach, describe, expect, it } from "vitest";
import { LIMITS } from "../../../core/contract/limits.ts";
import { type CancelDeps, cancelJob } from "../../../core/job/cancel.ts";
import { type CancelStore, EVERY_LIFE } from "../../../core/job/cancels.ts";
import { newJobId } from "../../../core/job/id.ts";
import { ownIdKey } from "../../../core/job/own-id.ts";
import { type ParkedReason, type ParkedStore, parkedJob } from "../../../core/job/parked.ts";
import type { QueueKeyStore } from "../../../core/keys/queue-key-store.ts";
import type { Make, TestClock } from "./world.ts";

interface Stores {
  readonly parked: ParkedStore;
  readonly queueKeys: QueueKeyStore;
  readonly cancels: CancelStore;
}

const PARTITION = "acme";
const OWN = "order-7";
const KEY = { partition: PARTITION, key: ownIdKey(OWN) };

/** Whom a cancel hits, with clocks that differ and ids that were had before. */
export function cancelProtocolSuite(make: Make<Stores>): void {
  let store: Stores;
  let clock: TestClock;
  let deps: CancelDeps;
  beforeEach(async () => {
    ({ store, clock } = await make());
    deps = { ...store, clock, partitions: { announceCancel: async () => true } };
  });

  const itemOf = (id: string, enqueuedAt: number, reason: ParkedReason = "delayed") => {
    const own = id === OWN ? { queue_key: KEY.key } : {};
    const envelope = {
      v: 1,
      id,
      name: "mail",
      args: {},
      partition: PARTITION,
      queue: "default",
      ...own,
      attempt: 1,
      enqueued_at: enqueuedAt,
    } as const;
    return parkedJob(envelope, { reason, due: clock.now() + 60_000, since: clock.now() });
  };
  const claim = (enqueuedAt: number) =>
    store.queueKeys.claim(KEY, { outbox: itemOf(OWN, enqueuedAt), due: clock.now(), now: clock.now(), takeDone: false });
  const cancel = (id = OWN) => cancelJob(deps, PARTITION, id);
  const markedAt = async (id = OWN) => (await store.cancels.get(PARTITION, id))?.at;
  const parkedAs = async () => (await store.parked.get({ partition: PARTITION, id: OWN }))?.reason;

  describe.each([
    ["ahead", 3_600_000],
    ["behind", -3_600_000],
  ])("an id of the caller's, whose clock is %s", (_, skew) => {
    it("is hit exactly in the life that it has", async () => {
      const enqueuedAt = clock.now() + skew;
      await claim(enqueuedAt);
      expect(await cancel()).toBe("cancelling");
      expect(await markedAt()).toBe(enqueuedAt + 1);
      await store.parked.park(itemOf(OWN, enqueuedAt));
      expect(await cancel()).toBe("cancelled");
      expect(await parkedAs()).toBe("cancelled");
    });
  });

  it("an id of the caller's that has ended is hit by nothing: no copy of it will tell of an end that was another", async () => {
    const enqueuedAt = clock.now();
    await claim(enqueuedAt);
    await store.queueKeys.release(KEY, { job: OWN, enqueuedAt }, 1, clock.now() + LIMITS.doneKeyMs);
    expect(await cancel()).toBe("cancelling");
    expect(await markedAt()).toBeUndefined();
    await store.parked.park(itemOf(OWN, enqueuedAt, "cancelled"));
    expect(await cancel()).toBe("cancelled");
  });

  it("what an earlier life has left parked is not taken for the one that is meant", async () => {
    const first = clock.now();
    await store.parked.park(itemOf(OWN, first, "retry"));
    clock.advance(2 * LIMITS.doneKeyMs);
    await claim(clock.now());
    expect(await cancel()).toBe("cancelling");
    expect(await parkedAs()).toBe("retry");
    await store.parked.cancel({ partition: PARTITION, id: OWN }, (await store.parked.get({ partition: PARTITION, id: OWN }))?.rev ?? "", clock.now());
    expect(await cancel()).toBe("cancelling");
  });

  it("a parked job whose key was lost is hit in its life", async () => {
    await store.parked.park(itemOf(OWN, clock.now() - 5));
    expect(await cancel()).toBe("cancelled");
    expect(await markedAt()).toBe(clock.now() - 4);
  });

  it("an id that nothing is known of is hit if it was enqueued long ago, so that no later life ever is", async () => {
    expect(await cancel()).toBe("cancelling");
    expect(await markedAt()).toBe(clock.now() - LIMITS.doneKeyMs / 2);
  });

  it("a job that is enqueued while the cancel looks for it is cancelled with its marker, or not at all", async () => {
    const get: QueueKeyStore["get"] = async (ref) => {
      const found = await store.queueKeys.get(ref);
      if (found === undefined) {
        await claim(clock.now());
        await store.parked.park(itemOf(OWN, clock.now()));
      }
      return found;
    };
    expect(await cancelJob({ ...deps, queueKeys: { get } }, PARTITION, OWN)).toBe("cancelled");
    expect(await markedAt()).toBe(clock.now() + 1);
  });

  it("an id of ours is hit whatever the clocks say", async () => {
    const id = newJobId();
    await store.parked.park(itemOf(id, clock.now() + 3_600_000));
    expect(await cancel(id)).toBe("cancelled");
    expect(await markedAt(id)).toBe(EVERY_LIFE);
  });
}
