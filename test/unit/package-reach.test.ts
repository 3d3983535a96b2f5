import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { entriesOf, packageOf } from "../../package/manifest.ts";
import { reach } from "../../package/reach.ts";

const name = (path: string): string => JSON.stringify(path);

async function directoryOf(files: Readonly<Record<string, string>>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "roger-test-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), text);
  }
  return directory;
}

it("finds what is imported now, later and as a thread, in both kinds of files, and no comment's", async () => {
  const root = await directoryOf({
    "a/one.js": `import { b } from ${name("./two.js")};\nimport "pino";\nconst c = () => import(${name("../b/three.js")});\n// import "./four.js"`,
    "a/two.js": 'new Worker(new URL("./thread.js", import.meta.url), {});',
    "a/thread.js": `import { x } from "@aws-sdk/lib-dynamodb";\nthrow new Error('it came from "nowhere"');`,
    "b/three.js": "",
    "a/one.d.ts": `export declare const a: import(${name("../b/three.js")}).Three;`,
    "b/three.d.ts": "/** `import('./nowhere.js')` */",
    "a/four.js": "",
  });
  const { files, names } = reach(root, ["a/one.js", "a/one.d.ts"]);
  expect([...files].toSorted()).toEqual(["a/one.d.ts", "a/one.js", "a/thread.js", "a/two.js", "b/three.d.ts", "b/three.js"]);
  expect(Object.fromEntries(names)).toEqual({ pino: "a/one.js", "@aws-sdk/lib-dynamodb": "a/thread.js" });
});

it("refuses what points nowhere", async () => {
  const root = await directoryOf({ "a.js": 'import "./b.js";' });
  expect(() => reach(root, ["a.js"])).toThrow("b.js is needed, and there is no such file");
});

it("begins at the exports, their types, and the programs", () => {
  const exports = { ".": "./dist/client/index.js", "./package.json": "./package.json" };
  expect(entriesOf({ version: "1.0.0", exports, dependencies: {} })).toEqual([
    "dist/cli/main.js",
    "dist/worker/main.js",
    "dist/client/index.js",
    "dist/client/index.d.ts",
  ]);
});

it("knows a package by its first name, or its first two", () => {
  expect(["hono/aws-lambda", "@aws-sdk/client-ecs/x", "zod"].map(packageOf)).toEqual(["hono", "@aws-sdk/client-ecs", "zod"]);
});
