/**
 * The one error family of Roger. `code` is stable and public (it is the `code` of a problem+json answer);
 * the message is for people and may change.
 */
export class RogerError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RogerError";
    this.code = code;
  }
}

/** Input that a caller can mend. `field` is the path of the offending value as the caller wrote it: `queues.default`. */
export class InvalidInput extends RogerError {
  readonly field: string;
  /** What is wrong with it: the message without the field, for callers that know the field by another name. */
  readonly problem: string;

  constructor(field: string, problem: string) {
    super("invalid_request", `${field}: ${problem}`);
    this.name = "InvalidInput";
    this.field = field;
    this.problem = problem;
  }
}

/** RabbitMQ can't be reached, or did not answer before the deadline. Nothing is known of the message: publish again. */
export class BrokerUnavailable extends RogerError {
  constructor(message: string, options?: ErrorOptions) {
    super("broker_unavailable", message, options);
    this.name = "BrokerUnavailable";
  }
}

/** No confirm came before the deadline. */
export class PublishLate extends BrokerUnavailable {
  /** Whether the message had left: then RabbitMQ may have it. */
  readonly sent: boolean;

  constructor(message: string, sent: boolean) {
    super(message);
    this.name = "PublishLate";
    this.sent = sent;
  }
}

/** What a thrown value says, in texts, however odd the value: handlers may throw anything. Never throws itself. */
export function describeError(thrown: unknown): { name: string; message: string; stack?: string } {
  try {
    if (!(thrown instanceof Error)) return { name: "NonError", message: safeString(thrown) };
    const { name, message, stack } = thrown;
    return { name: safeString(name), message: safeString(message), ...(stack === undefined ? {} : { stack: safeString(stack) }) };
  } catch {
    return { name: "Error", message: "an error whose own text can't be read" };
  }
}

function safeString(value: unknown): string {
  if (typeof value === "string") return value;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}
