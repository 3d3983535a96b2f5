import { describe, expect, it } from "vitest";
import { describeError } from "../../core/contract/errors.ts";

const hostile = Object.defineProperty(new Error("x"), "message", {
  get: () => {
    throw new Error("do not look");
  },
});

describe("describeError", () => {
  it("says what an error says", () => {
    const error = new TypeError("no such thing");
    expect(describeError(error)).toEqual({ name: "TypeError", message: "no such thing", stack: error.stack });
    expect(describeError(Object.assign(new Error("x"), { stack: undefined }))).toEqual({ name: "Error", message: "x" });
  });

  it.each<readonly [string, unknown, string]>([
    ["a text", "just a text", "just a text"],
    ["nothing", undefined, "undefined"],
    ["an object", { code: 7 }, '{"code":7}'],
    ["what JSON can't say", { n: 7n }, "[object Object]"],
    ["an error that throws when it is read", hostile, "an error whose own text can't be read"],
    ["a proxy that is no more", revoked(), "an error whose own text can't be read"],
  ])("has words for %s", (_, thrown, message) => {
    expect(describeError(thrown).message).toBe(message);
  });

  it("makes texts of names and messages that are none: what is kept of a failure is cut as text", () => {
    const error = Object.assign(new Error("x"), { name: 7, message: { why: "odd" }, stack: ["a"] });
    expect(describeError(error)).toEqual({ name: "7", message: '{"why":"odd"}', stack: '["a"]' });
  });
});

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}
