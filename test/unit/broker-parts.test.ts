import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { ConvergeLoop } from "../../broker/converge-loop.ts";
import { Deadline, replyCode, unavailable } from "../../broker/deadline.ts";
import { ReceivedDelivery } from "../../broker/delivery.ts";
import { type BrokerEvent, unbreakable } from "../../broker/events.ts";
import { Fifo } from "../../broker/fifo.ts";
import { brokerSettings } from "../../broker/settings.ts";
import { queueOptions } from "../../broker/topology.ts";
import { BrokerUnavailable, InvalidInput } from "../../core/contract/errors.ts";

describe("ConvergeLoop", () => {
  it("makes one more round for all wakes during a round, and never two at once", async () => {
    const gates: (() => void)[] = [];
    let running = 0;
    let rounds = 0;
    const loop = new ConvergeLoop({
      async converge() {
        expect(++running).toBe(1);
        rounds++;
        await new Promise<void>((resolve) => gates.push(resolve));
        running--;
      },
      onRetry: () => undefined,
    });
    const first = loop.wake();
    await vi.waitFor(() => expect(gates).toHaveLength(1));
    const second = Promise.all([loop.wake(), loop.wake(), loop.wake()]);
    gates[0]?.();
    await first;
    await vi.waitFor(() => expect(gates).toHaveLength(2));
    gates[1]?.();
    await second;
    await loop.stop();
    expect(rounds).toBe(2);
  });

  it("repeats a failed round by itself until it succeeds", async () => {
    const retries: number[] = [];
    const done = Promise.withResolvers<void>();
    const loop = new ConvergeLoop({
      async converge() {
        if (retries.length < 2) throw new Error("not yet");
        done.resolve();
      },
      onRetry: (_, delayMs) => retries.push(delayMs),
    });
    await loop.wake();
    await done.promise;
    await loop.stop();
    expect(retries).toHaveLength(2);
    expect(retries[1]).toBeLessThanOrEqual(400);
    await loop.wake(); // after the stop: no round, and it resolves
  });
});

describe("Deadline", () => {
  it("gives up in time, with the reason", async () => {
    const never = new Promise<never>(() => undefined);
    await expect(new Deadline(20).within(never, "ask")).rejects.toThrow("ask: no answer within 20 ms");
  });

  it("translates a failure and keeps its code", async () => {
    const refused = Object.assign(new Error("NOT_FOUND"), { code: 404 });
    const failure: unknown = await new Deadline(1_000).within(Promise.reject(refused), "ask").catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(BrokerUnavailable);
    expect((failure as BrokerUnavailable).cause).toBe(refused);
    expect(replyCode(failure)).toBe(404);
    expect(replyCode(unavailable("ask", "odd"))).toBeUndefined();
  });
});

describe("Fifo", () => {
  it("is a queue", () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.nat()), { maxLength: 5_000, size: "max" }), (steps) => {
        const fifo = new Fifo<number>();
        const model: number[] = [];
        for (const item of steps) {
          if (item === null) expect(fifo.shift()).toBe(model.shift());
          else model.push(item) && fifo.push(item);
          if (fifo.length !== model.length || fifo.first() !== model[0]) throw new Error("not a queue");
        }
      }),
      { numRuns: 20 },
    );
  });
});

describe("what is told and asked", () => {
  it("a listener that throws breaks nothing, and hears of it once", () => {
    const heard: BrokerEvent[] = [];
    const listen = unbreakable((event) => {
      heard.push(event);
      throw new Error("broken");
    });
    listen({ kind: "unblocked", connection: "c" });
    expect(heard.map((event) => event.kind)).toEqual(["unblocked", "listener_failed"]);
  });

  it("an URL that is none is refused without repeating it", () => {
    expect(() => brokerSettings({ url: "http://user:secret@host", name: "n" })).toThrow(InvalidInput);
    expect(() => brokerSettings({ url: "http://user:secret@host", name: "n" })).not.toThrow("secret");
    expect(brokerSettings({ url: "amqp://u:p%40@host/vh", name: "n" }).url).toBe("amqp://u:p%40@host/vh?heartbeat=10");
  });

  it("every tenant's queue dead-letters to one that has no dead letters itself", () => {
    expect(queueOptions("p-mail").arguments).toEqual({
      "x-queue-type": "quorum",
      "x-delivery-limit": 10_000,
      "x-dead-letter-exchange": "",
      "x-dead-letter-routing-key": "roger.dead",
      "x-dead-letter-strategy": "at-least-once",
      "x-overflow": "reject-publish",
    });
    expect(queueOptions("roger.dead").arguments).not.toHaveProperty("x-dead-letter-exchange");
  });

  it.each(["p-mail", "roger.dead"])("%s is declared so that RabbitMQ 4 takes it and drops none of it", (queue) => {
    // 4.3 refuses queues that are transient and not exclusive; since 4.0 one without a limit drops a message at its 21st delivery.
    expect(queueOptions(queue)).toEqual({ durable: true, arguments: expect.objectContaining({ "x-queue-type": "quorum" }) });
    expect(queueOptions(queue).arguments["x-delivery-limit"]).toBeGreaterThanOrEqual(10_000);
  });

  it("a delivery reads RabbitMQ's headers, whichever it sent", () => {
    const delivery = (headers: Record<string, unknown> | undefined) =>
      new ReceivedDelivery(
        { fields: { deliveryTag: 1, redelivered: true }, properties: { headers, messageId: undefined }, content: Buffer.from("b") } as never,
        {} as never,
        {} as never,
      );
    expect(delivery(undefined).deliveryCount).toBe(0);
    expect(delivery({ "x-delivery-count": 3 }).deliveryCount).toBe(3);
    expect(delivery({ "x-delivery-count": 3, "x-acquired-count": 4 }).deliveryCount).toBe(4);
    expect(delivery({ "x-first-death-queue": "p-mail" }).deadFrom).toBe("p-mail");
    expect(delivery({}).deadFrom).toBeUndefined();
    expect(delivery({}).messageId).toBeUndefined();
  });
});
