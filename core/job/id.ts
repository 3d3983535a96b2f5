import { v7 } from "uuid";

/** A new job id: UUID version 7, so that ids sort by time of enqueueing. */
export function newJobId(): string {
  return v7();
}
