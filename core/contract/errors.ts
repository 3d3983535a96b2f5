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

  constructor(field: string, message: string) {
    super("invalid_request", `${field}: ${message}`);
    this.name = "InvalidInput";
    this.field = field;
  }
}

/** RabbitMQ can't be reached, or did not answer before the deadline. Nothing is known of the message: publish again. */
export class BrokerUnavailable extends RogerError {
  constructor(message: string, options?: ErrorOptions) {
    super("broker_unavailable", message, options);
    this.name = "BrokerUnavailable";
  }
}

/** What a thrown value says, however odd the value: handlers may throw anything. */
export function describeError(thrown: unknown): { name: string; message: string; stack?: string } {
  if (thrown instanceof Error) {
    return { name: thrown.name, message: thrown.message, ...(thrown.stack === undefined ? {} : { stack: thrown.stack }) };
  }
  return { name: "NonError", message: typeof thrown === "string" ? thrown : safeString(thrown) };
}

function safeString(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}
