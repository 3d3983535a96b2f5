import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AckSink, AckTracker, type Tagged } from "../../broker/ack-tracker.ts";

/** A channel as RabbitMQ keeps it: it closes on a tag that it does not know. */
class BrokerChannel implements AckSink<Tagged> {
  readonly unacked = new Set<number>();
  readonly acked = new Set<number>();
  readonly requeued = new Set<number>();
  frames = 0;

  deliver(tag: number): void {
    this.unacked.add(tag);
  }

  ack({ tag }: Tagged, multiple: boolean): void {
    this.frames++;
    if (!this.unacked.has(tag)) throw new Error(`PRECONDITION_FAILED - unknown delivery tag ${tag}`);
    for (const each of multiple ? [...this.unacked].filter((other) => other <= tag) : [tag]) {
      this.unacked.delete(each);
      this.acked.add(each);
    }
  }

  nack({ tag }: Tagged): void {
    this.frames++;
    if (!this.unacked.delete(tag)) throw new Error(`PRECONDITION_FAILED - unknown delivery tag ${tag}`);
    this.requeued.add(tag);
  }
}

describe("AckTracker", () => {
  it("acks a finished prefix with one frame, the rest singly", () => {
    const { tracker, broker, deliveries } = delivered(6);
    for (const i of [2, 0, 1, 4]) tracker.ack(deliveries[i]!);
    tracker.flush(broker);
    expect([...broker.acked].sort()).toEqual([1, 2, 3, 5]);
    expect(broker.frames).toBe(2);
    expect(tracker.unsettled()).toEqual([{ tag: 4 }, { tag: 6 }]);
  });

  it("sends a nack before the multiple that would reach over it", () => {
    const { tracker, broker, deliveries } = delivered(3);
    tracker.ack(deliveries[1]!);
    tracker.ack(deliveries[2]!);
    tracker.nack(deliveries[0]!);
    tracker.flush(broker);
    expect([...broker.requeued]).toEqual([1]);
    expect([...broker.acked]).toEqual([2, 3]);
  });

  it("counts the first settlement only", () => {
    const { tracker, broker, deliveries } = delivered(1);
    expect(tracker.nack(deliveries[0]!)).toBe(true);
    expect(tracker.ack(deliveries[0]!)).toBe(false);
    tracker.flush(broker);
    tracker.flush(broker);
    expect(broker.frames).toBe(1);
  });

  it("refuses tags that do not rise", () => {
    const { tracker } = delivered(2);
    expect(() => tracker.received({ tag: 2 })).toThrow("rise");
  });

  it("says exactly what was settled, whatever the order", () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.constant("deliver" as const) },
      { weight: 4, arbitrary: fc.record({ ack: fc.nat(20) }) },
      { weight: 1, arbitrary: fc.record({ nack: fc.nat(20) }) },
      { weight: 2, arbitrary: fc.constant("flush" as const) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const { tracker, broker } = delivered(0);
        const acks = new Set<number>();
        const nacks = new Set<number>();
        let tag = 0;
        for (const each of steps) {
          if (each === "flush") tracker.flush(broker);
          else if (each === "deliver") {
            broker.deliver(++tag);
            tracker.received({ tag });
          } else {
            const open = tracker.unsettled();
            const delivery = open["ack" in each ? each.ack % open.length : each.nack % open.length];
            if (delivery === undefined) continue;
            if ("ack" in each && tracker.ack(delivery)) acks.add(delivery.tag);
            if ("nack" in each && tracker.nack(delivery)) nacks.add(delivery.tag);
          }
          for (const settled of broker.acked) expect(acks).toContain(settled);
        }
        tracker.flush(broker);
        expect(broker.acked).toEqual(acks);
        expect(broker.requeued).toEqual(nacks);
        expect([...broker.unacked]).toEqual(tracker.unsettled().map((delivery) => delivery.tag));
      }),
    );
  });
});

function delivered(count: number) {
  const tracker = new AckTracker<Tagged>();
  const broker = new BrokerChannel();
  const deliveries = Array.from({ length: count }, (_, i) => ({ tag: i + 1 }));
  for (const delivery of deliveries) {
    broker.deliver(delivery.tag);
    tracker.received(delivery);
  }
  return { tracker, broker, deliveries };
}
