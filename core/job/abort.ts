import { RogerError } from "../contract/errors.ts";

/**
 * Why a run must end before its handler has settled.
 *
 * | code | then |
 * |---|---|
 * | `shutdown`, `partition_stopped`, `connection_lost`, `lease_lost` | the job goes back to its queue, no attempt is charged |
 * | `cancelled` | the job is over |
 * | `timed_out` | the attempt has failed |
 */
export type AbortCode = "shutdown" | "partition_stopped" | "connection_lost" | "lease_lost" | "cancelled" | "timed_out";

/** The reason of a run's `signal`. */
export class RunAborted extends RogerError {
  declare readonly code: AbortCode;

  constructor(code: AbortCode) {
    super(code, `aborted: ${code.replace("_", " ")}`);
    this.name = "RunAborted";
  }
}
