import type { ApiApp } from "../core/contract/api-routes.ts";
import type { Statement } from "./access.ts";
import type { StageSettings } from "./settings.ts";

/** Where the code is that a stage runs, and how its parts are told from other parts of the app. */
export interface Host {
  /** A resource's name in the app. */
  name(base: string): string;
  /** What SST takes for a function's handler: code is named by its path, never imported. */
  handler(file: ApiApp | "scale"): string;
  /** What the image of a task is built of. */
  readonly image: Image;
  /** What a task is told besides what it always is. */
  readonly environment: Readonly<Record<string, $util.Input<string>>>;
  /** What a task may do besides what it always may. */
  readonly permissions: readonly Statement<$util.Input<string>>[];
}

export interface Image {
  /** The directory that the Dockerfile copies from, seen from the app's root. */
  readonly context: string;
  /** Seen from there. */
  readonly dockerfile: string;
}

/** This repository: everything is where it is written, and nothing else is in the app. */
export const SOURCES: Host = {
  name: (base) => base,
  handler: (file) => `functions/${file}.handler`,
  image: { context: ".", dockerfile: "worker/Dockerfile" },
  environment: {},
  permissions: [],
};

/** What tells this app and stage from all others of an account. */
export function appAndStage(): string {
  return `${$app.name}-${$app.stage}`;
}

export function logGroupName(part: string): string {
  return `/${$app.name}/${$app.stage}/${part}`;
}

/** What is deployed, of which code. */
export interface Stage extends StageSettings {
  readonly host: Host;
}
