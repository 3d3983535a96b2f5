import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT } from "./graph/platform.ts";
import { findFaults } from "./image/dockerfile.ts";

describe("the Dockerfile", () => {
  it("has no fault that is known", async () => {
    expect(findFaults(await readFile(join(ROOT, "worker/Dockerfile"), "utf8"))).toEqual([]);
  });

  it.each([
    ['FROM node:24-slim\nUSER node\nCMD ["node"]', "no exact version"],
    ['FROM node:24.1.0\nCMD ["node"]', "runs as root"],
    ['FROM node:24.1.0\nUSER root\nCMD ["node"]', "runs as root"],
    ["FROM node:24.1.0\nUSER node\nCMD node a.ts", "exec form"],
    ["FROM node:24.1.0\nUSER node", "needs one CMD"],
    ['FROM node:24.1.0\nCOPY . .\nUSER node\nCMD ["node"]', "copies everything"],
    ['FROM node:24.1.0\nRUN npm install\nUSER node\nCMD ["node"]', "npm ci"],
    ['FROM node:24.1.0\nRUN npm ci \\\n  --no-audit\nUSER node\nCMD ["node"]', "line 2: development packages"],
    ['FROM node:24.1.0\nENV ROGER_AMQP_URL=amqp://a\nUSER node\nCMD ["node"]', "secret"],
  ])("would be found at fault: %j", (text, fault) => {
    expect(findFaults(text).join("\n")).toContain(fault);
  });
});
