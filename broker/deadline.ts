import { systemClock } from "../core/contract/clock.ts";
import { BrokerUnavailable } from "../core/contract/errors.ts";

/** How long something may take, over all its steps together. */
export class Deadline {
  private readonly ms: number;
  private readonly at: number;

  constructor(ms: number) {
    this.ms = ms;
    this.at = systemClock.monotonic() + ms;
  }

  remainingMs(): number {
    return Math.max(0, this.at - systemClock.monotonic());
  }

  /**
   * Waits for `answer`, no longer than is left. What comes of it later is dropped.
   * @throws BrokerUnavailable when it is too late, or with the failure of `answer` as its cause
   */
  async within<T>(answer: Promise<T>, what: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new BrokerUnavailable(`${what}: no answer within ${this.ms} ms`)), this.remainingMs());
    });
    try {
      return await Promise.race([answer, late]);
    } catch (error) {
      throw unavailable(what, error);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The error that leaves this room; the cause is kept. */
export function unavailable(what: string, cause: unknown): BrokerUnavailable {
  if (cause instanceof BrokerUnavailable) return cause;
  return new BrokerUnavailable(`${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
}

/** AMQP's reply code of a channel or connection error, however deep: 404 not found, 406 precondition failed, … */
export function replyCode(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error instanceof BrokerUnavailable) return replyCode(error.cause);
  return "code" in error && typeof error.code === "number" ? error.code : undefined;
}

/** RabbitMQ has answered, and the answer is no: 403, 404, 405, 406. It ends the channel, and leaves the connection as it is. */
export function isRefusal(error: unknown): boolean {
  const code = replyCode(error);
  return code !== undefined && code >= 400 && code < 500;
}
