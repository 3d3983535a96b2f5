import { createRequire } from "node:module";
import { join } from "node:path";

/** What `sst install` unpacks and installs, as far as it is used here. */

export const ROOT = join(import.meta.dirname, "../../..");
export const WORK = join(ROOT, ".sst");
export const PLATFORM = join(WORK, "platform");

export interface EsbuildPlugin {
  readonly name: string;
  setup(build: { onLoad(options: { filter: RegExp }, load: (args: { readonly path: string }) => { contents: string } | undefined): void }): void;
}

export interface EsbuildOptions {
  readonly [option: string]: unknown;
  readonly plugins?: readonly EsbuildPlugin[];
}

interface Metafile {
  readonly outputs: Readonly<Record<string, { readonly bytes: number; readonly exports: readonly string[] }>>;
}

export interface Esbuild {
  build(options: EsbuildOptions): Promise<{ readonly metafile?: Metafile }>;
}

export interface MockResource {
  readonly type: string;
  readonly name: string;
  readonly inputs: Readonly<Record<string, unknown>>;
}

export interface MockCall {
  readonly token: string;
  readonly inputs: Readonly<Record<string, unknown>>;
}

/** The parts of `@pulumi/pulumi` that run a program without an engine. */
export interface Pulumi {
  readonly runtime: {
    setMocks(
      mocks: { newResource(resource: MockResource): { id: string; state: object }; call(call: MockCall): unknown },
      project: string,
      stack: string,
      preview: boolean,
    ): Promise<void>;
    runInPulumiStack(program: () => Promise<unknown>): Promise<unknown>;
    disconnect(): Promise<void>;
  };
  output(value: unknown): { apply(use: (resolved: unknown) => void): void };
}

/** n.b. the very instances that SST's components import: Pulumi keeps its mocks in the module. */
const require = createRequire(join(PLATFORM, "package.json"));
export const loadEsbuild = (): Esbuild => require("esbuild") as Esbuild;
export const loadPulumi = (): Pulumi => require("@pulumi/pulumi") as Pulumi;
