import { describeError } from "../core/contract/errors.ts";
import { RunAborted } from "../core/job/abort.ts";
import { Discard, RetryAfter, Snooze } from "../core/job/verdicts.ts";

/** What a handler threw, in a form that passes from thread to thread. */
export type Packed = { readonly value: unknown } | { readonly error: PackedError };

interface PackedError {
  /** The name of the nearest class that both threads know. */
  readonly kind: string;
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly cause: Packed | undefined;
  /** Its own fields, as far as they can be copied: `seconds`, `code`, `status` and the like. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Those that decide about a job first; then the language's own, which a retry's `delay` may ask for with `instanceof`. */
const KINDS = [Discard, Snooze, RetryAfter, RunAborted, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError, Error] as const;

/** A cause may have a cause, and so on; an error may even be its own. */
const DEEPEST_CAUSE = 8;

/** Never throws, whatever was thrown. */
export function packThrown(thrown: unknown, depth = 0): Packed {
  try {
    if (!(thrown instanceof Error)) return { value: structuredClone(thrown) };
    const cause = thrown.cause === undefined || depth >= DEEPEST_CAUSE ? undefined : packThrown(thrown.cause, depth + 1);
    const kind = KINDS.find((Kind) => thrown instanceof Kind)?.name ?? "Error";
    return { error: { kind, ...texts(thrown), cause, fields: cloneable(thrown) } };
  } catch {
    // A getter that throws, or a value that can't be copied: what can be said of it is all that is left.
    return { value: describeError(thrown).message };
  }
}

/** What equals the packed, as far as Roger and a job's retry policy can see: class, name, message, stack, cause, fields. */
export function unpackThrown(packed: Packed): unknown {
  if ("value" in packed) return packed.value;
  const { kind, name, message, stack, cause, fields } = packed.error;
  const error = new Error(message);
  const Kind = KINDS.find((known) => known.name === kind) ?? Error;
  Object.setPrototypeOf(error, Kind.prototype);
  Object.defineProperty(error, "name", { value: name, writable: true, configurable: true });
  Object.defineProperty(error, "stack", { value: stack, writable: true, configurable: true });
  if (cause !== undefined) Object.defineProperty(error, "cause", { value: unpackThrown(cause), writable: true, configurable: true });
  return Object.assign(error, fields);
}

function texts({ name, message, stack }: Error): Pick<PackedError, "name" | "message" | "stack"> {
  return { name: String(name), message: String(message), stack: stack === undefined ? undefined : String(stack) };
}

function cloneable(error: Error): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(error)) {
    if (["name", "message", "stack", "cause"].includes(field)) continue;
    try {
      fields[field] = structuredClone(value);
    } catch {
      // A socket, a function: it means nothing in another thread.
    }
  }
  return fields;
}
