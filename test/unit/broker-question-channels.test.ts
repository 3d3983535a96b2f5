import { EventEmitter } from "node:events";
import type { Channel, ChannelModel } from "amqplib";
import { expect, it } from "vitest";
import type { SupervisedConnection } from "../../broker/connection.ts";
import { QuestionChannels } from "../../broker/question-channels.ts";

class FakeChannel extends EventEmitter {
  async close(): Promise<void> {
    this.emit("close");
  }
}

function setUp() {
  const opened: FakeChannel[] = [];
  const newModel = (): ChannelModel =>
    ({
      createChannel: async () => {
        opened.push(new FakeChannel());
        return opened.at(-1);
      },
    }) as unknown as ChannelModel;
  const connection = { model: newModel(), ready: async () => connection.model };
  const questions = new QuestionChannels(connection as unknown as SupervisedConnection, { deadlineMs: 1_000, kept: 8 });
  const ask = () => questions.ask("count", async (channel) => channel);
  const reconnect = (): void => {
    connection.model = newModel();
  };
  return { questions, ask, opened, reconnect };
}

const ten = <T>(make: () => Promise<T>): Promise<T[]> => Promise.all(Array.from({ length: 10 }, make));

it("asks one question after the other on one channel", async () => {
  const { ask, opened } = setUp();
  for (let i = 0; i < 100; i++) await ask();
  expect(opened).toHaveLength(1);
});

it("gives each of those asked at the same time a channel of its own, and keeps eight", async () => {
  const { ask, opened } = setUp();
  expect(new Set(await ten(ask)).size).toBe(10);
  await ten(ask);
  expect(opened).toHaveLength(12);
});

it("never uses a channel again on which a question failed, or that was closed while it was idle", async () => {
  const { questions, ask, opened } = setUp();
  const failure = questions.ask("count", async () => Promise.reject(new Error("no such queue")));
  await expect(failure).rejects.toThrow("no such queue");
  const idle = (await ask()) as Channel & EventEmitter;
  idle.emit("close");
  expect(await ask()).not.toBe(idle);
  expect(opened).toHaveLength(3);
});

it("leaves those of a lost connection behind", async () => {
  const { ask, opened, reconnect } = setUp();
  await ten(ask);
  reconnect();
  await ask();
  expect(opened).toHaveLength(11);
});
