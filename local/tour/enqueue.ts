import type { JobRequest } from "../../client/views.ts";
import { LIMITS } from "../../core/contract/limits.ts";
import type { World } from "./world.ts";

/** Enqueues jobs in requests of at most 100. @returns their ids @throws ApiProblem; Error when single jobs are refused */
export async function enqueueAll({ api, signal }: World, partition: string, jobs: readonly JobRequest[]): Promise<string[]> {
  const ids: string[] = [];
  for (let i = 0; i < jobs.length; i += LIMITS.bulkJobs) {
    signal.throwIfAborted();
    const answer = await api.enqueueAll(partition, jobs.slice(i, i + LIMITS.bulkJobs));
    for (const job of answer.jobs) {
      if ("error" in job) throw new Error(`a job of ${partition} was refused: ${job.error.detail}`);
      ids.push(job.job_id);
    }
  }
  return ids;
}

/** Messages that wait in the queue `default`, counted by looking at them: at most 100. */
export async function countReady({ api }: World, partition: string): Promise<number> {
  return (await api.peek(partition, "default", 100)).jobs.length;
}

/** Whether accepted jobs are still on their way to RabbitMQ. */
export async function isParked({ api }: World, partition: string): Promise<boolean> {
  return (await api.jobs(partition, { state: "parked", limit: 1 })).jobs.length > 0;
}
