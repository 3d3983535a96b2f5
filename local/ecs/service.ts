import { randomUUID } from "node:crypto";
import { type Clock, systemClock } from "../../core/contract/clock.ts";
import { DEFAULT_RESTARTS, type RestartPolicy, Restarts } from "./restarts.ts";
import type { Task, TaskDefinition } from "./task.ts";

const EVENTS_KEPT = 100;

export interface Deployment {
  readonly id: string;
  /** Epoch ms. */
  readonly createdAt: number;
}

export interface ServiceEvent {
  readonly id: string;
  /** Epoch ms. */
  readonly createdAt: number;
  readonly message: string;
}

export interface EcsServiceOptions {
  readonly name: string;
  readonly definition: TaskDefinition;
  readonly desiredCount: number;
  /** Starts one task of this service. */
  readonly run: (startedBy: string) => Task;
  readonly restarts?: RestartPolicy;
  readonly clock?: Clock;
}

/**
 * Keeps `desiredCount` tasks of the newest deployment alive.
 *
 * Each pass looks at what is there and takes the steps that lead towards what is wanted; every change of a task, of the service or of
 * a protection's end leads to the next pass. A new deployment starts its tasks first and ends the old ones as the new ones run
 * (at least 100 %, at most 200 % of `desiredCount`, the defaults of ECS).
 *
 * Which tasks a scale-in ends ECS doesn't promise: it balances zones, and protection is a task's only say. Here there is one zone;
 * tasks of old deployments go first, then those that don't run yet, then the newest, whose caches are the coldest.
 */
export class EcsService {
  readonly name: string;
  readonly definition: TaskDefinition;
  /** Epoch ms. */
  readonly createdAt: number;
  readonly events: ServiceEvent[] = [];
  readonly #options: EcsServiceOptions;
  readonly #clock: Clock;
  readonly #restarts: Restarts;
  readonly #tasks = new Set<Task>();
  #desiredCount: number;
  #deployment: Deployment;
  #passIsDue = false;
  #closed = false;
  #wake: NodeJS.Timeout | undefined;

  constructor(options: EcsServiceOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.name = options.name;
    this.definition = options.definition;
    this.createdAt = this.#clock.now();
    this.#restarts = new Restarts(this.#clock, options.restarts ?? DEFAULT_RESTARTS);
    this.#desiredCount = options.desiredCount;
    this.#deployment = this.#newDeployment();
    this.#schedulePass();
  }

  get desiredCount(): number {
    return this.#desiredCount;
  }

  get deployment(): Deployment {
    return this.#deployment;
  }

  /** Tasks that have not ended yet. */
  get tasks(): readonly Task[] {
    return [...this.#tasks];
  }

  update({ desiredCount, forceNewDeployment }: { readonly desiredCount?: number; readonly forceNewDeployment?: boolean }): void {
    if (desiredCount !== undefined) this.#desiredCount = desiredCount;
    if (forceNewDeployment === true) {
      this.#deployment = this.#newDeployment();
      this.#restarts.reset();
    }
    this.#schedulePass();
  }

  /** To be told of every change of a task of this service. */
  taskChanged(task: Task): void {
    if (task.lastStatus !== "STOPPED") this.#tasks.add(task);
    else {
      this.#tasks.delete(task);
      const byItself = task.stopCode === "TaskFailedToStart" || task.stopCode === "EssentialContainerExited";
      if (byItself) this.#restarts.ended(task.startedAt === undefined ? 0 : this.#clock.now() - task.startedAt);
    }
    this.#schedulePass();
  }

  /** Protected tasks count against the deployment: with as many as desired, ECS lets no further one protect itself. */
  get mayProtectOneMore(): boolean {
    return this.tasks.filter(({ protection }) => protection.enabled).length < this.#desiredCount;
  }

  /** Stops all tasks, protected or not, and starts no more. Resolves once they are gone. */
  async close(reason: string): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#wake);
    await Promise.all(this.tasks.map((task) => task.stop("ServiceSchedulerInitiated", reason)));
  }

  /** Passes are coalesced, and never begin inside a task's own change. */
  #schedulePass(): void {
    if (this.#passIsDue || this.#closed) return;
    this.#passIsDue = true;
    setImmediate(() => {
      this.#passIsDue = false;
      if (!this.#closed) this.#pass();
    });
  }

  #pass(): void {
    clearTimeout(this.#wake);
    const live = this.tasks.filter((task) => task.desiredStatus === "RUNNING");
    const current = live.filter((task) => task.startedBy === this.#deployment.id);
    const old = live.filter((task) => task.startedBy !== this.#deployment.id);
    const missing = Math.min(this.#desiredCount - current.length, 2 * this.#desiredCount - live.length);
    const waits = [this.#startTasks(missing), this.#stopTasks(current, old)].filter((wait) => wait !== undefined);
    if (waits.length > 0) this.#wake = setTimeout(() => this.#schedulePass(), Math.max(1, Math.min(...waits)));
  }

  /** @returns ms after which to try again, if that is needed */
  #startTasks(count: number): number | undefined {
    if (count <= 0) return undefined;
    const { waitMs } = this.#restarts;
    if (waitMs > 0) {
      this.#note("is unable to consistently start tasks successfully.");
      return waitMs;
    }
    const started = Array.from({ length: count }, () => this.#options.run(this.#deployment.id));
    this.#note(`has started ${count} tasks: ${started.map(({ id }) => `(task ${id})`).join(" ")}.`);
    return undefined;
  }

  /** @returns ms after which the first protection ends, if any keeps a surplus task */
  #stopTasks(current: readonly Task[], old: readonly Task[]): number | undefined {
    const running = current.filter((task) => task.lastStatus === "RUNNING").length;
    // Old tasks go only as new ones run; of the current deployment only what is above the wish.
    const surplusOld = Math.max(0, Math.min(old.length, old.length + running - this.#desiredCount));
    const surplusCurrent = Math.max(0, current.length - this.#desiredCount);
    const stopped = [...firstToGo(old, surplusOld), ...firstToGo(current, surplusCurrent)];
    for (const task of stopped) {
      void task.stop("ServiceSchedulerInitiated", `Scaling activity initiated by (deployment ${this.#deployment.id})`);
    }
    if (stopped.length > 0) this.#note(`has stopped ${stopped.length} running tasks: ${stopped.map(({ id }) => `(task ${id})`).join(" ")}.`);
    if (stopped.length === surplusOld + surplusCurrent) return undefined;
    const ends = [...old, ...current].flatMap(({ protection }) => protection.expiresAt ?? []);
    return ends.length === 0 ? undefined : Math.min(...ends) - this.#clock.now();
  }

  #newDeployment(): Deployment {
    return { id: `ecs-svc/${randomUUID().replaceAll("-", "").slice(0, 19)}`, createdAt: this.#clock.now() };
  }

  #note(message: string): void {
    this.events.unshift({ id: randomUUID(), createdAt: this.#clock.now(), message: `(service ${this.name}) ${message}` });
    this.events.length = Math.min(this.events.length, EVENTS_KEPT);
  }
}

function firstToGo(tasks: readonly Task[], count: number): Task[] {
  const pending = (task: Task): number => (task.lastStatus === "RUNNING" ? 1 : 0);
  return tasks
    .filter(({ protection }) => !protection.enabled)
    .sort((a, b) => pending(a) - pending(b) || b.createdAt - a.createdAt)
    .slice(0, count);
}
