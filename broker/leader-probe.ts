import type { Channel } from "amqplib";
import { systemClock } from "../core/contract/clock.ts";
import { BrokerUnavailable } from "../core/contract/errors.ts";
import { Window } from "../core/contract/window.ts";
import { LONGEST_PAUSE_MS, SupervisedConnection } from "./connection.ts";
import { Deadline, isRefusal, replyCode } from "./deadline.ts";
import { QuestionChannels } from "./question-channels.ts";
import type { BrokerSettings } from "./settings.ts";
import { NOT_FOUND } from "./topology.ts";

/** Queues asked at once. One that does not answer keeps its place until the deadline; those that did not before have places apart. */
const WIDTH = { fresh: 32, suspect: 8 } as const;
/** Channels kept open between two questions. */
const KEPT = 8;
/** Suspects remembered; beyond it all are asked as if for the first time. */
const MOST_SUSPECTS = 10_000;
/**
 * While nobody can be asked, a suspect is left alone for so long, then tried again. It must be, some time: a publish that is
 * late for another queue's fault, or in an alarm, makes its queue a suspect, too.
 */
const LEFT_ALONE_MS = 300_000;

/**
 * Finds out whether a queue has a leader, before that is found out the hard way.
 *
 * RabbitMQ does what needs a quorum queue's leader (consume, cancel, get, the first publish) within its process for the
 * channel. Without a leader that process waits, with all acks of the channel behind it, for `net_ticktime` and 5 s (65 s by
 * default; closing the channel does not end it), and then RabbitMQ ends the whole *connection* with 541 INTERNAL_ERROR. So
 * whoever is going to do one of these asks here first, on a connection that carries nothing else.
 *
 * The question is a `get`. An empty queue has nothing to give: it costs an entry in the queue's log. One that counts
 * messages has a leader, or had one lately, so it is asked only if it is a suspect: it failed to answer before. What it
 * gives then goes back. To declare a queue passively says nothing: RabbitMQ answers with zeros when there is no leader.
 */
export class LeaderProbe {
  private readonly settings: BrokerSettings;
  /** What is asked here is done there, or on others that come and go with it. */
  private readonly main: SupervisedConnection;
  private readonly connection: SupervisedConnection;
  private readonly questions: QuestionChannels;
  private readonly windows = { fresh: new Window(WIDTH.fresh), suspect: new Window(WIDTH.suspect) };
  /** Queue -> when it was doubted last, by the monotonic clock. */
  private readonly suspects = new Map<string, number>();
  private begun = false;
  /** By the monotonic clock: since then `main` is connected and we are not, although we want to be. */
  private aloneSince: number | undefined;

  constructor(settings: BrokerSettings, main: SupervisedConnection) {
    this.settings = settings;
    this.main = main;
    this.connection = new SupervisedConnection(`${settings.name} probe`, settings);
    this.questions = new QuestionChannels(this.connection, { deadlineMs: settings.rpcDeadlineMs, kept: KEPT });
    for (const each of [main, this.connection]) each.watch(() => this.noteAbsence());
  }

  /**
   * Resolves when the queue has answered, or nobody can be asked and it is no suspect, or none of late.
   * @returns whether it exists
   * @throws BrokerUnavailable when it does not answer before the deadline, which is counted from the call
   */
  async ask(brokerQueue: string): Promise<boolean> {
    this.begun = true;
    void this.connection.start(); // with the first question: who asks none needs no such connection
    this.noteAbsence();
    if (this.doesWithout(brokerQueue)) return true;
    const exists = await this.inPlace(brokerQueue).then(
      () => true,
      (error: unknown) => {
        if (replyCode(error) === NOT_FOUND) return false;
        throw error;
      },
    );
    this.suspects.delete(brokerQueue);
    return exists;
  }

  /** The queue did not answer somebody else: from now on its count of messages proves nothing. */
  doubt(brokerQueue: string): void {
    if (this.suspects.size >= MOST_SUSPECTS) this.suspects.clear();
    this.suspects.set(brokerQueue, systemClock.monotonic());
  }

  stop(): Promise<void> {
    return this.connection.stop();
  }

  /**
   * The others are up, and this one was not to be had for longer than it takes to connect (RabbitMQ has a bound on its
   * connections, say). To consume, cancel and publish without a question is then the smaller evil: a queue without a leader
   * is rare, and a task that can do none of it would be of no use.
   */
  private doesWithout(brokerQueue: string): boolean {
    if (this.aloneSince === undefined) return false;
    const now = systemClock.monotonic();
    const doubtedAt = this.suspects.get(brokerQueue) ?? Number.NEGATIVE_INFINITY;
    return now - this.aloneSince > this.settings.connectDeadlineMs + LONGEST_PAUSE_MS && now - doubtedAt > LEFT_ALONE_MS;
  }

  private async inPlace(brokerQueue: string): Promise<void> {
    const deadline = new Deadline(this.settings.rpcDeadlineMs);
    const what = `ask ${brokerQueue} for its leader`;
    const places = this.windows[this.suspects.has(brokerQueue) ? "suspect" : "fresh"];
    const answered = places.run(async () => {
      if (deadline.remainingMs() === 0) throw new BrokerUnavailable(`${what}: no place within the deadline`); // and it goes to the next at once
      await this.questions.ask(what, (channel) => this.question(channel, brokerQueue, deadline), deadline);
    });
    await deadline.within(answered, what);
  }

  private async question(channel: Channel, brokerQueue: string, deadline: Deadline): Promise<void> {
    if (!this.suspects.has(brokerQueue) && (await channel.checkQueue(brokerQueue)).messageCount > 0) return;
    const { model } = this.connection;
    try {
      const message = await deadline.within(channel.get(brokerQueue, { noAck: false }), `get from ${brokerQueue}`);
      if (message !== false) channel.nack(message, false, true);
    } catch (error) {
      // A connection that is lost says nothing of the queue.
      if (model === this.connection.model && !isRefusal(error)) this.doubt(brokerQueue);
      throw error;
    }
  }

  private noteAbsence(): void {
    const alone = this.begun && this.main.model !== undefined && this.connection.model === undefined;
    this.aloneSince = alone ? (this.aloneSince ?? systemClock.monotonic()) : undefined;
  }
}
