import type { z } from "@hono/zod-openapi";
import type { Problem } from "../client/views.ts";
import { RogerError } from "../core/contract/errors.ts";
import { DuplicateJob } from "../core/job/duplicate-job.ts";

export type ProblemStatus = 400 | 403 | 404 | 405 | 409 | 413 | 429 | 500 | 503;

const TITLES: Readonly<Record<ProblemStatus, string>> = {
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  413: "Content Too Large",
  429: "Too Many Requests",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

/**
 * Every code that the API answers, with its HTTP status. A failure whose code is not here is our own:
 * it is answered as `internal`, and what went wrong goes to the log only.
 */
const STATUS_OF: ReadonlyMap<string, ProblemStatus> = new Map([
  ["invalid_json", 400],
  ["invalid_request", 400],
  ["unknown_job", 400],
  ["unknown_pool", 400],
  ["nothing_accepted", 400],
  ["forbidden", 403],
  ["not_found", 404],
  ["unknown_partition", 404],
  ["unknown_queue", 404],
  ["method_not_allowed", 405],
  ["not_buried", 404],
  ["conflict", 409],
  ["duplicate_job", 409],
  ["job_buried", 409],
  ["not_retryable", 409],
  ["not_empty", 409],
  ["not_running", 409],
  ["still_running", 409],
  ["body_too_large", 413],
  ["too_many_cancels", 429],
  ["broker_unavailable", 503],
  ["store_unavailable", 503],
]);

/** What `code` may be. */
export const PROBLEM_CODES: readonly [string, ...string[]] = ["internal", ...STATUS_OF.keys()];

/** The longest field path and detail that an answer repeats of a request. */
const FIELD_CHARS = 200;
const DETAIL_CHARS = 1_000;

/** A refusal that only the HTTP API knows; the rooms below throw their own. `code` must be listed above. */
export class RequestRefused extends RogerError {
  readonly field: string | undefined;
  /** What the problem says beside the members of RFC 9457. */
  readonly members: object;

  constructor(code: string, detail: string, field?: string, members: object = {}) {
    super(code, detail);
    this.name = "RequestRefused";
    this.field = field;
    this.members = members;
  }
}

/** A zod verdict as a refusal naming the first field at fault; a field that should not be there goes before one that is missing. */
export function refusalOf(issues: readonly z.core.$ZodIssue[], prefix: readonly PropertyKey[] = []): RequestRefused {
  const issue = issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0];
  if (issue === undefined) return new RequestRefused("invalid_request", "invalid");
  const unknown = issue.code === "unrecognized_keys" ? issue.keys[0] : undefined;
  const path = [...prefix, ...issue.path, ...(unknown === undefined ? [] : [unknown])].map(String).join(".");
  const field = path === "" ? "body" : path;
  return new RequestRefused("invalid_request", `${field.slice(0, FIELD_CHARS)}: ${messageOf(issue)}`, field);
}

function messageOf(issue: z.core.$ZodIssue): string {
  if (issue.code === "unrecognized_keys") return "unknown field";
  if (issue.code === "invalid_key") return issue.issues[0]?.message ?? issue.message;
  // n.b. a schema that has words of its own has the better ones.
  return /^(Invalid|Too) /.test(issue.message) ? (plainWords(issue) ?? issue.message) : issue.message;
}

const KINDS: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
};

/** What zod says in its own words, as people would. */
function plainWords(issue: z.core.$ZodIssue): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      return issue.message.endsWith("received undefined") ? "is missing" : `must be ${KINDS[issue.expected] ?? issue.expected}`;
    case "too_small":
      return `must ${bound(issue.origin, "at least", issue.minimum)}`;
    case "too_big":
      return `must ${bound(issue.origin, "at most", issue.maximum)}`;
    case "invalid_value":
      return `must be ${issue.values.map(String).join(" or ")}`;
    default:
      return undefined;
  }
}

function bound(origin: string, which: string, limit: number | bigint): string {
  if (origin === "array") return `have ${which} ${limit} ${limit === 1 ? "item" : "items"}`;
  return origin === "string" ? `have ${which} ${limit} ${limit === 1 ? "character" : "characters"}` : `be ${which} ${limit}`;
}

/** What a thrown value is to the caller. The cause of an `internal` one stays with us. */
export function problemOf(error: unknown): Problem & { readonly status: ProblemStatus } {
  const code = error instanceof RogerError ? error.code : "internal";
  const status = STATUS_OF.get(code);
  if (status === undefined || !(error instanceof RogerError)) {
    return {
      title: TITLES[500],
      status: 500,
      code: "internal",
      detail: "something went wrong on our side; the request may or may not have had an effect",
    };
  }
  const field = "field" in error && typeof error.field === "string" ? error.field : undefined;
  return {
    title: TITLES[status],
    status,
    code,
    detail: error.message.slice(0, DETAIL_CHARS),
    ...(field === undefined ? {} : { field: field.slice(0, FIELD_CHARS) }),
    ...(error instanceof RequestRefused ? error.members : {}),
    ...(error instanceof DuplicateJob ? { existing_job_id: error.existingJobId } : {}),
  };
}

/** Seconds after which a caller may come back when a backend is away. */
const RETRY_AFTER_SECONDS = "2";

export function problemResponse(problem: Problem, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(JSON.stringify(problem), {
    status: problem.status,
    headers: {
      "content-type": "application/problem+json",
      ...(problem.status === 503 ? { "retry-after": RETRY_AFTER_SECONDS } : {}),
      ...headers,
    },
  });
}
