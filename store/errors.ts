import { describeError, RogerError } from "../core/contract/errors.ts";

/**
 * DynamoDB can't be reached, is too busy, or did not answer in time, after the client's own repeats. A read told
 * nothing; of a write it is not known whether it happened, or will. Every port may be asked the same again.
 */
export class StoreUnavailable extends RogerError {
  constructor(message: string, options?: ErrorOptions) {
    super("store_unavailable", message, options);
    this.name = "StoreUnavailable";
  }
}

/** DynamoDB will not do it, however often it is asked: no such table, no permission, an item over 400 KB. Nothing was written. */
export class StoreRefused extends RogerError {
  constructor(message: string, options?: ErrorOptions) {
    super("store_refused", message, options);
    this.name = "StoreRefused";
  }
}

/** What passes by itself although DynamoDB answers with a status that blames the caller; or, for the last four, without any. */
const PASSING_NAMES: ReadonlySet<string> = new Set([
  "LimitExceededException",
  "ProvisionedThroughputExceededException",
  "RequestLimitExceeded",
  "ThrottlingException",
  "AbortError",
  "CredentialsProviderError",
  "ProviderError",
  "TimeoutError",
]);

/** Whether asking again later may help: throttling, a failing service, or no answer at all. */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (PASSING_NAMES.has(error.name)) return true;
  // Sockets and resolvers fail with an errno (`ECONNRESET`, `EAI_AGAIN`); the SDK's own errors carry no `code`.
  if ("code" in error && typeof error.code === "string") return true;
  return (statusOf(error) ?? 0) >= 500;
}

function statusOf(error: Error): number | undefined {
  const metadata = "$metadata" in error ? (error.$metadata as { readonly httpStatusCode?: number } | undefined) : undefined;
  return metadata?.httpStatusCode;
}

/** The SDK's error as one of ours, the original kept as its `cause`: no caller needs to know which SDK is below. */
export function translate(error: unknown): RogerError {
  if (error instanceof RogerError) return error;
  const { name, message } = describeError(error);
  return isPassing(error)
    ? new StoreUnavailable(`DynamoDB gives no answer (${name}: ${message})`, { cause: error })
    : new StoreRefused(`DynamoDB refuses (${name}: ${message})`, { cause: error });
}
