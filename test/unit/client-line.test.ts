import { describe, expect, it } from "vitest";
import { BrokerLine, type Publishing } from "../../client/line.ts";
import { BrokerUnavailable, PublishLate } from "../../core/contract/errors.ts";
import type { OutgoingJob, Published } from "../../core/job/broker.ts";
import { virtualClock } from "../../testing/clock.ts";

type Answer = Published | Error;

/** A broker that answers as it is told, one answer for each publish. */
class FakeBroker implements Publishing {
  connected = true;
  started = 0;
  stopped = 0;
  readonly published: OutgoingJob[] = [];
  readonly #answers: (Answer | (() => Promise<Answer>))[];

  constructor(answers: (Answer | (() => Promise<Answer>))[]) {
    this.#answers = answers;
  }

  readonly publisher = {
    publish: async (job: OutgoingJob): Promise<Published> => {
      this.published.push(job);
      const next = this.#answers.shift() ?? "queued";
      const answer = typeof next === "function" ? await next() : next;
      if (answer instanceof Error) throw answer;
      return answer;
    },
  };

  async start(): Promise<void> {
    this.started += 1;
  }

  async stop(): Promise<void> {
    this.stopped += 1;
  }
}

const JOB: OutgoingJob = { brokerQueue: "acme-default", partition: "acme", id: "1", body: "{}" };
const OTHER: OutgoingJob = { ...JOB, brokerQueue: "acme-other" };
const late = (sent: boolean) => new PublishLate("late", sent);
const lost = new BrokerUnavailable("the channel is lost");

function lineOver(...brokers: FakeBroker[]) {
  const clock = virtualClock();
  clock.advance(1_000);
  const left = [...brokers];
  const line = new BrokerLine(() => {
    const broker = left.shift();
    if (broker === undefined) throw new Error("one broker too many");
    return broker;
  }, clock);
  return { line, clock };
}

describe("the line to RabbitMQ", () => {
  it("is opened by the first publish, and kept", async () => {
    const broker = new FakeBroker([]);
    const { line } = lineOver(broker);
    expect(broker.started).toBe(0);
    expect(await Promise.all([line.publish(JOB), line.publish(OTHER)])).toEqual(["queued", "queued"]);
    expect(broker).toMatchObject({ started: 1, stopped: 0, published: [JOB, OTHER] });
  });

  it("sends once more over the same broker when the channel was lost or the message refused, once only", async () => {
    const broker = new FakeBroker([lost, "queued", lost, lost, "queued"]);
    const { line } = lineOver(broker);
    expect(await line.publish(JOB)).toBe("queued");
    await expect(line.publish(JOB)).rejects.toBe(lost);
    expect(broker.published).toHaveLength(4);
  });

  it("gives a silent connection up, once for all that were on their way", async () => {
    const silent = new FakeBroker([late(true), late(true), new BrokerUnavailable("closed before a confirm came")]);
    const fresh = new FakeBroker([]);
    const { line } = lineOver(silent, fresh);
    expect(await Promise.all([line.publish(JOB), line.publish(JOB), line.publish(OTHER)])).toEqual(["queued", "queued", "queued"]);
    expect(silent).toMatchObject({ stopped: 1 });
    expect(fresh).toMatchObject({ started: 1, stopped: 0 });
    expect(fresh.published).toHaveLength(3);
  });

  it("keeps a connection that answers others: the queue is at fault, and left alone for 5 s", async () => {
    let giveUp = (_: Answer): void => undefined;
    const pending = new Promise<Answer>((resolve) => {
      giveUp = resolve;
    });
    const { line, clock } = lineOver(new FakeBroker([() => pending, "queued"]));
    const slow = line.publish(JOB);
    clock.advance(700);
    expect(await line.publish(OTHER)).toBe("queued");
    giveUp(late(true));
    await expect(slow).rejects.toBeInstanceOf(PublishLate);
    await expect(line.publish(JOB)).rejects.toThrow(/acme-default/);
    expect(await line.publish(OTHER)).toBe("queued");
    clock.advance(4_999);
    await expect(line.publish(JOB)).rejects.toBeInstanceOf(BrokerUnavailable);
    clock.advance(1);
    expect(await line.publish(JOB)).toBe("queued");
  });

  it("does not ask for a queue that is missing for 1 s", async () => {
    const broker = new FakeBroker(["unroutable"]);
    const { line, clock } = lineOver(broker);
    expect(await line.publish(JOB)).toBe("unroutable");
    await expect(line.publish(JOB)).rejects.toBeInstanceOf(BrokerUnavailable);
    expect(await line.publish(OTHER)).toBe("queued");
    clock.advance(1_000);
    expect(await line.publish(JOB)).toBe("queued");
    expect(broker.published).toHaveLength(3);
  });

  it("waits for a connection once, then refuses all at once until there is one", async () => {
    const broker = new FakeBroker([late(false)]);
    broker.connected = false;
    const { line } = lineOver(broker);
    await expect(line.publish(JOB)).rejects.toBeInstanceOf(PublishLate);
    await expect(line.publish(OTHER)).rejects.toThrow("not connected");
    expect(broker.published).toHaveLength(1);
    broker.connected = true;
    expect(await line.publish(OTHER)).toBe("queued");
  });

  it("does not try again while RabbitMQ takes no messages, and leaves the queue alone", async () => {
    const broker = new FakeBroker([late(false)]);
    const { line } = lineOver(broker);
    await expect(line.publish(JOB)).rejects.toBeInstanceOf(PublishLate);
    await expect(line.publish(JOB)).rejects.toThrow(/acme-default/);
    expect(broker).toMatchObject({ stopped: 0 });
    expect(broker.published).toHaveLength(1);
  });

  it("has no more than 1,000 messages in the publisher's hands, and serves the others in their order", async () => {
    const broker = new FakeBroker([]);
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const publish = broker.publisher.publish;
    broker.publisher.publish = async (job) => {
      const answer = await publish(job);
      await held;
      return answer;
    };
    const { line } = lineOver(broker);
    const all = Array.from({ length: 1_500 }, (_, i) => line.publish({ ...JOB, id: String(i) }));
    expect(broker.published).toHaveLength(1_000);
    release();
    await Promise.all(all);
    expect(broker.published.map(({ id }) => id)).toEqual(Array.from({ length: 1_500 }, (_, i) => String(i)));
  });

  it("passes on what is no matter of RabbitMQ's", async () => {
    const bug = new TypeError("a bug");
    const { line } = lineOver(new FakeBroker([bug]));
    await expect(line.publish(JOB)).rejects.toBe(bug);
  });

  it("closed, takes nothing any more; before its first job there is nothing to close", async () => {
    const broker = new FakeBroker([]);
    const { line } = lineOver(broker);
    await line.publish(JOB);
    await line.close();
    await line.close();
    expect(broker.stopped).toBe(1);
    await expect(line.publish(JOB)).rejects.toThrow("the client is closed");
    const { line: unused } = lineOver();
    await unused.close();
    await expect(unused.publish(JOB)).rejects.toThrow("the client is closed");
  });
});
