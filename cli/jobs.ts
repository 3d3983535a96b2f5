import type { JobState } from "../client/views.ts";
import type { Json } from "../core/job/envelope.ts";
import { type Command, given, type Input, numberOption, positional, refuseOptions, UsageError } from "./command.ts";
import { jobLines, jobTable, reasonLines } from "./job-lines.ts";
import { list, PAGE_OPTIONS } from "./listing.ts";

const enqueue: Command = {
  name: "enqueue",
  summary: "enqueue a job; its args as JSON, or - to read them from standard input",
  usage: "<partition> <job name> [<args>|-]",
  positionals: [2, 3],
  options: {
    id: { type: "string", value: "<id>", help: "an id of yours: a second job of the same id is refused" },
    delay: { type: "string", value: "<seconds>", help: "run it so much later" },
    "run-at": { type: "string", value: "<time>", help: "run it then: ISO 8601 with an offset" },
  },
  examples: [
    `enqueue acme hash-file '{"path":"/etc/hosts"}'`,
    `enqueue acme hash-file '{"path":"/etc/hosts"}' --id nightly-2026-11-24`,
    "enqueue acme sleep - --delay 5 < args.json",
  ],
  run: async (input) => {
    const job = {
      name: positional(input, 1),
      args: await argsOf(input),
      ...given({ id: input.text("id"), delay: numberOption(input, "delay"), run_at: input.text("run-at") }),
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
    ...PAGE_OPTIONS,
  },
  examples: ["jobs acme", "jobs acme --state parked --all --json", "jobs acme 019ab5a0-1c2d-7e3f-8a4b-5c6d7e8f9a0b"],
  run: async (input) => {
    if (input.positionals[1] !== undefined) {
      refuseOptions(input, Object.keys(jobs.options));
      return job.run(input);
    }
    // The API says which states there are.
    const state = (input.text("state") ?? "running") as JobState;
    return list(input, {
      member: "jobs",
      fetch: (page) => input.api.jobs(positional(input, 0), { state, ...page }),
      table: (jobs) => jobTable(jobs, `no ${state} jobs`),
    });
  },
};

const job: Command = {
  name: "job",
  summary: "where a job is, in full",
  usage: "<partition> <job id>",
  positionals: [2, 2],
  options: {},
  examples: ["job acme 019ab5a0-1c2d-7e3f-8a4b-5c6d7e8f9a0b"],
  run: async (input) => {
    const answer = await input.api.job(positional(input, 0), positional(input, 1));
    return { answer, lines: jobLines(answer) };
  },
};

const explain: Command = {
  name: "explain",
  summary: "why a job is where it is, or does not run",
  usage: "<partition> <job id>",
  positionals: [2, 2],
  options: {},
  examples: ["explain acme 019ab5a0-1c2d-7e3f-8a4b-5c6d7e8f9a0b"],
  run: async (input) => {
    const answer = await input.api.explain(positional(input, 0), positional(input, 1));
    return { answer, lines: reasonLines(`${answer.job_id} is ${answer.state}`, answer.reasons) };
  },
};

const cancel: Command = {
  name: "cancel",
  summary: "cancel a job, wherever it is; a running one is told to end",
  usage: "<partition> <job id>",
  positionals: [2, 2],
  options: {},
  examples: ["cancel acme 019ab5a0-1c2d-7e3f-8a4b-5c6d7e8f9a0b"],
  run: async (input) => {
    const answer = await input.api.cancel(positional(input, 0), positional(input, 1));
    const told =
      answer.state === "cancelled" ? "is cancelled: it will not run" : "is being cancelled: whoever has it ends it, unless it ends by itself first";
    return { answer, lines: [`${answer.job_id} ${told}`] };
  },
};

export const jobCommands: readonly Command[] = [enqueue, jobs, job, explain, cancel];

async function argsOf(input: Input): Promise<Json> {
  const given = input.positionals[2];
  if (given === undefined) return {};
  const text = given === "-" ? await input.readStdin() : given;
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw new UsageError(`args: not JSON (${error instanceof Error ? error.message : String(error)}); in quotes for the shell: '{"name":"value"}'`);
  }
}
