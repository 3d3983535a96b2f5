import type { TaskView } from "../client/views.ts";
import type { Command } from "./command.ts";
import { table } from "./table.ts";

const tasks: Command = {
  name: "tasks",
  summary: "every task, what it holds and what it runs",
  usage: "",
  positionals: [0, 0],
  options: {},
  examples: ["tasks"],
  run: async (input) => {
    const answer = await input.api.tasks();
    const rows = answer.tasks.map((task) => [
      task.task,
      task.pool,
      task.state,
      task.slots,
      task.slots - task.free,
      task.running.length + task.running_left_out,
      task.reported_at,
      shares(task),
    ]);
    return { answer, lines: table(["TASK", "POOL", "STATE", "SLOTS", "BUSY", "RUNNING", "REPORTED", "SHARES"], rows, "no tasks") };
  },
};

/** So many fit a line; --json has them all. */
const SHARES_SHOWN = 5;

function shares({ shares }: TaskView): string {
  const shown = shares.slice(0, SHARES_SHOWN).map(({ partition, queue, share }) => `${partition}-${queue}=${share}`);
  return [...shown, ...(shares.length > SHARES_SHOWN ? [`and ${shares.length - SHARES_SHOWN} more`] : [])].join(" ");
}

export const taskCommands: readonly Command[] = [tasks];
