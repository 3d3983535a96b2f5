/** The registry: every job that this file exports can be enqueued and run. */

export { fail } from "./fail.ts";
export { hashFile } from "./hash-file.ts";
export { sleep } from "./sleep.ts";
