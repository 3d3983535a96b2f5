/** A wish that a job end: seen by whoever has the job in hands. */
export interface CancelMark {
  readonly id: string;
  /** Epoch ms; hits only a job enqueued before. */
  readonly at: number;
}

/** Cancel markers of a partition; each is forgotten after 7 days. */
export interface CancelStore {
  /**
   * Puts the marker; one that is there keeps its `hit` and gets the newer time.
   * @returns `false` when the partition has 10,000 already: nothing was written
   */
  mark(partition: string, id: string, at: number): Promise<boolean>;
  /** All that have not lapsed, strongly consistent. */
  list(partition: string): Promise<CancelMark[]>;
  get(partition: string, id: string): Promise<CancelMark | undefined>;
  /**
   * The job was cancelled by this very caller: for one ever. The marker stays, so that late copies are dropped, too.
   * @param by who asks; the same may ask again, and is told the same
   * @returns whether this caller is the first; `false` also when there is no marker
   */
  hit(partition: string, id: string, by: string): Promise<boolean>;
}
