import { randomFillSync } from "node:crypto";
import { v7 } from "uuid";
import { systemClock } from "../contract/clock.ts";

/** An id takes 16 random bytes. They are drawn for many ids at once: a draw costs ten times the rest. */
const IDS_A_DRAW = 256;
const drawn = Buffer.alloc(16 * IDS_A_DRAW);
let left = 0;
/** What the next id is made of, and where; nothing else is allocated for it. */
const random = Buffer.alloc(16);
const bytes = Buffer.alloc(16);

let ms = 0;
/** 32 bits that rise within a millisecond, from a random start. */
let seq = 0;

/** A new job id: UUID version 7, so that ids sort by time of enqueueing; those of one process also within a millisecond. */
export function newJobId(): string {
  if (left === 0) {
    randomFillSync(drawn);
    left = IDS_A_DRAW;
  }
  left -= 1;
  drawn.copy(random, 0, 16 * left, 16 * left + 16);
  const now = systemClock.now();
  if (now > ms) {
    ms = now;
    // The bytes that the id has no other use for; the half of them leaves room to rise.
    seq = random.readUInt32BE(6) >>> 1;
  } else {
    seq = (seq + 1) >>> 0;
    if (seq === 0) ms += 1;
  }
  v7({ random, msecs: ms, seq }, bytes);
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
