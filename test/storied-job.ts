import type { JobStage } from "../core/job/life.ts";
import type { ParkedJob, ParkedReason } from "../core/job/parked.ts";
import type { ReportedRun } from "../core/job/place.ts";
import type { JobTraces } from "../core/job/traces.ts";
import type { QueueKeyItem } from "../core/keys/queue-key-store.ts";
import { runId, taskOfRun } from "../core/keys/runs.ts";

/** All that can happen to a job, and to what is told of it. What makes no sense where the job is just then does not happen. */
export const MOVES = ["publish", "forget", "deliver", "busy", "tell", "retry", "snooze", "hand back", "move", "bury", "revive", "end"] as const;

export type Move = (typeof MOVES)[number];

const ID = { id: "j", partition: "acme", name: "greet", queue: "default" };

/**
 * One job, as it is and as the table and the reports have it: each move is made as the protocols make it, one write after
 * the other, and no two at the same time.
 */
export class StoriedJob {
  /** As they were made; each is what some reader may still see. */
  readonly reports: (ReportedRun | undefined)[] = [];
  readonly #ownId: boolean;
  #now = 1_000;
  #runs = 0;
  #stage: JobStage = { enqueuedAt: 1_000, attempt: 1 };
  /** A message of it is queued. */
  #queued = false;
  #run: { readonly id: string; readonly startedAt: number } | undefined;
  #parked: ParkedJob | undefined;
  #grave: JobTraces["grave"];
  #done = false;
  /** Since when it waits for its execution key. */
  #waitingSince: number | undefined;

  constructor({ ownId }: { readonly ownId: boolean }) {
    this.#ownId = ownId;
    this.#park("outbox");
  }

  make(move: Move): this {
    this.#now += 1_000;
    switch (move) {
      case "publish":
        if (this.#parked !== undefined && this.#parked.run === undefined) this.#publish(this.#parked);
        break;
      case "forget":
        if (this.#parked?.claimed) this.#parked = undefined;
        break;
      case "deliver":
        // What a test asks for at once has been published before.
        if (this.#runs === 0 && this.#parked !== undefined) this.make("publish").make("forget");
        if (this.#queued) this.#deliver();
        break;
      case "busy":
        if (this.#queued) this.#waitInLine();
        break;
      case "tell":
        this.reports.push(this.#told());
        break;
      case "revive":
        this.#revive();
        break;
      case "move":
        // Its message is acked in favour of the item, which no pump may take while the run holds it.
        if (this.#run !== undefined) this.#park("long", this.#run.id);
        break;
      default:
        this.#end(move);
    }
    return this;
  }

  /** What the table has. */
  traces(): JobTraces {
    return { parked: this.#parked, grave: this.#grave, ownKey: this.#ownId ? this.#key() : undefined, mark: undefined };
  }

  /** What may be said of where it is, to one who has heard this report. */
  mayBeToldAs(told: ReportedRun | undefined): readonly string[] {
    const runs = `running on ${this.#run === undefined ? "" : taskOfRun(this.#run.id)}`;
    if (this.#grave !== undefined) return ["buried"];
    if (this.#parked !== undefined && !this.#parked.claimed) return [this.#parked.run === undefined ? "parked" : runs];
    if (this.#ownId) return [...(this.#parked === undefined || this.#run !== undefined ? [] : ["parked"]), this.#byKey(runs)];
    if (this.#run !== undefined && told?.job.startedAt === this.#run.startedAt) return [runs];
    // A plain job that is neither parked nor buried leaves no trace: its last report is all there is.
    const last = told === undefined ? [] : [`running on ${told.report.boot}`];
    return this.#parked === undefined ? [...last, ...(told === undefined ? ["unknown"] : [])] : ["parked", ...last];
  }

  #byKey(runs: string): string {
    if (this.#done) return "done";
    return this.#run === undefined ? "queued" : runs;
  }

  #park(reason: ParkedReason, run?: string): void {
    const since = reason === "waiting" ? (this.#waitingSince ?? this.#now) : this.#now;
    const held = run === undefined ? {} : { run };
    this.#parked = { ...ID, ...this.#stage, reason, due: since, since, body: "", claimed: false, rev: "", ...held };
  }

  #publish(parked: ParkedJob): void {
    if (parked.claimed) return;
    this.#parked = { ...parked, claimed: true };
    this.#queued = true;
  }

  #deliver(): void {
    this.#queued = false;
    this.#runs += 1;
    this.#run = { id: runId(`t${this.#runs}`, { number: 1 }), startedAt: this.#now };
    this.#waitingSince = undefined;
  }

  /** Its execution key is another's: it was a run for a moment, which may have been told of. */
  #waitInLine(): void {
    const since = this.#waitingSince ?? this.#now;
    this.#deliver();
    this.reports.push(this.#told());
    this.#run = undefined;
    this.#waitingSince = since;
    this.#now += 1;
    this.#park("waiting");
  }

  #revive(): void {
    if (this.#grave === undefined) return;
    this.#grave = undefined;
    this.#nextAttempt();
    this.#park("outbox");
  }

  #nextAttempt(): void {
    this.#stage = { ...this.#stage, attempt: this.#stage.attempt + 1 };
  }

  /** Its run has an outcome, and leaves the item that it held. */
  #end(outcome: "retry" | "snooze" | "hand back" | "bury" | "end"): void {
    const run = this.#run;
    if (run === undefined) return;
    this.#run = undefined;
    const isLong = this.#parked?.run === run.id;
    if (isLong || outcome === "bury" || outcome === "end") this.#parked = undefined;
    if (outcome === "retry") this.#nextAttempt();
    if (outcome === "retry" || outcome === "snooze") this.#park(outcome === "retry" ? "retry" : "snoozed");
    if (outcome === "hand back" && isLong) this.#park("long");
    if (outcome === "hand back" && !isLong) this.#queued = true;
    if (outcome === "bury") {
      const error = { name: "E", message: "" };
      this.#grave = { ...ID, ...this.#stage, reason: "failed", buriedAt: this.#now, error, history: [], body: "", rev: "" };
    }
    if (outcome === "end") this.#done = true;
  }

  #told(): ReportedRun | undefined {
    if (this.#run === undefined) return undefined;
    const { id: run, startedAt } = this.#run;
    const boot = taskOfRun(run);
    return { job: { ...ID, attempt: this.#stage.attempt, startedAt, run, stage: this.#stage }, report: { boot, at: this.#now } };
  }

  #key(): QueueKeyItem {
    const owner = { jobId: ID.id, ...this.#stage };
    if (this.#done || this.#grave !== undefined) return { ...owner, state: "done", until: this.#now };
    if (this.#run === undefined) return { ...owner, state: "queued" };
    return { ...owner, state: "running", run: this.#run.id, task: taskOfRun(this.#run.id) };
  }
}
