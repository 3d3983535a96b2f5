import type { FailedAttemptView, HolderView, JobDetail, JobView, ReasonView, RunningDetail } from "../client/views.ts";
import { printable, table } from "./table.ts";

/** Jobs as people read them. */

type Cells = (string | number | null)[];

export function jobTable(jobs: readonly JobView[], nothing: string): string[] {
  return table(["JOB", "NAME", "QUEUE", "ATTEMPT", "SINCE", "WHAT"], jobs.map(cells), nothing);
}

function cells(job: JobView | RunningDetail): Cells {
  const start = [job.job_id, job.name, job.queue, job.attempt];
  switch (job.state) {
    case "running":
      return [
        ...start,
        job.started_at,
        `on ${job.task}${progress(job.progress)}${job.stuck_since === null ? "" : `, stuck since ${job.stuck_since}`}`,
      ];
    case "parked":
      return [...start, job.since, `${job.reason}, due ${job.due}`];
    case "buried":
      return [...start, job.buried_at, `${job.reason}: ${job.error.message.slice(0, 100)}`];
  }
}

function progress(fraction: number | null): string {
  return fraction === null ? "" : `, ${Math.floor(fraction * 100)} %`;
}

const STATES: Readonly<Record<"queued" | "cancelled" | "unknown", string>> = {
  queued: "is queued",
  cancelled: "was cancelled: it will not start any more",
  unknown: "is queued or finished, or never was: plain jobs leave no trace",
};

/** One job in full. */
export function jobLines(job: JobDetail): string[] {
  switch (job.state) {
    case "queued":
    case "cancelled":
    case "unknown":
      return [`${job.job_id} ${STATES[job.state]}`];
    case "done":
      return [`${job.job_id} is done, and remembered until ${job.remembered_until}`];
    case "running":
      return [...headLines(job), ...(job.token === null ? [] : [`token ${job.token}`])];
    case "parked": {
      const waits = job.waits_for === null ? [] : [waitLine(job.waits_for.key, job.waits_for.held_by)];
      return [...headLines(job), ...waits, argsLine(job.args), ...(job.history.length === 0 ? [] : historyLines(job.history))];
    }
    case "buried": {
      const stack = (job.error.stack ?? "").split("\n").filter((line) => line !== "");
      return [...headLines(job), argsLine(job.args), ...historyLines(job.history), ...stack.map(printable)];
    }
  }
}

function headLines(job: JobView | RunningDetail): string[] {
  return [`${job.job_id} is ${job.state}`, ...table(["NAME", "QUEUE", "ATTEMPT", "SINCE", "WHAT"], [cells(job).slice(1)], "")];
}

function argsLine(args: unknown): string {
  return printable(`args ${JSON.stringify(args)}`);
}

function waitLine(key: string | null, holder: HolderView | null): string {
  const name = key === null ? "its key" : `the key "${key}"`;
  if (holder === null) return printable(`waits for ${name}, which is free`);
  return printable(`waits for ${name}, held by job ${holder.job_id} on ${holder.task}${holder.since === null ? "" : ` since ${holder.since}`}`);
}

function historyLines(history: readonly FailedAttemptView[]): string[] {
  const failures = history.map(({ attempt, failed_at, task, error }) => [attempt, failed_at, task, `${error.name}: ${error.message}`]);
  return table(["ATTEMPT", "FAILED", "TASK", "ERROR"], failures, "no failed attempts are remembered");
}

export function reasonLines(id: string, reasons: readonly ReasonView[]): string[] {
  return [id, ...reasons.map(({ code, detail }) => printable(`  ${detail} (${code})`))];
}
