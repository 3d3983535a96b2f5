import { describe, expect, it } from "vitest";
import type { Input, Streamed } from "../../cli/command.ts";
import { type Listing, list } from "../../cli/listing.ts";
import type { RogerApi } from "../../client/api.ts";

interface Given {
  readonly limit?: string;
  readonly cursor?: string;
  readonly all?: boolean;
}

function input({ all = false, ...texts }: Given): Input {
  const text = (option: string) => (texts as Record<string, string | undefined>)[option];
  return { api: {} as RogerApi, positionals: [], text, texts: () => [], flag: () => all, readStdin: async () => "", tell: () => undefined };
}

/** A list of so many, ten a page; a page may fail. */
function numbers(count: number, failAt = Infinity) {
  const asked: { readonly limit?: number; readonly cursor?: string }[] = [];
  const listing: Listing<"numbers", number> = {
    member: "numbers",
    fetch: async (page) => {
      asked.push(page);
      const from = Number(page.cursor ?? 0);
      if (from >= failAt) throw new Error("gone");
      const to = Math.min(count, from + 10);
      return { numbers: Array.from({ length: to - from }, (_, i) => from + i), cursor: to < count ? String(to) : null };
    },
    table: (rows) => (rows.length === 0 ? ["none"] : ["NUMBER", ...rows.map(String)]),
  };
  return { asked, listing };
}

/** All that is printed, and what it ended with. */
async function printed(given: Given, json: boolean, { listing }: ReturnType<typeof numbers>) {
  const out: string[] = [];
  let failure: unknown;
  try {
    for await (const part of ((await list(input(given), listing)) as Streamed).parts(json)) out.push(...part);
  } catch (error) {
    failure = error;
  }
  return { out, failure };
}

describe("a list", () => {
  it("is one page, which says how to get the next one", async () => {
    const { asked, listing } = numbers(25);
    const page = await list(input({ limit: "10", cursor: "10" }), listing);
    expect(page).toMatchObject({ answer: { numbers: { length: 10 }, cursor: "20" }, lines: { 0: "NUMBER", 11: "more: --cursor 20, or --all" } });
    expect(asked).toEqual([{ limit: 10, cursor: "10" }]);
  });

  it("with --all is every page, under one heading, from a cursor on", async () => {
    const { asked, listing } = numbers(25);
    const { out } = await printed({ all: true, cursor: "10" }, false, { asked, listing });
    expect(out).toEqual(["NUMBER", ...Array.from({ length: 15 }, (_, i) => String(10 + i))]);
    expect(asked).toEqual([
      { limit: 100, cursor: "10" },
      { limit: 100, cursor: "20" },
    ]);
    expect((await printed({ all: true }, false, numbers(0))).out).toEqual(["none"]);
  });

  it.each([0, 1, 10, 25])("with --all and --json is one document of %d rows, made as they come", async (count) => {
    const { out } = await printed({ all: true }, true, numbers(count));
    expect(JSON.parse(out.join("\n"))).toEqual({ numbers: Array.from({ length: count }, (_, i) => i), cursor: null });
  });

  it("that breaks off tells from where to go on, and stays a document", async () => {
    const json = await printed({ all: true }, true, numbers(25, 20));
    expect([JSON.parse(json.out.join("\n")), json.failure]).toMatchObject([{ numbers: { length: 20 }, cursor: "20" }, { message: "gone" }]);
    const lines = await printed({ all: true }, false, numbers(25, 20));
    expect([lines.out.at(-1), lines.failure]).toMatchObject(["more: --cursor 20, or --all", { message: "gone" }]);
    expect(await printed({ all: true }, true, numbers(25, 0))).toMatchObject({ out: [], failure: { message: "gone" } });
  });

  it("has an end, however long it is", async () => {
    const endless = numbers(Infinity);
    const { out } = await printed({ all: true }, true, endless);
    expect(endless.asked).toHaveLength(1_000);
    expect(JSON.parse(out.join("\n"))).toMatchObject({ numbers: { length: 10_000 }, cursor: "10000" });
  });

  it("does not take --limit for all", async () => {
    await expect(list(input({ all: true, limit: "5" }), numbers(1).listing)).rejects.toThrow("--limit is that of one page");
  });
});
