import type { JobDetail, JobState, JobView } from "../client/views.ts";
import type { Json } from "../core/job/envelope.ts";
import { type Command, given, type Input, numberOption, positional, UsageError } from "./command.ts";
import { nextPage } from "./partitions.ts";
import { printable, table } from "./table.ts";

const enqueue: Command = {
  name: "enqueue",
  summary: "enqueue a job; its args as JSON, or - to read them from standard input",
  usage: "<partition> <job name> [<args>|-]",
  positionals: [2, 3],
  options: {
    delay: { type: "string", value: "<seconds>", help: "run it so much later" },
    "run-at": { type: "string", value: "<time>", help: "run it then: ISO 8601 with an offset" },
  },
  examples: [`enqueue acme hash-file '{"path":"/etc/hosts"}'`, "enqueue acme sleep - --delay 5 < args.json"],
  run: async (input) => {
    const job = {
      name: positional(input, 1),
      args: await argsOf(input),
      ...given({ delay: numberOption(input, "delay"), run_at: input.text("run-at") }),
    };
    const answer = await input.api.enqueue(positional(input, 0), job);
    return { answer, lines: [answer.job_id] };
  },
};

const jobs: Command = {
  name: "jobs",
  summary: "running, parked or buried jobs; or where one job is",
  usage: "<partition> [<job id>]",
  positionals: [1, 2],
  options: {
    state: { type: "string", value: "<state>", help: "running (as without it), parked or buried" },
    limit: { type: "string", value: "<n>", help: "at most so many, up to 100" },
    cursor: { type: "string", value: "<cursor>", help: "the next page, as the last one said" },
  },
  examples: ["jobs acme", "jobs acme --state buried", "jobs acme 019ab5a0-1c2d-7e3f-8a4b-5c6d7e8f9a0b"],
  run: async (input) => {
    const [, id] = input.positionals;
    if (id !== undefined) {
      const job = await input.api.job(positional(input, 0), id);
      return { answer: job, lines: detail(job) };
    }
    // The API says which states there are.
    const state = (input.text("state") ?? "running") as JobState;
    const page = await input.api.jobs(positional(input, 0), {
      state,
      ...given({ limit: numberOption(input, "limit"), cursor: input.text("cursor") }),
    });
    const lines = table(["JOB", "NAME", "QUEUE", "ATTEMPT", "SINCE", "WHAT"], page.jobs.map(row), `no ${state} jobs`);
    return { answer: page, lines: [...lines, ...nextPage(page.cursor)] };
  },
};

export const jobCommands: readonly Command[] = [enqueue, jobs];

async function argsOf(input: Input): Promise<Json> {
  const given = input.positionals[2];
  if (given === undefined) return {};
  const text = given === "-" ? await input.readStdin() : given;
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw new UsageError(`args: not JSON (${error instanceof Error ? error.message : String(error)})`);
  }
}

function row(job: JobView): (string | number)[] {
  const start = [job.job_id, job.name, job.queue, job.attempt];
  switch (job.state) {
    case "running":
      return [...start, job.started_at, `on ${job.task}${progress(job.progress)}`];
    case "parked":
      return [...start, job.since, `${job.reason}, due ${job.due}`];
    case "buried":
      return [...start, job.buried_at, `${job.reason}: ${job.error.message.slice(0, 100)}`];
  }
}

function progress(fraction: number | null): string {
  return fraction === null ? "" : `, ${Math.floor(fraction * 100)} %`;
}

function detail(job: JobDetail): string[] {
  if (job.state === "unknown") return [`${job.job_id} is queued or finished, or never was: plain jobs leave no trace`];
  const lines = [`${job.job_id} is ${job.state}`, ...table(["NAME", "QUEUE", "ATTEMPT", "SINCE", "WHAT"], [row(job).slice(1)], "")];
  if (job.state !== "running") lines.push(`args ${JSON.stringify(job.args)}`);
  if (job.state !== "buried") return lines;
  const failures = job.history.map(({ attempt, failed_at, task, error }) => [attempt, failed_at, task, `${error.name}: ${error.message}`]);
  const stack = (job.error.stack ?? "").split("\n").filter((line) => line !== "");
  return [...lines, ...table(["ATTEMPT", "FAILED", "TASK", "ERROR"], failures, "no failed attempts are remembered"), ...stack.map(printable)];
}
