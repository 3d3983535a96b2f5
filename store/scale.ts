import type { ScaleState } from "../core/partition/desired-tasks.ts";
import type { ScaleStore } from "../core/partition/scale-store.ts";
import { StoreRefused } from "./errors.ts";
import { type Key, newRev, type Table, updateItem } from "./items.ts";

/** `wish` is moved by wishers alone, the rest by the pass; so `rev`, the mark of the pass's last write, outlives a wish. */
interface ScaleItem extends Key {
  readonly wish: number;
  readonly pools: Readonly<Record<string, ScaleState>>;
  readonly runner?: string;
  readonly claimed_until?: number;
  readonly rev: string;
}

const SCALE: Key = { pk: "SCALE", sk: "SCALE" };

/*
 *   wisher   wish 7 ───────────── wish 8                        wish 9
 *   runner          begin: sees 7 ───── finish 7: refused ─ begin: sees 8 ─── finish … refused again, or ended
 *   another             begin: refused, the claim stands until its time
 *
 * A wish that comes during a pass refuses its end, so it is never lost; the runner begins again under its own claim.
 */
const FREE_MINE_OR_LAPSED = "attribute_not_exists(runner) OR runner = :me OR claimed_until <= :now";
const MINE_AND_NO_NEW_WISH = "runner = :me AND wish = :seen";

export function scaleStore(table: Table): ScaleStore {
  return {
    wish: () => wish(table),
    begin: (runner, now, until) => begin(table, { runner, now, until }),
    finish: (runner, seen, pools) => finish(table, runner, seen, pools),
  };
}

/** Counted twice when its reply was lost: one pass more, no harm. */
async function wish(table: Table): Promise<number> {
  const result = await updateItem<ScaleItem>(table, SCALE, { update: "ADD wish :one", values: { ":one": 1 } });
  if (!result.written) throw new StoreRefused("a wish has no condition, yet it was refused");
  return result.item.wish;
}

async function begin(table: Table, pass: { readonly runner: string; readonly now: number; readonly until: number }): ReturnType<ScaleStore["begin"]> {
  const rev = newRev();
  const result = await updateItem<ScaleItem>(
    table,
    SCALE,
    {
      update: "SET runner = :me, claimed_until = :until, rev = :rev, wish = if_not_exists(wish, :zero), pools = if_not_exists(pools, :none)",
      condition: FREE_MINE_OR_LAPSED,
      values: { ":me": pass.runner, ":until": pass.until, ":now": pass.now, ":rev": rev, ":zero": 0, ":none": {} },
    },
    (item) => item?.rev === rev,
  );
  return result.written ? { pools: result.item.pools, wish: result.item.wish } : undefined;
}

async function finish(table: Table, runner: string, seen: number, pools: ScaleItem["pools"]): Promise<boolean> {
  const rev = newRev();
  const { written } = await updateItem<ScaleItem>(
    table,
    SCALE,
    {
      update: "SET pools = :pools, rev = :rev REMOVE runner, claimed_until",
      condition: MINE_AND_NO_NEW_WISH,
      values: { ":pools": pools, ":rev": rev, ":me": runner, ":seen": seen },
    },
    (item) => item?.rev === rev,
  );
  return written;
}
