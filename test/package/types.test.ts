import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inject, it } from "vitest";
import { runChild } from "../infra/graph/child.ts";
import { ROOT } from "../infra/graph/platform.ts";

const application = inject("application");

it.each([
  { module: "nodenext", moduleResolution: "nodenext" },
  { module: "esnext", moduleResolution: "bundler" },
])("an application type-checks ($moduleResolution)", async (options) => {
  const config = join(application, `tsconfig.${options.moduleResolution}.json`);
  const compilerOptions = {
    ...options,
    target: "es2024",
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    skipLibCheck: true,
    allowImportingTsExtensions: true,
    types: ["node"],
    typeRoots: [join(ROOT, "node_modules/@types")],
  };
  await writeFile(config, JSON.stringify({ compilerOptions, include: ["jobs", "types.ts"] }));
  await runChild(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", config]);
});
