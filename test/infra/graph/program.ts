import { readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { nodeBanner } from "./cli-rpc.ts";
import { type Esbuild, PLATFORM, ROOT, WORK } from "./platform.ts";

/** What `app()` of sst.config.ts says. */
export interface App {
  readonly name: string;
  readonly version: string;
  readonly removal: string;
  readonly protect: boolean;
  readonly providers: { readonly aws: { readonly region: string; readonly version: string }; readonly random: string };
}

/** Options of a resource, which never reach a mock. */
export interface ResourceOptions {
  readonly type: string;
  readonly name: string;
  readonly ignoreChanges?: readonly string[];
  readonly retainOnDelete?: boolean;
  readonly protect?: boolean;
}

export type Program = (seen: ResourceOptions[]) => Promise<unknown>;

/** @param root of an app @returns where its config is, as code names it */
function configOf(root: string): string {
  return JSON.stringify(join(root, "sst.config.ts"));
}

/** Evaluates `app()`, as the CLI does at first. */
export async function evaluateApp(esbuild: Esbuild, stage: string, root: string): Promise<App> {
  const code = `import config from ${configOf(root)};\nexport const app = await config.app({ stage: ${JSON.stringify(stage)} });`;
  const { app } = await bundleAndImport<{ app: App }>(esbuild, "app", { code, banner: "function $config(input) { return input; }" });
  return app;
}

/**
 * `run()` of sst.config.ts, bundled with what the CLI puts around it: its globals in front of every file of ours, and
 * its own start (`auto/run.ts`).
 * @param settings those of another deployer, instead of the stage's in infra/stages.ts
 */
export async function loadProgram(
  esbuild: Esbuild,
  { app, stage, root, settings }: { app: App; stage: string; root: string; settings?: object },
): Promise<Program> {
  const body = settings === undefined ? "config.run()" : `makeStage(stageSettings(${JSON.stringify(stage)}, ${JSON.stringify(settings)}))`;
  const code = `
    import { run } from ${JSON.stringify(join(PLATFORM, "src/auto/run.ts"))};
    import { runtime } from "@pulumi/pulumi";
    import config from ${configOf(root)};
    import { makeStage } from ${JSON.stringify(join(ROOT, "infra/main.ts"))};
    import { stageSettings } from ${JSON.stringify(join(ROOT, "infra/settings.ts"))};
    export const program = (seen) => run(async () => {
      runtime.registerStackTransformation(({ type, name, opts: { ignoreChanges, retainOnDelete, protect } }) => {
        seen.push({ type, name, ignoreChanges, retainOnDelete, protect });
        return undefined;
      });
      return ${body};
    });`;
  const cli = {
    command: "deploy",
    dev: false,
    paths: { home: tmpdir(), root, work: join(root, ".sst"), platform: PLATFORM },
    state: { version: {} },
  };
  const { program } = await bundleAndImport<{ program: Program }>(esbuild, "run", {
    code,
    globals: [
      ...Object.keys(app.providers).map((provider) => `import * as ${provider} from "@pulumi/${provider}";`),
      `import * as sst from ${JSON.stringify(join(PLATFORM, "src/components"))};`,
    ],
    inject: [join(PLATFORM, "src/shim/run.js")],
    define: { $app: JSON.stringify({ ...app, stage }), $cli: JSON.stringify(cli), $dev: "false" },
  });
  return program;
}

interface Bundle {
  readonly code: string;
  readonly banner?: string;
  /** Lines put in front of every file that is not SST's. */
  readonly globals?: readonly string[];
  readonly inject?: readonly string[];
  readonly define?: Readonly<Record<string, string>>;
}

async function bundleAndImport<T>(esbuild: Esbuild, name: string, { code, banner = "", globals = [], inject = [], define = {} }: Bundle): Promise<T> {
  // Inside the platform, so that what stays external is found among its packages.
  const outfile = join(PLATFORM, `roger.${name}.${process.pid}.mjs`);
  await esbuild.build({
    stdin: { contents: code, resolveDir: ROOT, sourcefile: "eval.ts", loader: "ts" },
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    mainFields: ["module", "main"],
    nodePaths: [join(PLATFORM, "node_modules")],
    banner: { js: `${nodeBanner()}\n${banner}` },
    external: ["@pulumi/*", "undici", "@pulumiverse/*", "@sst-provider/*", "@aws-sdk/*", "esbuild", "archiver", "glob", "vite"],
    inject,
    define,
    logLevel: "error",
    plugins: [
      {
        name: "globals",
        setup: (build) =>
          build.onLoad({ filter: /\.(js|ts|jsx|tsx)$/ }, ({ path }) => {
            if (globals.length === 0 || path.startsWith(WORK)) return undefined;
            return { contents: `${globals.join("\n")}\n${readFileSync(path, "utf8")}`, loader: "default" };
          }),
      },
    ],
  });
  try {
    return (await import(pathToFileURL(outfile).href)) as T;
  } finally {
    await rm(outfile);
  }
}
