import { readFile } from "node:fs/promises";
import { join, relative } from "node:path";

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** What came of a run of tests. */
export interface Outcome extends Counts {
  /** What failed and how, a line each. */
  readonly failures: readonly string[];
}

export const NOTHING: Outcome = { passed: 0, failed: 0, skipped: 0, failures: [] };

const ROOT = join(import.meta.dirname, "..");

/** What we read of vitest's JSON report. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    /** Why the file can't be loaded. */
    readonly message: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string; readonly failureMessages: readonly string[] }[];
  }[];
}

/** What vitest wrote of its run into a file; nothing if it ended before any test: then its exit status says so. */
export async function readReport(file: string): Promise<Outcome> {
  const text = await readFile(file, "utf8").catch(() => "");
  if (text === "") return NOTHING;
  const report: Report = JSON.parse(text);
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests,
    skipped: report.numPendingTests + report.numTodoTests,
    failures: report.testResults.filter(({ status }) => status === "failed").flatMap(failuresOf),
  };
}

/** A file that can't be loaded has no test that failed. */
function failuresOf({ name, message, assertionResults }: Report["testResults"][number]): readonly string[] {
  const file = relative(ROOT, name);
  const failed = assertionResults.filter(({ status }) => status === "failed");
  if (failed.length === 0) return [`${file}: ${firstLine(message)}`];
  return failed.map(({ fullName, failureMessages }) => `${file} > ${fullName}: ${firstLine(failureMessages[0])}`);
}

function firstLine(message = ""): string {
  return message.split("\n", 1)[0]?.slice(0, 200) ?? "";
}
