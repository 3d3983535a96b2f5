import { describe, expect, it } from "vitest";
import { InvalidInput } from "../../core/contract/errors.ts";
import { isPassing, StoreRefused, StoreUnavailable, translate } from "../../store/errors.ts";

const failure = (more: object) => Object.assign(new Error("it failed"), more);

describe("translate", () => {
  it.each([
    ["throttling", { name: "ProvisionedThroughputExceededException", $metadata: { httpStatusCode: 400 } }],
    ["throttling on demand", { name: "ThrottlingException", $metadata: { httpStatusCode: 400 } }],
    ["a failing service", { name: "InternalServerError", $metadata: { httpStatusCode: 500 } }],
    ["a service that is away", { name: "UnknownError", $metadata: { httpStatusCode: 503 } }],
    ["a refused connection", { code: "ECONNREFUSED", $metadata: { attempts: 3 } }],
    ["a name that does not resolve", { code: "EAI_AGAIN" }],
    ["a timeout", { name: "TimeoutError" }],
    ["credentials that don't come", { name: "CredentialsProviderError" }],
  ])("%s: StoreUnavailable", (_, more) => {
    const error = failure(more);
    expect(isPassing(error)).toBe(true);
    expect(translate(error)).toBeInstanceOf(StoreUnavailable);
    expect(translate(error)).toMatchObject({ code: "store_unavailable", cause: error });
  });

  it.each([
    ["no such table", { name: "ResourceNotFoundException", $metadata: { httpStatusCode: 400 } }],
    ["an item too large", { name: "ValidationException", $metadata: { httpStatusCode: 400 } }],
    ["no permission", { name: "AccessDeniedException", $metadata: { httpStatusCode: 400 } }],
    ["a bug of ours", {}],
  ])("%s: StoreRefused", (_, more) => {
    const error = failure(more);
    expect(isPassing(error)).toBe(false);
    expect(translate(error)).toBeInstanceOf(StoreRefused);
    expect(translate(error)).toMatchObject({ code: "store_refused", cause: error });
  });

  it("leaves our own errors as they are, and takes whatever is thrown", () => {
    const own = new InvalidInput("cursor", "odd");
    expect(translate(own)).toBe(own);
    expect(translate("odd")).toBeInstanceOf(StoreRefused);
  });
});
