import { InvalidInput, RogerError } from "../core/contract/errors.ts";
import type { PartitionStatus } from "../core/partition/partition.ts";
import type { Authorize } from "./api-auth.ts";
import type {
  Accepted,
  BulkAccepted,
  BuriedDetail,
  Cancelled,
  Deleted,
  Health,
  JobDetail,
  JobExplanation,
  JobId,
  JobPage,
  JobRequest,
  JobState,
  PartitionPage,
  PartitionView,
  Peeked,
  Purged,
  QueueLists,
  RetriedBuried,
  RetryBuried,
  TasksView,
} from "./views.ts";

/**
 * The API said no, or could not be asked. `code` is the problem's; beside those of the API:
 * `unreachable` (no answer in time, or none at all), `forbidden` (by API Gateway, too) and `unexpected_answer` (something answered that is no Roger).
 * After `unreachable` it is not known whether a request had its effect; all but `enqueue` of a job without an id of yours may simply be repeated.
 */
export class ApiProblem extends RogerError {
  /** The HTTP status; `undefined` when there was no answer. */
  readonly status: number | undefined;
  /** The path of the value at fault, as the caller wrote it. */
  readonly field: string | undefined;
  readonly detail: string;
  /** The whole answer. */
  readonly body: unknown;

  constructor(
    problem: { readonly code: string; readonly detail: string; readonly status?: number; readonly field?: string; readonly body?: unknown },
    options?: ErrorOptions,
  ) {
    super(problem.code, problem.detail, options);
    this.name = "ApiProblem";
    this.status = problem.status;
    this.field = problem.field;
    this.detail = problem.detail;
    this.body = problem.body;
  }
}

export interface ApiOptions {
  /** No call takes longer than this, on top of what it was asked to wait. @default 30_000 */
  readonly timeoutMs?: number;
  /** Says who sends a request; see client/api-auth.ts. @default nobody does */
  readonly authorize?: Authorize | undefined;
}

export interface WaitOption {
  /** Seconds, at most 25, to wait for the command to take effect everywhere. @default 0 */
  readonly wait?: number;
}

export interface PageOption {
  readonly limit?: number;
  readonly cursor?: string;
}

type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** The HTTP API, one method for each route. Every call throws ApiProblem, and InvalidInput for a name that can't be part of a URL. */
export class RogerApi {
  readonly url: string;
  readonly #timeoutMs: number;
  readonly #authorize: Authorize;

