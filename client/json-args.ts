import { InvalidInput } from "../core/contract/errors.ts";
import type { Json } from "../core/job/envelope.ts";

/**
 * Args as the worker will get them. Checked in this form, what JSON makes of a Date, a Map or an `undefined` is refused
 * here, by the schema, and not hours later in a worker.
 * @throws InvalidInput naming `args` for what JSON can't hold: BigInts, cycles, nothing at all
 */
export function asJson(args: unknown): Json {
  let text: string | undefined;
  try {
    text = JSON.stringify(args);
  } catch (cause) {
    throw new InvalidInput("args", `no JSON (${cause instanceof Error ? cause.message : String(cause)})`);
  }
  if (text === undefined) throw new InvalidInput("args", "must be given, as JSON has them");
  return JSON.parse(text) as Json;
}
