import { RogerError } from "../contract/errors.ts";

/** Another job has the queue key, or the caller's own id was accepted before: nothing was enqueued. */
export class DuplicateJob extends RogerError {
  /** The job that has the key. With an id of the caller's, that very id. */
  readonly existingJobId: string;

  constructor(existingJobId: string) {
    super("duplicate_job", `job ${existingJobId} has the same key`);
    this.name = "DuplicateJob";
    this.existingJobId = existingJobId;
  }
}
