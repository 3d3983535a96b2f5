import { globSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, inject, it } from "vitest";
import { isComment } from "../../package/reach.ts";
import { runChild } from "../infra/graph/child.ts";
import { ROOT } from "../infra/graph/platform.ts";

const tarball = inject("tarball");
const root = join(inject("application"), "node_modules/roger-serverless");
const files = globSync("**/*", { cwd: root }).filter((path) => statSync(join(root, path)).isFile());
const textOf = (path: string) => readFileSync(join(root, path), "utf8");

describe("the tarball", () => {
  it("is small", () => {
    expect(statSync(tarball).size).toBeLessThan(350_000);
    expect(files.length).toBeLessThan(400);
  });

  it("holds what was built, and nothing of how it is worked on", () => {
    const tops = new Set(files.map((path) => path.split("/").slice(0, -1).slice(0, 2).join("/")));
    expect([...tops].toSorted()).toEqual(
      [
        "",
        "cli",
        "dist",
        "docs",
        "docs/decisions",
        ...["broker", "cli", "client", "core", "functions", "infra", "package", "store", "testing", "worker"].map((room) => `dist/${room}`),
      ].toSorted(),
    );
    expect(files.filter((path) => /\.ts$/.test(path) && !path.endsWith(".d.ts"))).toEqual([]);
    expect(files.filter((path) => !path.startsWith("dist/"))).toEqual(
      expect.arrayContaining(["CHANGELOG.md", "LICENSE", "README.md", "cli/roger.mjs", "package.json"]),
    );
  });

  it("has the documents that its README names", () => {
    const named = [...textOf("README.md").matchAll(/\]\((docs\/[^)#]+)/g)].map(([, path = ""]) => path);
    expect(named).toContain("docs/install.md");
    expect(files).toEqual(expect.arrayContaining(named));
  });

  it("names no source that it does not have", () => {
    const named = files
      .filter((path) => /\.(js|d\.ts)$/.test(path))
      .flatMap((path) =>
        textOf(path)
          .split("\n")
          .map((line) => `${path}: ${line}`)
          .filter((line) => !isComment(line.slice(path.length + 2))),
      )
      .filter((line) => /\.ts["'`]|import\("#jobs"/.test(line));
    expect(named).toEqual([]);
  });

  it("has nothing that publint finds", async () => {
    expect(await runChild(process.execPath, [join(ROOT, "node_modules/publint/src/cli.js"), tarball, "--strict"])).toContain("All good");
  });

  it("has types wherever it has modules, for every way of resolving them that knows `exports`", async () => {
    const attw = join(ROOT, "node_modules/@arethetypeswrong/cli/dist/index.js");
    expect(await runChild(process.execPath, [attw, tarball, "--profile", "esm-only", "--no-emoji"])).not.toContain("💀");
  });
});
