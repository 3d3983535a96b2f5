/** One queue key of a partition. The key itself may be any text up to 512 bytes; the store hashes it. */
export interface QueueKeyRef {
  readonly partition: string;
  readonly key: string;
}

/** Names a key without its text: what the due index and the pump know of it. */
export interface QueueKeyHandle {
  readonly partition: string;
  readonly hash: string;
}
