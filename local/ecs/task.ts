import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock } from "../../core/contract/clock.ts";
import { describeError } from "../../core/contract/errors.ts";
import type { Guard } from "./guard.ts";
import { Protection } from "./protection.ts";

/** What a task runs: the part of an ECS task definition that a process has. */
export interface TaskDefinition {
  readonly family: string;
  readonly revision: number;
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment of the process; the ECS variables are added. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Each task writes what it prints to `<logDir>/<family>-<start of the task's id>.log`. */
  readonly logDir: string;
  /** Between SIGTERM and SIGKILL. */
  readonly stopTimeoutMs: number;
}

export type TaskStatus = "PROVISIONING" | "PENDING" | "RUNNING" | "DEACTIVATING" | "STOPPING" | "STOPPED";

/** Why a task ended, in the words of ECS. */
export type StopCode = "TaskFailedToStart" | "EssentialContainerExited" | "UserInitiated" | "ServiceSchedulerInitiated";

/**
 * ```
 * PROVISIONING ──▶ PENDING ──▶ RUNNING ──▶ DEACTIVATING ──▶ STOPPING ──▶ STOPPED
 *      │              │  └────────│──────────────▲                          ▲
 *      │              │           └─ ended by itself ───────────────────────┤
 *      └──────────────┴─ could not be started ──────────────────────────────┘
 * ```
 * ECS passes DEACTIVATING and DEPROVISIONING while it works on load balancers and networks. A process has neither, so here
 * DEACTIVATING is gone through at once and DEPROVISIONING left out.
 */
const NEXT: Readonly<Record<TaskStatus, readonly TaskStatus[]>> = {
  PROVISIONING: ["PENDING", "STOPPED"],
  PENDING: ["RUNNING", "DEACTIVATING", "STOPPED"],
  RUNNING: ["DEACTIVATING", "STOPPED"],
  DEACTIVATING: ["STOPPING"],
  STOPPING: ["STOPPED"],
  STOPPED: [],
};

export interface TaskOptions {
  readonly definition: TaskDefinition;
  /** `service:<name>` or `family:<name>`. */
  readonly group: string;
  /** The deployment's id, or what RunTask was told. */
  readonly startedBy?: string;
  readonly guard: Guard;
  /** Where the task finds its metadata and its agent; the task's own token is added. */
  readonly endpoint: string;
  /** Called after every change of `lastStatus`. */
  readonly onChange: (task: Task) => void;
  readonly clock?: Clock;
}

/** One task: a process in a process group of its own, so that ending it ends what it started, as a container does. */
export class Task {
  readonly id = randomUUID().replaceAll("-", "");
  /** What the task's own requests are known by. It is a secret only as far as a path can be one. */
  readonly token = randomUUID();
  readonly definition: TaskDefinition;
  readonly group: string;
  readonly startedBy: string | undefined;
  readonly protection: Protection;
  readonly logFile: string;
  /** Resolves once the process is gone. */
  readonly ended: Promise<void>;
  /** All times are epoch ms. */
  readonly createdAt: number;
  startedAt: number | undefined;
  stoppingAt: number | undefined;
  stoppedAt: number | undefined;
  stopCode: StopCode | undefined;
  stoppedReason: string | undefined;
  exitCode: number | undefined;

  readonly #options: TaskOptions;
  readonly #clock: Clock;
  #lastStatus: TaskStatus = "PROVISIONING";
  #process: ChildProcess | undefined;
  #killTimer: NodeJS.Timeout | undefined;
  #end: () => void = () => {};