  /** @throws InvalidInput when `url` is none */
  constructor(url: string, options: ApiOptions = {}) {
    if (!/^https?:\/\//.test(url) || !URL.canParse(url)) throw new InvalidInput("url", `"${url}" is no http(s) URL`);
    this.url = url.replace(/\/+$/, "");
    this.#timeoutMs = options.timeoutMs ?? 30_000;
    this.#authorize = options.authorize ?? (async () => ({}));
  }

  /** Without `queues` it starts with the list that it has. */
  start(partition: string, queues?: QueueLists, options: WaitOption = {}): Promise<PartitionView> {
    return this.#send("POST", path`/partitions/${partition}/start`, "queues", { ...options }, queues);
  }

  reconfigure(partition: string, queues: QueueLists, options: WaitOption = {}): Promise<PartitionView> {
    return this.#send("POST", path`/partitions/${partition}/reconfigure`, "queues", { ...options }, queues);
  }

  safeStop(partition: string, options: WaitOption = {}): Promise<PartitionView> {
    return this.#send("POST", path`/partitions/${partition}/safe-stop`, "queues", { ...options });
  }

  stop(partition: string, options: WaitOption = {}): Promise<PartitionView> {
    return this.#send("POST", path`/partitions/${partition}/stop`, "queues", { ...options });
  }

  /** Removes a part at a time: repeat it until the status is `deleted`. */
  delete(partition: string, options: { readonly force?: boolean } = {}): Promise<Deleted> {
    return this.#send("DELETE", path`/partitions/${partition}`, "status", { ...options });
  }

  partitions(options: PageOption & { readonly status?: PartitionStatus } = {}): Promise<PartitionPage> {
    return this.#send("GET", "/partitions", "partitions", { ...options });
  }

  partition(partition: string): Promise<PartitionView> {
    return this.#send("GET", path`/partitions/${partition}`, "queues");
  }

  pause(partition: string, queue: string, options: WaitOption = {}): Promise<PartitionView> {
    return this.#send("POST", path`/partitions/${partition}/queues/${queue}/pause`, "queues", { ...options });
  }

  resume(partition: string, queue: string, options: WaitOption = {}): Promise<PartitionView> {
    return this.#send("POST", path`/partitions/${partition}/queues/${queue}/resume`, "queues", { ...options });
  }

  /** Removes a part at a time: repeat it with the cursor until there is none. */
  purge(partition: string, queue: string, cursor?: string): Promise<Purged> {
    return this.#send("POST", path`/partitions/${partition}/queues/${queue}/purge`, "removed", { cursor });
  }

  /** Looks at the first jobs that wait; RabbitMQ counts it as a delivery of each. @param limit at most 100 @default 20 */
  peek(partition: string, queue: string, limit?: number): Promise<Peeked> {
    return this.#send("GET", path`/partitions/${partition}/queues/${queue}/jobs`, "jobs", { limit });
  }

  /** @throws ApiProblem `duplicate_job`, with `existing_job_id` in its body */
  enqueue(partition: string, job: JobRequest): Promise<Accepted> {
    return this.#send("POST", path`/partitions/${partition}/jobs`, "job_id", {}, job);
  }

  /** At most 100 jobs, 4 MiB. Some may be refused: look at each answer. @throws ApiProblem `nothing_accepted` when all are */
  enqueueAll(partition: string, jobs: readonly JobRequest[]): Promise<BulkAccepted> {
    return this.#send("POST", path`/partitions/${partition}/jobs`, "jobs", {}, { jobs });
  }

  jobs(partition: string, options: PageOption & { readonly state: JobState }): Promise<JobPage> {
    return this.#send("GET", path`/partitions/${partition}/jobs`, "jobs", { ...options });
  }

  job(partition: string, job: string): Promise<JobDetail> {
    return this.#send("GET", path`/partitions/${partition}/jobs/${job}`, "state");
  }

  /** Why a job is where it is, or does not run. */
  explain(partition: string, job: string): Promise<JobExplanation> {
    return this.#send("GET", path`/partitions/${partition}/jobs/${job}/explain`, "reasons");
  }

  /** @throws ApiProblem `job_buried` */
  cancel(partition: string, job: string): Promise<Cancelled> {
    return this.#send("POST", path`/partitions/${partition}/jobs/${job}/cancel`, "state");
  }

  /** @throws ApiProblem `not_buried`, as the others of buried jobs */
  buried(partition: string, job: string): Promise<BuriedDetail> {
    return this.#send("GET", path`/partitions/${partition}/buried/${job}`, "history");
  }

  /** Runs it again from its first attempt. @throws ApiProblem `duplicate_job` when its queue key is another job's by now */
  retryBuried(partition: string, job: string): Promise<JobId> {
    return this.#send("POST", path`/partitions/${partition}/buried/${job}/retry`, "job_id");
  }

  /** Retries a part at a time: repeat it with the cursor until there is none. */
  retryAllBuried(partition: string, which: RetryBuried = {}): Promise<RetriedBuried> {
    return this.#send("POST", path`/partitions/${partition}/buried/retry`, "retried", {}, which);
  }

  deleteBuried(partition: string, job: string): Promise<JobId> {
    return this.#send("DELETE", path`/partitions/${partition}/buried/${job}`, "job_id");
  }

  tasks(): Promise<TasksView> {
    return this.#send("GET", "/tasks", "tasks");
  }

  health(): Promise<Health> {
    return this.#send("GET", "/health", "status");
  }

  /**
   * The answer is what the API's own document says it is; it is not checked once more.
   * @param member by which it is known: another program may answer at that URL, and well
   */
  async #send<T>(method: string, to: string, member: keyof T & string, query: Query = {}, body?: unknown): Promise<T> {
    const url = `${this.url}${to}${queryString(query)}`;
    const waitMs = typeof query.wait === "number" ? query.wait * 1000 : 0;
    const content = body === undefined ? {} : { body: JSON.stringify(body) };
    const type = body === undefined ? {} : { "content-type": "application/json" };
    const headers = { ...type, ...(await this.#authorize({ method, url, ...content })) };
    let status: number;
    let text: string;
    try {
      const response = await fetch(url, { method, headers, signal: AbortSignal.timeout(this.#timeoutMs + waitMs), ...content });
      status = response.status;
      // Inside: the deadline holds for the body, too.
      text = await response.text();
    } catch (cause) {
      throw unreachable(this.url, cause);
    }
    const answer = parse(text);
    if (status >= 200 && status < 300 && typeof answer === "object" && answer !== null && member in answer) return answer as T;
    throw problem(url, status, answer);
  }
}

function unreachable(url: string, cause: unknown): ApiProblem {
  const late = cause instanceof Error && cause.name === "TimeoutError";
  const reason = late ? "no answer in time" : reasonOf(cause);
  return new ApiProblem({ code: "unreachable", detail: `cannot reach the API at ${url}: ${reason}` }, { cause });
}

/** fetch says "fetch failed"; what failed is its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause instanceof Error) return "code" in error.cause && error.cause.message === "" ? String(error.cause.code) : error.cause.message;
  return error.message;
}

function problem(url: string, status: number, body: unknown): ApiProblem {
  if (typeof body === "object" && body !== null && "code" in body && typeof body.code === "string") {
    const detail = "detail" in body && typeof body.detail === "string" ? body.detail : body.code;
    const field = "field" in body && typeof body.field === "string" ? { field: body.field } : {};
    return new ApiProblem({ code: body.code, detail, status, body, ...field });
  }
  const words = gatewayWords(body);
  if ((status === 401 || status === 403) && words !== undefined) {
    return new ApiProblem({ code: "forbidden", detail: `the API does not let this caller in: ${words}`, status, body });
  }
  const said = words === undefined ? "" : `: ${words}`;
  return new ApiProblem({ code: "unexpected_answer", detail: `${url} answered ${status} and nothing that Roger would say${said}`, status, body });
}

/** API Gateway's own, before any of us is asked. n.b. a REST API says it with a capital where a policy refuses. */
function gatewayWords(body: unknown): string | undefined {
  if (typeof body !== "object" || body === null) return undefined;
  const { message, Message = message } = body as { readonly message?: unknown; readonly Message?: unknown };
  return typeof Message === "string" ? Message : undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON: the caller says so, with the status.
    return undefined;
  }
}

function queryString(query: Query): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  return given.length === 0 ? "" : `?${new URLSearchParams(Object.fromEntries(given.map(([key, value]) => [key, String(value)])))}`;
}

/** A path with its names encoded. n.b. `.` and `..` stay what they are even when encoded, so they are refused here. */
function path(parts: TemplateStringsArray, ...names: string[]): string {
  return parts.reduce((sum, part, i) => {
    const name = names[i - 1] ?? "";
    if (name === "" || name === "." || name === "..") throw new InvalidInput("path", `"${name}" cannot be a name`);
    return `${sum}${encodeURIComponent(name)}${part}`;
  });
}
