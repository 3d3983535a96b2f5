import type { RetriedBuried } from "../client/views.ts";
import { type Command, given, type Input, type Output, positional, type Streamed, UsageError } from "./command.ts";
import { jobLines, jobTable } from "./job-lines.ts";
import { list, PAGE_OPTIONS } from "./listing.ts";
import { table } from "./table.ts";

/** What may stand after the partition; each takes a job id or none. */
const ACTIONS: Readonly<Record<string, (input: Input, job: string | undefined) => Promise<Output | Streamed>>> = {
  list: listBuried,
  show,
  retry,
  delete: remove,
};

const buried: Command = {
  name: "buried",
  summary: "dead jobs: list them, show one, retry one or all, delete one",
  usage: "<partition> [list | show <job id> | retry <job id> | retry --all | delete <job id>]",
  positionals: [1, 3],
  options: {
    ...PAGE_OPTIONS,
    all: { type: "boolean", help: `retry: all of them; list: ${PAGE_OPTIONS.all.help}` },
    name: { type: "string", value: "<name>", help: "retry --all: only jobs of this name" },
  },
  examples: ["buried acme", "buried acme retry 019ab5a0-1c2d-7e3f-8a4b-5c6d7e8f9a0b", "buried acme retry --all --name send-invoice"],
  run: async (input) => {
    const [, action = "list", job] = input.positionals;
    const run = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
    if (run === undefined) throw new UsageError(`buried: "${action}" is not list, show, retry or delete`);
    return run(input, job);
  },
};

export const buriedCommands: readonly Command[] = [buried];

async function listBuried(input: Input, job: string | undefined): Promise<Output | Streamed> {
  if (job !== undefined) throw new UsageError("buried list takes no job id; see buried show");
  return list(input, {
    member: "jobs",
    fetch: (page) => input.api.jobs(positional(input, 0), { state: "buried", ...page }),
    table: (jobs) => jobTable(jobs, "no buried jobs"),
  });
}

async function show(input: Input, job: string | undefined): Promise<Output> {
  const answer = await input.api.buried(positional(input, 0), wanted("show", job));
  return { answer, lines: jobLines(answer) };
}

async function retry(input: Input, job: string | undefined): Promise<Output> {
  if (input.flag("all")) {
    if (job !== undefined) throw new UsageError("buried retry takes a job id or --all, not both");
    return retryAll(input);
  }
  if (input.text("name") !== undefined) throw new UsageError("--name goes with --all");
  const answer = await input.api.retryBuried(positional(input, 0), wanted("retry", job, " or --all"));
  return { answer, lines: [`${answer.job_id} is on its way again`] };
}

/** A part at a time, on from where the last one ended. */
async function retryAll(input: Input): Promise<Output> {
  const which = given({ name: input.text("name") });
  let part = await input.api.retryAllBuried(positional(input, 0), which);
  let { retried } = part;
  const failed: RetriedBuried["failed"][number][] = [...part.failed];
  while (part.cursor !== null) {
    part = await input.api.retryAllBuried(positional(input, 0), { ...which, cursor: part.cursor });
    retried += part.retried;
    failed.push(...part.failed);
  }
  const rows = failed.map(({ job_id, code }) => [job_id, code]);
  return {
    answer: { retried, failed, more: false, cursor: null },
    lines: [
      `${retried} ${retried === 1 ? "job is" : "jobs are"} on their way again`,
      ...(rows.length === 0 ? [] : table(["STAYS BURIED", "WHY"], rows, "")),
    ],
  };
}

async function remove(input: Input, job: string | undefined): Promise<Output> {
  const answer = await input.api.deleteBuried(positional(input, 0), wanted("delete", job));
  return { answer, lines: [`${answer.job_id} is deleted`] };
}

function wanted(action: string, job: string | undefined, otherwise = ""): string {
  if (job === undefined) throw new UsageError(`buried ${action} takes a job id${otherwise}`);
  return job;
}