  constructor(options: TaskOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.definition = options.definition;
    this.group = options.group;
    this.startedBy = options.startedBy;
    this.protection = new Protection(this.#clock);
    this.createdAt = this.#clock.now();
    this.logFile = join(options.definition.logDir, `${options.definition.family}-${this.id.slice(0, 8)}.log`);
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  get lastStatus(): TaskStatus {
    return this.#lastStatus;
  }

  /** STOPPED from the moment the task is told to stop. */
  get desiredStatus(): "RUNNING" | "STOPPED" {
    return this.#lastStatus === "PROVISIONING" || this.#lastStatus === "PENDING" || this.#lastStatus === "RUNNING" ? "RUNNING" : "STOPPED";
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Never throws: a task that can't be started is STOPPED, as in ECS. */
  start(): void {
    this.#move("PENDING");
    let child: ChildProcess;
    try {
      child = this.#spawn();
    } catch (error) {
      this.#stopped("TaskFailedToStart", describeError(error).message, undefined);
      return;
    }
    this.#process = child;
    const { pid } = child;
    if (pid !== undefined) this.#options.guard.watch(pid);
    child.once("spawn", () => {
      this.startedAt = this.#clock.now();
      if (this.#lastStatus === "PENDING") this.#move("RUNNING");
    });
    // "error" also tells of a signal that could not be sent; only a process that never was has no pid.
    child.on("error", (error) => {
      if (pid === undefined) this.#stopped("TaskFailedToStart", error.message, undefined);
    });
    child.once("exit", (code, signal) => {
      if (pid !== undefined) this.#reap(pid);
      this.#stopped("EssentialContainerExited", "Essential container in task exited", code ?? signalCode(signal));
    });
  }

  /** SIGTERM now, SIGKILL after the stop timeout. The first to stop a task says why. Resolves once the process is gone. */
  stop(code: StopCode, reason: string): Promise<void> {
    if (this.#lastStatus !== "PENDING" && this.#lastStatus !== "RUNNING") return this.ended;
    this.stopCode = code;
    this.stoppedReason = reason;
    this.stoppingAt = this.#clock.now();
    this.#move("DEACTIVATING");
    this.#move("STOPPING");
    this.#process?.kill("SIGTERM");
    this.#killTimer = setTimeout(() => this.kill(), this.definition.stopTimeoutMs);
    return this.ended;
  }

  /** SIGKILL at once, to the task and all it started. */
  kill(): void {
    const { pid } = this;
    if (pid !== undefined && this.#lastStatus !== "STOPPED") signalGroup(pid);
  }

  #spawn(): ChildProcess {
    const { command, args, env, cwd, logDir } = this.definition;
    const { endpoint } = this.#options;
    mkdirSync(logDir, { recursive: true });
    const log = openSync(this.logFile, "a");
    try {
      return spawn(command, args, {
        cwd,
        env: { ...env, ECS_CONTAINER_METADATA_URI_V4: `${endpoint}/v4/${this.token}`, ECS_AGENT_URI: `${endpoint}/api/${this.token}` },
        // The log is the task's own file, not a pipe through us: nothing is lost when we die, and nothing waits for us.
        stdio: ["ignore", log, log],
        detached: true,
      });
    } finally {
      closeSync(log);
    }
  }

  #reap(pid: number): void {
    signalGroup(pid);
    this.#options.guard.release(pid);
  }

  #stopped(code: StopCode, reason: string, exitCode: number | undefined): void {
    clearTimeout(this.#killTimer);
    this.stopCode ??= code;
    this.stoppedReason ??= reason;
    this.exitCode = exitCode;
    this.stoppedAt = this.#clock.now();
    this.#end();
    this.#move("STOPPED");
  }

  #move(to: TaskStatus): void {
    if (!NEXT[this.#lastStatus].includes(to)) throw new Error(`task ${this.id}: ${this.#lastStatus} can't become ${to}`);
    this.#lastStatus = to;
    this.#options.onChange(this);
  }
}

/** What a container's exit code is when a signal ended it: 137 for SIGKILL, 143 for SIGTERM. */
function signalCode(signal: NodeJS.Signals | null): number | undefined {
  return signal === null ? undefined : 128 + constants.signals[signal];
}

function signalGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // ESRCH, and on macOS EPERM: nothing of the group is left, which is what was wanted.
  }
}
