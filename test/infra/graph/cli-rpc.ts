import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { Esbuild } from "./platform.ts";

/** One handler as it was bundled. */
export interface Build {
  readonly handler: string;
  /** The directory that becomes the Lambda's code. */
  readonly directory: string;
  readonly bytes: number;
}

interface BuildInput {
  readonly functionID: string;
  readonly handler: string;
  readonly runtime: string;
  readonly properties?: { readonly minify?: boolean };
}

interface BuildOutput {
  readonly handler: string;
  readonly out: string;
  readonly errors: readonly string[];
  readonly sourcemaps: readonly string[];
}

export interface Rpc {
  readonly url: string;
  readonly builds: readonly Build[];
  stop(): Promise<void>;
}

/** What the CLI tells of its bootstrap, once for each region. */
const BOOTSTRAP = {
  asset: "sst-asset-test",
  assetEcrRegistryId: "123456789012",
  assetEcrUrl: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/sst-asset",
  state: "sst-state-test",
  appsyncHttp: "",
  appsyncRealtime: "",
};

/**
 * The server that SST's CLI gives a program while it runs: it bundles handlers, with the same esbuild and the same
 * options as the CLI (its pkg/runtime/node), and knows the bootstrap. Anything else it is asked for fails.
 * @param esbuild `undefined`: handlers are not bundled, and are empty
 * @param root of the app
 */
export async function startRpc(esbuild: Esbuild | undefined, root: string, outDirectory: string): Promise<Rpc> {
  const builds: Build[] = [];
  const methods: Readonly<Record<string, (input: BuildInput) => Promise<unknown>>> = {
    "Provider.Aws.Bootstrap": async () => BOOTSTRAP,
    "Runtime.Build": (input) => buildHandler(esbuild, { root, directory: join(outDirectory, input.functionID) }, input, builds),
  };
  const server = createServer((request, response) => {
    const answer = async () => {
      const { method, params } = JSON.parse(await text(request)) as { method: string; params: [BuildInput] };
      const run = methods[method];
      return run === undefined ? { error: `rpc: can't find method ${method}` } : { result: await run(params[0]) };
    };
    answer().then(
      (body) => response.end(JSON.stringify(body)),
      (error: unknown) => response.end(JSON.stringify({ error: String(error) })),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    builds,
    stop: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

interface Places {
  /** Of the app. */
  readonly root: string;
  /** Where the bundle goes. */
  readonly directory: string;
}

/** As the CLI looks for a handler's file. */
const EXTENSIONS = [".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs"];

async function buildHandler(esbuild: Esbuild | undefined, { root, directory }: Places, input: BuildInput, builds: Build[]): Promise<BuildOutput> {
  const failed = (message: string): BuildOutput => ({ handler: "", out: "", errors: [message], sourcemaps: [] });
  const seam = input.handler.lastIndexOf(".");
  const source = EXTENSIONS.map((extension) => join(root, `${input.handler.slice(0, seam)}${extension}`)).find((file) => existsSync(file));
  const exported = input.handler.slice(seam + 1);
  if (source === undefined) return failed(`handler not found: ${input.handler}`);
  await mkdir(directory, { recursive: true });
  if (esbuild === undefined) {
    await writeFile(join(directory, "bundle.mjs"), "");
    return { handler: `bundle.${exported}`, out: directory, errors: [], sourcemaps: [] };
  }
  const minify = input.properties?.minify ?? false;
  const { metafile } = await esbuild.build({
    entryPoints: [source],
    outfile: join(directory, "bundle.mjs"),
    bundle: true,
    platform: "node",
    format: "esm",
    // The CLI says es2024, which this esbuild does not know yet.
    target: "es2023",
    mainFields: ["module", "main"],
    external: ["sharp", "pg-native"],
    keepNames: true,
    sourcemap: "linked",
    minify,
    metafile: true,
    logLevel: "silent",
    banner: { js: nodeBanner() },
  });
  const output = Object.entries(metafile?.outputs ?? {}).find(([file]) => file.endsWith("bundle.mjs"))?.[1];
  if (output === undefined || !output.exports.includes(exported)) return failed(`${input.handler}: exports only ${output?.exports.join(", ")}`);
  builds.push({ handler: input.handler, directory, bytes: output.bytes });
  return { handler: `bundle.${exported}`, out: directory, errors: [], sourcemaps: [] };
}

/** What CommonJS packages look for in a module. */
export function nodeBanner(): string {
  return [
    `import { createRequire as topLevelCreateRequire } from "module";`,
    `const require = topLevelCreateRequire(import.meta.url);`,
    `import { fileURLToPath as topLevelFileUrlToPath, URL as topLevelURL } from "url";`,
    `const __filename = topLevelFileUrlToPath(import.meta.url);`,
    `const __dirname = topLevelFileUrlToPath(new topLevelURL(".", import.meta.url));`,
  ].join("\n");
}
