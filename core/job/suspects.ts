/** Counts the starts of jobs that may be what kills their worker. Each count is forgotten after 7 days. */
export interface SuspectStore {
  /** How often it was started without an orderly end. */
  starts(partition: string, id: string): Promise<number>;
  /** Before a suspect starts. @returns how often it was started without an orderly end, this start included */
  started(partition: string, id: string): Promise<number>;
  /** An orderly end: the count is gone. */
  cleared(partition: string, id: string): Promise<void>;
}
