/** A RabbitMQ that somebody else started for us, or that we started. Whoever got it from `startRabbit` stops it. */
export interface Rabbit {
  /** `amqp://…`, the same for the life of this object. */
  readonly url: string;
  /** For people: `private node of RabbitMQ 3.10.8`. */
  readonly how: string;
  /** Ends it and all that was started for it. May be called twice. Data is removed unless its directory was given. */
  stop(): Promise<void>;
  /**
   * SIGKILL: what a power cut does to a broker. Its data stays.
   * n.b. RabbitMQ saves its directory of quorum queues half a second after the last declaration: killed earlier than that,
   * a queue comes back under a new identity, never finds a leader, and everything that touches it hangs.
   * @throws Error for a broker that isn't ours
   */
  kill(): Promise<void>;
  /** Up again with the same port and data; one that still runs is ended in order first. @throws Error for a broker that isn't ours */
  restart(): Promise<void>;
}

export interface RabbitOptions {
  /** A broker that runs already: it is used as it is. @default none, one is started */
  readonly amqpUrl?: string | undefined;
  /** Where a private node keeps its data. @default a directory of its own below os.tmpdir(), removed at the end */
  readonly dataDir?: string | undefined;
  /**
   * After how long RabbitMQ closes the channel of a message that stays unacked, in ms, for tests of just that; looked after
   * every second instead of every minute. @default RabbitMQ's own: 30 minutes
   */
  readonly consumerTimeoutMs?: number | undefined;
  /** A private node that uses more takes no messages. @default `2GB`: thousands of quorum queues need one; it takes what it needs only */
  readonly memoryLimit?: string | undefined;
  /** Told what takes long, for people: one line each. @default nobody is told */
  readonly onProgress?: ((line: string) => void) | undefined;
}

/** What a broker may take from its start to its readiness, in ms. A fresh node needs 5 s on an idle machine, 25 s on a busy one. */
export const READY_DEADLINE_MS = 120_000;

/** The options in the form that RabbitMQ reads from its `advanced.config`. Channels look after their timeouts, in newer versions quorum queues. */
export function advancedConfig({ consumerTimeoutMs }: RabbitOptions): string {
  if (consumerTimeoutMs === undefined) return "[].\n";
  return `[{rabbit, [{consumer_timeout, ${consumerTimeoutMs}}, {channel_tick_interval, 1000}, {quorum_tick_interval, 1000}]}].\n`;
}
