import { expect, it } from "vitest";
import { AskingPublisher } from "../../broker/asking-publisher.ts";
import type { LeaderProbe } from "../../broker/leader-probe.ts";
import type { AmqpPublisher } from "../../broker/publisher.ts";
import { brokerSettings } from "../../broker/settings.ts";
import { BrokerUnavailable, PublishLate } from "../../core/contract/errors.ts";
import type { Published } from "../../core/job/broker.ts";
import { outgoing } from "../broker-world.ts";

const QUEUE = "acme-default";

function setUp({ publishDeadlineMs = 10_000 } = {}) {
  const asked: string[] = [];
  const doubted: string[] = [];
  const sent: string[] = [];
  const answers = { probe: async (): Promise<boolean> => true, publish: async (): Promise<Published> => "queued" };
  const probe: Pick<LeaderProbe, "ask" | "doubt"> = {
    ask: (brokerQueue) => {
      asked.push(brokerQueue);
      return answers.probe();
    },
    doubt: (brokerQueue) => void doubted.push(brokerQueue),
  };
  const channel = {
    channelNumber: 1,
    publish: ({ brokerQueue }: { brokerQueue: string }) => {
      sent.push(brokerQueue);
      return answers.publish();
    },
  };
  const settings = brokerSettings({ url: "amqp://127.0.0.1:1", name: "asks", publishDeadlineMs });
  const publisher = new AskingPublisher(channel as unknown as AmqpPublisher, probe as LeaderProbe, settings);
  const publish = (queue = QUEUE) => publisher.publish(outgoing(queue, "{}"));
  return { publish, asked, doubted, sent, answers, channel };
}

it("asks each queue once for all that is published to it, and again on another channel", async () => {
  const { publish, asked, sent, channel } = setUp();
  await Promise.all([publish(), publish(), publish("acme-mail")]);
  await publish();
  expect([asked, sent]).toEqual([
    [QUEUE, "acme-mail"],
    [QUEUE, QUEUE, "acme-mail", QUEUE],
  ]);
  channel.channelNumber = 2;
  await publish();
  expect(asked).toEqual([QUEUE, "acme-mail", QUEUE]);
});

it("sends nothing to a queue that does not answer, and asks it again for the next message", async () => {
  const { publish, asked, sent, answers } = setUp();
  answers.probe = async () => {
    throw new BrokerUnavailable("no answer");
  };
  await expect(publish()).rejects.toThrow("no answer");
  await expect(publish()).rejects.toThrow("no answer");
  expect([asked.length, sent]).toEqual([2, []]);
});

it("waits for the answer for a part of its time, and asks no second time meanwhile", async () => {
  const { publish, asked, sent, answers } = setUp({ publishDeadlineMs: 40 });
  answers.probe = () => new Promise(() => undefined);
  await expect(publish()).rejects.toThrow(`publish to ${QUEUE}: no answer within 10 ms`);
  await expect(publish()).rejects.toBeInstanceOf(BrokerUnavailable);
  expect([asked.length, sent]).toEqual([1, []]);
});

it.each([
  ["was not confirmed in time", async () => Promise.reject(new PublishLate("late", true)), [QUEUE]],
  ["waited for a RabbitMQ that takes nothing", async () => Promise.reject(new PublishLate("late", false)), []],
  ["came back, for there is no such queue", async () => "unroutable" as const, []],
])("asks again after a message that %s", async (_, answer, doubts) => {
  const { publish, asked, doubted, answers } = setUp();
  answers.publish = answer;
  await publish().catch((error: unknown) => expect(error).toBeInstanceOf(PublishLate));
  await publish().catch((error: unknown) => expect(error).toBeInstanceOf(PublishLate));
  expect(asked).toHaveLength(2);
  expect(new Set(doubted)).toEqual(new Set(doubts));
});
