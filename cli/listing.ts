import { given, type Input, numberOption, type Option, type Output, type Streamed, UsageError } from "./command.ts";

/** Lists, which come in pages: one of them, or with `--all` one after the other. */

type Page<Member extends string, T> = { readonly [_ in Member]: readonly T[] } & { readonly cursor: string | null };

export interface Listing<Member extends string, T> {
  /** What the rows are called in an answer. */
  readonly member: Member;
  fetch(page: { readonly limit?: number; readonly cursor?: string }): Promise<Page<Member, T>>;
  /** Rows for people, under headings. */
  table(rows: readonly T[]): string[];
}

/** The largest page that the API gives. */
const PAGE_ROWS = 100;
/** However long the list, a call ends; the cursor that it ends with says where to go on. */
const MOST_PAGES = 1_000;

export const PAGE_OPTIONS = {
  limit: { type: "string", value: "<n>", help: `at most so many, up to ${PAGE_ROWS}` },
  cursor: { type: "string", value: "<cursor>", help: "the next page, as the last one said" },
  all: { type: "boolean", help: `every page, one after the other, up to ${(PAGE_ROWS * MOST_PAGES).toLocaleString("en")}` },
} satisfies Readonly<Record<string, Option>>;

export async function list<Member extends string, T>(input: Input, listing: Listing<Member, T>): Promise<Output | Streamed> {
  const limit = numberOption(input, "limit");
  const cursor = input.text("cursor");
  if (!input.flag("all")) {
    const page = await listing.fetch(given({ limit, cursor }));
    return { answer: page, lines: [...listing.table(page[listing.member]), ...more(page.cursor)] };
  }
  if (limit !== undefined) throw new UsageError("--limit is that of one page: leave it out, or --all");
  return { parts: (json) => (json ? asJson(listing, cursor) : asLines(listing, cursor)) };
}

function more(cursor: string | null): string[] {
  return cursor === null ? [] : [`more: --cursor ${cursor}, or --all`];
}

async function* asLines<Member extends string, T>(listing: Listing<Member, T>, from: string | undefined): AsyncGenerator<string[]> {
  let rest: string | null | undefined;
  try {
    for await (const { rows, cursor } of pagesOf(listing, from)) {
      if (rest === undefined) yield listing.table(rows);
      // An empty page would say that there is nothing.
      else if (rows.length > 0) yield listing.table(rows).slice(1);
      rest = cursor;
    }
  } finally {
    yield more(rest ?? null);
  }
}

/** One document, as the API's answer of a page; where a page fails, its cursor tells from where to go on. */
async function* asJson<Member extends string, T>(listing: Listing<Member, T>, from: string | undefined): AsyncGenerator<string[]> {
  let told = 0;
  let rest: string | null | undefined;
  try {
    for await (const { rows, cursor } of pagesOf(listing, from)) {
      if (rest === undefined) yield [`{${JSON.stringify(listing.member)}:[`];
      const before = told;
      yield rows.map((row, i) => `${before + i === 0 ? "" : ","}${JSON.stringify(row)}`);
      told += rows.length;
      rest = cursor;
    }
  } finally {
    // Else nothing is said yet, and the refusal is the answer.
    if (rest !== undefined) yield [`],"cursor":${JSON.stringify(rest)}}`];
  }
}

async function* pagesOf<Member extends string, T>(
  { member, fetch }: Listing<Member, T>,
  from: string | undefined,
): AsyncGenerator<{ readonly rows: readonly T[]; readonly cursor: string | null }> {
  let next = from;
  for (let page = 0; page < MOST_PAGES; page++) {
    const answer = await fetch(given({ limit: PAGE_ROWS, cursor: next }));
    yield { rows: answer[member], cursor: answer.cursor };
    if (answer.cursor === null) return;
    next = answer.cursor;
  }
}
