import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, inject, it } from "vitest";
import { ROOT } from "../infra/graph/platform.ts";
import { typeCheck } from "./compile.ts";

const application = inject("application");
const example = inject("example");

it("an application type-checks, whichever way its modules are resolved", async () => {
  await typeCheck(application, { module: "nodenext", moduleResolution: "nodenext" });
  await typeCheck(application, { module: "esnext", moduleResolution: "bundler" });
});

it("the example type-checks, its deployment too, and what is wrong with one is found", async () => {
  const wrong = `
    import { roger } from "roger-serverless/infra";
    // @ts-expect-error nobody knows its jobs
    roger({});
    // @ts-expect-error there is no such pool setting
    roger({ jobs: "jobs/index.ts", pools: { default: { size: 3 } } });
    // @ts-expect-error the app says it
    roger({ jobs: "jobs/index.ts", region: "eu-west-1" });
    const { api } = roger({ jobs: "jobs/index.ts", broker: { kind: "url" } });
    // @ts-expect-error it is known later
    export const url: string = api;`;
  await writeFile(join(example, "api/wrong.ts"), wrong);
  await typeCheck(example);
});

it("every file that docs/install.md shows type-checks", async () => {
  const page = await readFile(join(ROOT, "docs/install.md"), "utf8");
  const shown = [...page.matchAll(/```ts\n\/\/ (\S+)\n(.*?)```/gs)].map(([, path = "", text = ""]) => ({ path, text }));
  expect(shown.map(({ path }) => path)).toEqual(["jobs/index.ts", "worker.ts", "enqueue.ts", "lambda.ts"]);
  for (const { path, text } of shown) {
    const file = join(application, "shown", path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
  await typeCheck(application, { module: "nodenext", moduleResolution: "nodenext" }, ["shown"]);
});
