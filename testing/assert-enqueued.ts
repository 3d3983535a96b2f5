import { AssertionError } from "node:assert";
import { isDeepStrictEqual } from "node:util";
import type { SeenJob } from "./seen-jobs.ts";

/** What is expected of a job; what is left out may be anything. */
export interface ExpectedJob {
  /** Objects may have more fields than expected, at every depth; lists are compared whole. */
  readonly args?: unknown;
  readonly partition?: string;
  readonly queue?: string;
  readonly id?: string;
  /** Seconds between its enqueueing and when it was due. */
  readonly delay?: number;
}

/** A job as it was enqueued. */
export interface EnqueuedJob extends SeenJob {
  /** Seconds. */
  readonly delay: number;
}

/** Jobs that a message lists. */
const LISTED = 10;

/** @returns the first that is as expected. @throws AssertionError that lists what was enqueued instead, and what is wrong with each of that name */
export function findEnqueued(name: string, expected: ExpectedJob, enqueued: readonly EnqueuedJob[]): EnqueuedJob {
  const found = enqueued.find((job) => isAsExpected(name, expected, job));
  if (found !== undefined) return found;
  const namesakes = enqueued.filter((job) => job.name === name);
  const actual = namesakes.length === 1 && namesakes[0] !== undefined ? pick(namesakes[0], expected) : namesakes.map((job) => pick(job, expected));
  const message = `no ${describe(name, expected)} was enqueued; ${listOf(name, expected, enqueued)}`;
  throw new AssertionError({ message, actual, expected, operator: "assertEnqueued" });
}

/** @throws AssertionError when there is one */
export function refuseEnqueued(name: string, expected: ExpectedJob, enqueued: readonly EnqueuedJob[]): void {
  const found = enqueued.find((job) => isAsExpected(name, expected, job));
  if (found === undefined) return;
  throw new AssertionError({ message: `a ${describe(name, expected)} was enqueued:\n  ${lineOf(found)}`, actual: found, operator: "refuteEnqueued" });
}

function isAsExpected(name: string, expected: ExpectedJob, job: EnqueuedJob): boolean {
  return job.name === name && differences(expected, job).length === 0;
}

function listOf(name: string, expected: ExpectedJob, enqueued: readonly EnqueuedJob[]): string {
  if (enqueued.length === 0) return "nothing was";
  // Those of the name first: one of them was probably meant.
  const ordered = [...enqueued.filter((job) => job.name === name), ...enqueued.filter((job) => job.name !== name)];
  const lines = ordered
    .slice(0, LISTED)
    .flatMap((job) => [`  ${lineOf(job)}`, ...(job.name === name ? differences(expected, job).map((line) => `      ${line}`) : [])]);
  const more = ordered.length > LISTED ? [`  … and ${ordered.length - LISTED} more`] : [];
  return [`${enqueued.length === 1 ? "this was" : "these were"}:`, ...lines, ...more].join("\n");
}

function differences(expected: ExpectedJob, job: EnqueuedJob): string[] {
  return compare("", expected, job);
}

/** Each place where `actual` is not as expected, in words. */
function compare(at: string, expected: unknown, actual: unknown): string[] {
  if (isMatcher(expected)) return expected.asymmetricMatch(actual) ? [] : [`${at} is ${show(actual)}, not ${String(expected)}`];
  if (isPlain(expected) && isPlain(actual)) {
    return Object.entries(expected).flatMap(([key, value]) =>
      value === undefined ? [] : compare(at === "" ? key : `${at}.${key}`, value, actual[key]),
    );
  }
  return isDeepStrictEqual(expected, actual) ? [] : [`${at} is ${show(actual)}, not ${show(expected)}`];
}

/** The matchers of test runners: `expect.any(String)` and its kind. */
function isMatcher(value: unknown): value is { asymmetricMatch(other: unknown): boolean } {
  return typeof value === "object" && value !== null && "asymmetricMatch" in value && typeof value.asymmetricMatch === "function";
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isMatcher(value);
}

/** Of the job, what the expectation speaks of: what a runner shows as a diff. */
function pick(job: EnqueuedJob, expected: ExpectedJob): Record<string, unknown> {
  return Object.fromEntries(Object.entries(job).filter(([key]) => key in expected));
}

function describe(name: string, expected: ExpectedJob): string {
  return Object.keys(expected).length === 0 ? name : `${name} with ${show(expected)}`;
}

function lineOf({ name, partition, queue, args, delay }: EnqueuedJob): string {
  return `${name} in ${partition}, queue ${queue}${delay > 0 ? `, due after ${delay} s` : ""}: ${show(args)}`;
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? String(value);
}
