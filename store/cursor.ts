import { InvalidInput } from "../core/contract/errors.ts";

/** A place in a list, as callers get it: opaque, safe in a URL, good only for a list of the same kind. */
export function encodeCursor(kind: string, place: string): string {
  return Buffer.from(`${kind}:${place}`).toString("base64url");
}

/**
 * @returns the place; `undefined` without a cursor
 * @throws InvalidInput naming `cursor` when it is none that we gave
 */
export function decodeCursor(kind: string, cursor: string | undefined): string | undefined {
  if (cursor === undefined) return undefined;
  const text = Buffer.from(cursor, "base64url").toString();
  const place = text.startsWith(`${kind}:`) ? text.slice(kind.length + 1) : "";
  // Node skips what is no base64url: only a text that encodes to the very cursor was made here. 1 KB: DynamoDB's bound on a sort key.
  if (place === "" || Buffer.byteLength(place) > 1024 || encodeCursor(kind, place) !== cursor) throw badCursor();
  return place;
}

export function badCursor(): InvalidInput {
  return new InvalidInput("cursor", "not one that a list answered with: leave it out to begin anew");
}
