import type { OutgoingJob } from "../core/job/broker.ts";
import type { NewParkedJob } from "../core/job/parked.ts";
import type { EnqueuedJob } from "./assert-enqueued.ts";
import type { Hook, PortCall } from "./calls.ts";
import { seenJob } from "./seen-jobs.ts";

/** Writes down what a client's calls have made durable, by what they have published and parked. */
export class EnqueueLog implements Hook {
  readonly jobs: EnqueuedJob[] = [];

  after({ port, method, args }: PortCall, answer: unknown): undefined {
    if (port === "publisher" && answer === "queued") {
      const { body } = args[0] as OutgoingJob;
      this.jobs.push({ ...seenJob(body), delay: 0 });
    }
    if (port === "parked" && method === "park" && answer !== undefined) {
      const { body, due } = args[0] as NewParkedJob;
      const job = seenJob(body);
      this.jobs.push({ ...job, delay: (due - job.enqueuedAt) / 1000 });
    }
  }
}
