import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ROOT } from "../../local/environment.ts";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "roger-jobs-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const IMPORTS = 'import { z } from "zod";\nimport { defineJob } from "roger-serverless";\n';
const job = (name: string, more: string) =>
  `${IMPORTS}export const ${name} = defineJob({ name: "hello", args: z.object({}), perform() {}, ${more} });\n`;

/** What `npm start` says of a jobs module in an empty directory, and its exit code. It must end before anything starts. */
async function start(name: string, source: string): Promise<{ code: unknown; said: string }> {
  const path = join(dir, `${name}.ts`);
  writeFileSync(path, source);
  const call = promisify(execFile)(process.execPath, [join(ROOT, "local/start.ts"), "--jobs", path], { cwd: ROOT, timeout: 20_000 });
  return call.then(
    ({ stdout }) => ({ code: 0, said: stdout }),
    ({ code, stdout, stderr }) => ({ code, said: `${stdout}${stderr}` }),
  );
}

it.concurrent.each([
  ["syntax", "\nexport const hello = {\n", /syntax\.ts:2\nexport const hello = \{\n[\s\S]*SyntaxError/],
  ["enum", "export enum Colour { red }\n", /enum\.ts:1\n[\s\S]*enum is not supported/],
  ["throws", 'const a = 1;\nthrow new Error("boom");\n', / boom\n {4}at \S+throws\.ts:2:7\n$/],
  ["elsewhere", 'import "./nowhere.ts";\n', /Cannot find module '\S+nowhere\.ts' imported from \S+elsewhere\.ts\n$/],
  ["missing", 'import "no-such-package";\n', /Cannot find package 'no-such-package' .*; npm install no-such-package\n$/],
  ["nothing", "export const a = 1;\n", /nothing\.ts exports no jobs/],
  ["queue", job("hello", 'queue: "A-b"'), /job hello: queue: "A-b" does not fit: .*\n {4}at \S+queue\.ts:3:22\n$/],
  ["levels", job("hello", 'retry: { levels: ["1"] } as never'), /job hello: retry\.levels: .*\n {4}at \S+levels\.ts:3:22\n$/],
  ["twice", job("hello", "") + job("again", "").replace(IMPORTS, ""), /two jobs are called "hello"/],
])("npm start says what is wrong with a jobs module, and where: %s", async (name, source, expected) => {
  const { code, said } = await start(name, source);
  expect(said).toMatch(expected);
  expect(said).toMatch(/^Roger could not start: /);
  expect(code).toBe(1);
});
