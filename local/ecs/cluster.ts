import { type Clock, systemClock } from "../../core/contract/clock.ts";
import { arns, shortName } from "./arn.ts";
import { Guard } from "./guard.ts";
import { EcsProblem } from "./problem.ts";
import type { RestartPolicy } from "./restarts.ts";
import { EcsService } from "./service.ts";
import { Task, type TaskDefinition, type TaskStatus } from "./task.ts";

/** ECS shows stopped tasks for an hour. */
const STOPPED_KEPT_MS = 3_600_000;
const STOPPED_KEPT = 500;

export interface ClusterOptions {
  readonly name: string;
  /** The base URL that tasks are told. */
  readonly endpoint: string;
  /** Called after every change of a task's `lastStatus`, as EventBridge tells of "ECS Task State Change". */
  readonly onTaskChange: (task: Task, status: TaskStatus) => void;
  readonly restarts?: RestartPolicy | undefined;
  readonly clock?: Clock | undefined;
}

/** Everything that one local ECS cluster knows: task definitions, services, tasks. */
export class Cluster {
  readonly name: string;
  readonly arn: string;
  readonly #options: ClusterOptions;
  readonly #clock: Clock;
  readonly #guard = new Guard();
  readonly #definitions = new Map<string, TaskDefinition>();
  readonly #services = new Map<string, EcsService>();
  readonly #tasks = new Map<string, Task>();
  #closed = false;

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.name = options.name;
    this.arn = arns.cluster(options.name);
  }

  /** @returns the definition with its revision, one above the last of its family */
  define(definition: Omit<TaskDefinition, "revision">): TaskDefinition {
    const known = this.#definitions.get(definition.family);
    const next = { ...definition, revision: (known?.revision ?? 0) + 1 };
    this.#definitions.set(next.family, next);
    return next;
  }

  /** @throws EcsProblem ClientException, as ECS; only the newest revision of a family is kept */
  definition(ref: string): TaskDefinition {
    const [family = "", revision] = shortName(ref).split(":");
    const definition = this.#definitions.get(family);
    if (definition === undefined || (revision !== undefined && Number(revision) !== definition.revision)) {
      throw new EcsProblem("ClientException", `TaskDefinition not found: ${ref}`);
    }
    return definition;
  }

  /** @throws EcsProblem InvalidParameterException when there is one of that name */
  createService({
    name,
    definition,
    desiredCount,
  }: {
    readonly name: string;
    readonly definition: TaskDefinition;
    readonly desiredCount: number;
  }): EcsService {
    if (this.#services.has(name)) throw new EcsProblem("InvalidParameterException", "Creation of service was not idempotent.");
    const service = new EcsService({
      name,
      definition,
      desiredCount,
      run: (startedBy) => this.runTask({ definition, group: `service:${name}`, startedBy }),
      clock: this.#clock,
      ...(this.#options.restarts === undefined ? {} : { restarts: this.#options.restarts }),
    });
    this.#services.set(name, service);
    return service;
  }

  findService(ref: string): EcsService | undefined {
    return this.#services.get(shortName(ref));
  }

  /** @throws EcsProblem ServiceNotFoundException */
  service(ref: string): EcsService {
    const service = this.findService(ref);
    if (service === undefined) throw new EcsProblem("ServiceNotFoundException", `Service not found: ${shortName(ref)}`);
    return service;
  }

  get services(): readonly EcsService[] {
    return [...this.#services.values()];
  }

  serviceOf(task: Task): EcsService | undefined {
    return task.group.startsWith("service:") ? this.#services.get(task.group.slice("service:".length)) : undefined;
  }

  runTask({
    definition,
    group,
    startedBy,
  }: {
    readonly definition: TaskDefinition;
    readonly group: string;
    readonly startedBy?: string | undefined;
  }): Task {
    if (this.#closed) throw new EcsProblem("ClientException", "The cluster is shutting down.");
    const task = new Task({
      definition,
      group,
      guard: this.#guard,
      endpoint: this.#options.endpoint,
      clock: this.#clock,
      onChange: (changed) => this.#taskChanged(changed),
      ...(startedBy === undefined ? {} : { startedBy }),
    });
    this.#tasks.set(task.id, task);
    task.start();
    return task;
  }

  findTask(ref: string): Task | undefined {
    return this.#tasks.get(shortName(ref));
  }

  taskOfToken(token: string): Task | undefined {
    return this.tasks.find((task) => task.token === token && task.lastStatus !== "STOPPED");
  }

  /** Newest last; stopped ones are forgotten after an hour. */
  get tasks(): readonly Task[] {
    this.#forget();
    return [...this.#tasks.values()];
  }

  /** Stops every task and resolves once all are gone. */
  async stop(): Promise<void> {
    this.#closed = true;
    const reason = "The cluster is shutting down.";
    await Promise.all([...this.services.map((service) => service.close(reason)), ...this.tasks.map((task) => task.stop("UserInitiated", reason))]);
    this.#guard.close();
  }

  /** SIGKILL for all tasks, at once; none is replaced. */
  kill(): void {
    void this.stop();
    for (const task of this.#tasks.values()) task.kill();
  }

  #taskChanged(task: Task): void {
    this.serviceOf(task)?.taskChanged(task);
    // Apart from the change itself: a listener that throws is a bug to be seen, but must not leave a task half changed.
    const status = task.lastStatus;
    queueMicrotask(() => this.#options.onTaskChange(task, status));
  }

  #forget(): void {
    const stopped = [...this.#tasks.values()].filter(({ stoppedAt }) => stoppedAt !== undefined);
    const surplus = stopped.length - STOPPED_KEPT;
    const since = this.#clock.now() - STOPPED_KEPT_MS;
    stopped.forEach((task, i) => {
      if (i < surplus || (task.stoppedAt ?? 0) < since) this.#tasks.delete(task.id);
    });
  }
}
