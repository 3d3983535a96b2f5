import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { SupervisedConnection } from "../../broker/connection.ts";
import { LeaderProbe } from "../../broker/leader-probe.ts";
import { brokerSettings } from "../../broker/settings.ts";
import { systemClock } from "../../core/contract/clock.ts";
import { BrokerUnavailable } from "../../core/contract/errors.ts";
import { BrokerWorld, outgoing } from "../broker-world.ts";
import type { TcpProxy } from "../proxy.ts";

const SOON = { timeout: 60_000, interval: 10 };

let world: BrokerWorld;
let proxy: TcpProxy;
let mainProxy: TcpProxy;
let main: SupervisedConnection;
let probe: LeaderProbe;
beforeEach(async () => {
  world = new BrokerWorld();
  proxy = await world.proxy();
  mainProxy = await world.proxy();
  main = new SupervisedConnection("main", brokerSettings({ url: mainProxy.url, name: "main" }));
  probe = new LeaderProbe(brokerSettings({ url: proxy.url, name: "asks", rpcDeadlineMs: 500 }), main);
  await main.start();
  await vi.waitFor(() => expect(main.model).toBeDefined(), SOON);
});
afterEach(async () => {
  vi.restoreAllMocks();
  proxy.flow();
  await probe.stop();
  await main.stop();
  await world.close();
});

const filled = async (body: string): Promise<string> => {
  const broker = await world.broker();
  const queue = world.queue();
  await broker.admin.ensure(queue);
  await broker.publisher.publish(outgoing(queue, body));
  return queue;
};

it("says whether a queue is there, and leaves its messages where they are", async () => {
  const queue = await filled("a");
  expect(await probe.ask(queue)).toBe(true);
  probe.doubt(queue);
  expect(await probe.ask(queue)).toBe(true);
  expect(await probe.ask(world.queue("missing"))).toBe(false);
  const outside = await world.channel();
  await vi.waitFor(async () => expect(await outside.checkQueue(queue)).toMatchObject({ messageCount: 1 }), SOON);
});

it("a silence of its own connection makes no queue a suspect", async () => {
  const queue = await filled("a");
  await probe.ask(queue);
  proxy.stall();
  await expect(probe.ask(queue)).rejects.toBeInstanceOf(BrokerUnavailable);
  proxy.flow();
  await probe.ask(queue);
  const message = await (await world.channel()).get(queue);
  expect(message).toMatchObject({ fields: { redelivered: false } }); // it was counted, and not taken out to be put back
});

it("who waits for a place waits no longer than for an answer", async () => {
  await probe.ask(await filled("a"));
  proxy.stall();
  const suspects = Array.from({ length: 40 }, (_, i) => `suspect-${i}`);
  for (const queue of suspects) probe.doubt(queue);
  const ended: string[] = [];
  const ask = (queue: string, as: string): Promise<unknown> =>
    probe.ask(queue).catch((error: unknown) => {
      expect(error).toBeInstanceOf(BrokerUnavailable);
      ended.push(as);
    });
  const all = suspects.map((queue) => ask(queue, "at once"));
  await Promise.race(all);
  await Promise.all([...all, ask("fresh", "later")]);
  expect(ended.at(-1)).toBe("later");
});

it("does without an answer when it gets no connection for long, though others do; for a suspect when it was none of late", async () => {
  proxy.refuse();
  const [queue, suspect] = [await filled("a"), "suspect"];
  probe.doubt(suspect);
  await expect(probe.ask(queue)).rejects.toBeInstanceOf(BrokerUnavailable);
  const later = systemClock.monotonic() + 60_000;
  const clock = vi.spyOn(systemClock, "monotonic").mockReturnValue(later);
  expect(await probe.ask(queue)).toBe(true);
  await expect(probe.ask(suspect)).rejects.toBeInstanceOf(BrokerUnavailable);
  clock.mockReturnValue(later + 300_000);
  expect(await probe.ask(suspect)).toBe(true);
  probe.doubt(suspect);
  await expect(probe.ask(suspect)).rejects.toBeInstanceOf(BrokerUnavailable);
  proxy.flow();
  await vi.waitFor(async () => expect(await probe.ask(suspect)).toBe(false), SOON);
});

it("waits for its connection with its first question, however long others have theirs", async () => {
  const later = systemClock.monotonic() + 60_000;
  vi.spyOn(systemClock, "monotonic").mockReturnValue(later);
  expect(await probe.ask(world.queue("missing"))).toBe(false);
});

it("waits for its connection after an outage of RabbitMQ, however long that was", async () => {
  const queue = await filled("a");
  for (const each of [proxy, mainProxy]) each.refuse();
  await expect(probe.ask(queue)).rejects.toBeInstanceOf(BrokerUnavailable);
  const later = systemClock.monotonic() + 60_000;
  vi.spyOn(systemClock, "monotonic").mockReturnValue(later);
  mainProxy.flow();
  await vi.waitFor(() => expect(main.model).toBeDefined(), SOON);
  await expect(probe.ask(queue)).rejects.toBeInstanceOf(BrokerUnavailable);
});
