import { type Command, numberOption, positional, WAIT } from "./command.ts";
import { shown, waitOf } from "./partitions.ts";
import { table } from "./table.ts";

const pause: Command = {
  name: "pause",
  summary: "start no new job of a queue, in any task",
  usage: "<partition> <queue>",
  positionals: [2, 2],
  options: { wait: WAIT },
  examples: ["pause acme default"],
  run: async (input) => shown(await input.api.pause(positional(input, 0), positional(input, 1), waitOf(input))),
};

const resume: Command = {
  name: "resume",
  summary: "end a pause",
  usage: "<partition> <queue>",
  positionals: [2, 2],
  options: { wait: WAIT },
  examples: ["resume acme default"],
  run: async (input) => shown(await input.api.resume(positional(input, 0), positional(input, 1), waitOf(input))),
};

const peek: Command = {
  name: "peek",
  summary: "the first jobs that wait in a queue",
  usage: "<partition> <queue>",
  positionals: [2, 2],
  options: { limit: { type: "string", value: "<n>", help: "at most so many, up to 100" } },
  examples: ["peek acme default --limit 5"],
  run: async (input) => {
    const answer = await input.api.peek(positional(input, 0), positional(input, 1), numberOption(input, "limit"));
    const rows = answer.jobs.map(({ job_id, name, attempt, enqueued_at, args, bytes }) => [
      job_id,
      name,
      attempt,
      enqueued_at,
      job_id === null ? `not a job, ${bytes} bytes` : JSON.stringify(args).slice(0, 80),
    ]);
    return { answer, lines: table(["JOB", "NAME", "ATTEMPT", "ENQUEUED", "ARGS"], rows, "nothing waits there") };
  },
};

const purge: Command = {
  name: "purge",
  summary: "remove the jobs that wait in a queue, and free their keys",
  usage: "<partition> <queue>",
  positionals: [2, 2],
  options: {},
  examples: ["purge acme default"],
  run: async (input) => {
    const [partition, queue] = [positional(input, 0), positional(input, 1)];
    // A part at a time, on from where the last one ended.
    let part = await input.api.purge(partition, queue);
    let { removed } = part;
    while (part.cursor !== null) {
      part = await input.api.purge(partition, queue, part.cursor);
      removed += part.removed;
      if (part.cursor !== null) input.tell(`${removed} removed so far`);
    }
    return { answer: { removed, more: false, cursor: null }, lines: [`${removed} ${removed === 1 ? "job" : "jobs"} removed`] };
  },
};

export const queueCommands: readonly Command[] = [pause, resume, peek, purge];
