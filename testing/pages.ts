import { InvalidInput } from "../core/contract/errors.ts";

export interface PageWish {
  readonly limit: number;
  readonly cursor?: string;
}

/**
 * One page of a partition's items, by id.
 * @param kind of the list: a cursor is good only for a list of the same kind
 * @throws InvalidInput naming `cursor` when it is none that such a list answered with
 */
export function pageOf<Item extends { readonly id: string }>(
  kind: string,
  items: readonly Item[],
  wish: PageWish,
): { items: Item[]; cursor?: string } {
  const after = placeOf(kind, wish.cursor);
  const rest = items.filter(({ id }) => after === undefined || id > after).sort((a, b) => (a.id < b.id ? -1 : 1));
  const page = rest.slice(0, wish.limit);
  const last = page.at(-1);
  return { items: page, ...(last === undefined || page.length === rest.length ? {} : { cursor: cursorOf(kind, last.id) }) };
}

function cursorOf(kind: string, id: string): string {
  return Buffer.from(`${kind}:${id}`).toString("base64url");
}

function placeOf(kind: string, cursor: string | undefined): string | undefined {
  if (cursor === undefined) return undefined;
  const text = Buffer.from(cursor, "base64url").toString();
  const id = text.startsWith(`${kind}:`) ? text.slice(kind.length + 1) : "";
  if (id === "" || Buffer.byteLength(id) > 1024 || cursorOf(kind, id) !== cursor) {
    throw new InvalidInput("cursor", "not one that a list answered with: leave it out to begin anew");
  }
  return id;
}
