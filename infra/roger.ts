import { InvalidInput } from "../core/contract/errors.ts";
import { CLIENT_ACCESS, type Statement, statementsOf } from "./access.ts";
import { type ApplicationCode, applicationHost } from "./application.ts";
import { makeParts } from "./main.ts";
import { type Settings, stageSettings } from "./settings.ts";

/** What an application says of its Roger: where its jobs are, and what it wants other than the defaults (docs/deploy.md). */
export interface RogerOptions extends ApplicationCode, Omit<Settings, "region" | "removal"> {}

/** What the rest of the app may use. */
export interface Roger {
  /** URL of the HTTP API. */
  readonly api: $util.Output<string>;
  /** The table's name. */
  readonly table: $util.Output<string>;
  /** The ECS cluster's name. */
  readonly cluster: $util.Output<string>;
  /** What a function needs to enqueue by way of the table: `new sst.aws.Function("Web", { ...roger.client, handler })`. */
  readonly client: {
    readonly environment: { readonly ROGER_TABLE: $util.Output<string> };
    readonly permissions: Statement<$util.Output<string>>[];
  };
}

/** The app's own `app()` says these, for all that is in it. */
const OF_THE_APP = ["region", "removal"];

/**
 * Makes all of Roger in an SST app, every resource's name beginning with `Roger`; once in an app. Its defaults are careful in the
 * stage that is called `production`, and cheap in all others.
 * @throws InvalidInput naming the setting: `production.pools.default.memory`
 */
export function roger(options: RogerOptions): Roger {
  const settings = settingsIn(options);
  for (const key of OF_THE_APP) if (key in settings) throw new InvalidInput(key, "is for app() of sst.config.ts to say");
  const host = applicationHost(options);
  const stage = stageSettings($app.stage, settings);
  if (stage.broker.kind === "amazon-mq" && typeof random === "undefined")
    throw new InvalidInput("providers.random", 'is missing in app() of sst.config.ts: it makes the broker\'s password (random: "4.16.6")');
  const { api, table, pools } = makeParts(stage, host);
  return {
    api: api.url,
    table: table.name,
    cluster: pools.cluster.name,
    client: {
      environment: { ROGER_TABLE: table.name },
      permissions: statementsOf(CLIENT_ACCESS, { table: table.arn, dueIndex: table.dueIndexArn, services: [] }),
    },
  };
}

/** What is said of the code is no setting of the stage. */
function settingsIn({ jobs: _jobs, image: _image, environment: _environment, permissions: _permissions, ...settings }: RogerOptions): object {
  return settings;
}
