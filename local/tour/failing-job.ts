import { type World, waitFor } from "./world.ts";

const MESSAGE = "as the tour asked";

/** A job that fails for good is kept among the buried ones, with its error, for a person to find. */
export async function buryAJob(world: World): Promise<void> {
  const { api, progress, checks } = world;
  const { job_id } = await api.enqueue("acme", { name: "fail", args: { message: MESSAGE } });
  const job = await waitFor(world, { what: "the failing job to be buried", deadlineMs: 30_000 }, async () => {
    const now = await api.job("acme", job_id);
    return now.state === "buried" ? now : undefined;
  });
  const { jobs } = await api.jobs("acme", { state: "buried" });
  checks.that(job.error.message === MESSAGE, "the buried job tells its error", job.error);
  checks.that(
    jobs.some((listed) => listed.job_id === job_id),
    "the failed job is listed among the buried ones",
    jobs.length,
  );
  progress.line(`  the job "fail" is buried (${job.reason}): ${job.error.name}: ${job.error.message}`);
}
