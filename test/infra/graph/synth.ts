import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startRpc } from "./cli-rpc.ts";
import type { Graph, GraphResource, StageSpec } from "./graph.ts";
import { call, newResource } from "./mocks.ts";
import { loadEsbuild, loadPulumi, ROOT } from "./platform.ts";
import { evaluateApp, loadProgram, type ResourceOptions } from "./program.ts";

/**
 * `node synth.ts <directory> <stage> <StageSpec as JSON>`: runs sst.config.ts with SST's real components, and without an
 * engine, AWS or a network, and writes what it would make to `<directory>/graph.json`. A process of its own: SST changes
 * the working directory and Pulumi lives in globals.
 */
const [directory = "", stage = "", spec = "{}"] = process.argv.slice(2);
const { bundles, settings, root = ROOT } = JSON.parse(spec) as StageSpec;
await mkdir(directory, { recursive: true });
const esbuild = loadEsbuild();
const pulumi = loadPulumi();
const rpc = await startRpc(bundles ? esbuild : undefined, root, directory);
process.env.SST_SERVER = rpc.url;
process.env.SST_SECRET_AmqpUrl = "amqps://somebody:the-broker-password@broker.example.com";

const app = await evaluateApp(esbuild, stage, root);
const resources: GraphResource[] = [];
await pulumi.runtime.setMocks(
  {
    newResource: (resource) => {
      const { id, state } = newResource(resource);
      const { type, name, inputs } = resource;
      resources.push({ type, name, id, inputs });
      return { id, state };
    },
    call,
  },
  app.name,
  stage,
  false,
);
const program = await loadProgram(esbuild, { app, stage, root, ...(settings === undefined ? {} : { settings }) });
const options: ResourceOptions[] = [];
// It waits for every registration that is still under way.
const outputs = await pulumi.runtime.runInPulumiStack(() => program(options));
await pulumi.runtime.disconnect();
const graph: Graph = { app, resources, options, builds: [...rpc.builds], outputs };
await writeFile(join(directory, "graph.json"), JSON.stringify(graph));
await rpc.stop();
// Pulumi leaves a server of its own behind.
process.exit(0);
