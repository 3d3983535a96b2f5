import { type Settings, type StageSettings, stageSettings } from "./settings.ts";

/**
 * The one file to edit before `npx sst deploy --stage <name>`: what a stage has other than the defaults, which are in
 * settings.ts and docs/deploy.md. A stage that is not listed gets the defaults.
 */
const STAGES: Readonly<Record<string, Settings>> = {
  production: {},
};

/** @throws InvalidInput naming the setting */
export function settingsOf(stage: string): StageSettings {
  return stageSettings(stage, Object.hasOwn(STAGES, stage) ? STAGES[stage] : {});
}
