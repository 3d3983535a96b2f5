import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import * as entry from "../../client/index.ts";

const ROOT = join(import.meta.dirname, "../..");

const IMPORT = /import (?:type )?\{([^}]*)\} from "roger-serverless";/g;

describe("the package's entry", () => {
  it("has all that the docs import from it", () => {
    const pages = ["README.md", ...globSync("docs/**/*.md", { cwd: ROOT })];
    const names = pages.flatMap((page) =>
      [...readFileSync(join(ROOT, page), "utf8").matchAll(IMPORT)].flatMap(([statement, list = ""]) =>
        statement.startsWith("import type")
          ? []
          : list
              .split(",")
              .map((name) => name.trim())
              .filter((name) => name !== "" && !name.startsWith("type ")),
      ),
    );
    expect(names.length).toBeGreaterThan(0);
    expect(names.filter((name) => !(name in entry))).toEqual([]);
  });

  it("reads the client's environment", () => {
    expect(entry.clientEnvironment({})).toEqual({ table: "roger" });
    expect(entry.clientEnvironment({ ROGER_TABLE: "t", ROGER_AMQP_URL: "amqp://x" })).toEqual({ table: "t", amqpUrl: "amqp://x" });
    expect(entry.clientEnvironment({ ROGER_AMQP_URL: "" })).toEqual({ table: "roger" });
  });
});
