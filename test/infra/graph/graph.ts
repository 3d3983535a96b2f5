import { readFileSync } from "node:fs";
import { join } from "node:path";
import { inject } from "vitest";
import type { Build } from "./cli-rpc.ts";
import type { App, ResourceOptions } from "./program.ts";

// biome-ignore lint/suspicious/noExplicitAny: what a resource is made of is different for each of AWS's hundreds of types
export type Inputs = Record<string, any>;

export interface GraphResource {
  readonly type: string;
  readonly name: string;
  readonly id: string;
  readonly inputs: Inputs;
}

/** Everything that a deployment of one stage would make. */
export interface Graph {
  readonly app: App;
  readonly resources: readonly GraphResource[];
  readonly options: readonly ResourceOptions[];
  readonly builds: readonly Build[];
  readonly outputs: unknown;
}

/**
 * The deployments that tests look at; test/global/sst.ts makes them once.
 * - `production`, `dev`: what sst.config.ts makes of these stages
 * - `custom`: a deployer's own broker, two pools, tokens, an alarm mail
 */
export const STAGES: Readonly<Record<"production" | "dev" | "custom", StageSpec>> = {
  production: { bundles: false },
  dev: { bundles: true },
  custom: { bundles: false, settings: customSettings() },
};

export interface StageSpec {
  /** Bundle the handlers, too: they are the same in every stage. */
  readonly bundles: boolean;
  /** Instead of what infra/stages.ts says. */
  readonly settings?: object;
  /** Of another app. @default this repository */
  readonly root?: string;
}

function customSettings(): object {
  return {
    region: "us-east-1",
    pools: { default: { slots: 4, min: 1 }, big: { slots: 1, cpu: 4, memory: 16, max: 2, spot: 0 } },
    broker: { kind: "url" },
    jwt: { issuer: "https://issuer.example.com/", audiences: ["roger"] },
    alarms: { email: "operators@example.com" },
  };
}

/** How Pulumi marks a secret on its way to a mock. */
const SECRET = "4dabf18193072939515e22adb298388d";

export class StageGraph {
  readonly app: App;
  readonly all: readonly GraphResource[];
  readonly options: readonly ResourceOptions[];
  readonly builds: readonly Build[];
  /** All that a state file would show: the resources with every secret left out. */
  readonly shown: string;

  /** @param directory where its graph has been written */
  constructor(stage: string, directory: string = inject("graphs")) {
    const graph = JSON.parse(readFileSync(join(directory, stage, "graph.json"), "utf8")) as Graph;
    this.app = graph.app;
    this.options = graph.options;
    this.builds = graph.builds;
    this.all = graph.resources.map((resource) => ({ ...resource, inputs: opened(resource.inputs) as Inputs }));
    this.shown = JSON.stringify(graph.resources, (_, value: unknown) => (isSecret(value) ? "(secret)" : value));
  }

  of(type: string): readonly GraphResource[] {
    return this.all.filter((resource) => resource.type === type);
  }

  /** The only one of its type, or the only one of that name. */
  one(type: string, name?: string): Inputs {
    const found = this.of(type).filter((resource) => name === undefined || resource.name === name);
    if (found.length !== 1) throw new Error(`${found.length} of ${type} ${name ?? ""}: ${this.of(type).map((resource) => resource.name)}`);
    return found[0]?.inputs ?? {};
  }
}

function isSecret(value: unknown): value is { readonly value: unknown } {
  return typeof value === "object" && value !== null && SECRET in value && "value" in value;
}

/** The value without its secrets' wrappings. */
function opened(value: unknown): unknown {
  if (isSecret(value)) return opened(value.value);
  if (Array.isArray(value)) return value.map(opened);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, opened(inner)]));
}

declare module "vitest" {
  interface ProvidedContext {
    /** Directory with one directory for each of STAGES. */
    graphs: string;
  }
}
