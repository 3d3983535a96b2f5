import { join } from "node:path";
import { CreateServiceCommand, ECSClient } from "@aws-sdk/client-ecs";
import { systemClock } from "../core/contract/clock.ts";
import { describeError } from "../core/contract/errors.ts";
import { STOP_TIMEOUT_MS } from "../core/contract/limits.ts";
import { DEFAULT_POOL } from "../core/contract/names.ts";
import { Ticker } from "../core/contract/ticker.ts";
import type { Log, Scaler } from "../functions/deps.ts";
import { openServices } from "../functions/ecs.ts";
import { openScaler } from "../functions/scaler.ts";
import { type Backends, CREDENTIALS, REGION, TABLE } from "./backends.ts";
import type { CloudListener } from "./cloud-events.ts";
import { type Ecs, startEcs } from "./ecs/endpoint.ts";
import type { TaskDefinition } from "./ecs/task.ts";
import { type LocalSettings, ROOT } from "./environment.ts";

const CLUSTER = "roger";
const SERVICE = `roger-${DEFAULT_POOL}`;
/** In AWS the clock ticks every minute; in front of a terminal nobody waits for that long. */
const SCALE_EVERY_MS = 5_000;
/** What running jobs get at Ctrl-C: nobody waits for a minute and a half. */
const DRAIN_SECONDS = 10;
const LEND_PACKAGES = new URL("lend-packages.ts", import.meta.url).href;

export interface PoolOptions {
  readonly settings: LocalSettings;
  readonly backends: Backends;
  readonly logDir: string;
  readonly releases: AsyncDisposableStack;
  readonly log: Log;
  readonly onEvent: CloudListener;
}

export interface Pool {
  readonly ecs: Ecs;
  readonly scaler: Scaler;
  /** Which pools there are: this one. */
  readonly pools: readonly string[];
}

/** Starts ECS with the service of the one pool, and what makes the number of its tasks follow the work. */
export async function startPool(options: PoolOptions): Promise<Pool> {
  const { settings, backends, releases, log, onEvent } = options;
  const { min, max } = settings.tasks;
  const definition = workerDefinition(options);
  let onTaskEvent = (): void => {};
  const ecs = await startEcs({
    cluster: CLUSTER,
    taskDefinitions: [definition],
    onTaskChange: (task, status) => {
      onEvent({ kind: "task", task, status });
      if (status === "RUNNING" || status === "STOPPED") onTaskEvent();
    },
  });
  releases.defer(() => ecs.stop());
  const client = new ECSClient({ endpoint: ecs.endpoint, region: REGION, credentials: CREDENTIALS });
  releases.defer(() => client.destroy());
  await client.send(new CreateServiceCommand({ cluster: CLUSTER, serviceName: SERVICE, taskDefinition: definition.family, desiredCount: min }));

  const bounds = [{ pool: DEFAULT_POOL, service: SERVICE, slots: settings.slots, min, max }];
  const scaler = openScaler({ store: backends.store, clock: systemClock, log, services: openServices(CLUSTER, client), bounds });
  let pass = Promise.resolve();
  onTaskEvent = () => {
    pass = scaler.request();
  };
  releases.defer(() => {
    // The tasks' ends that now follow are wanted, and the client of the scaler is about to go.
    onTaskEvent = () => {};
    return pass;
  });
  const ticker = new Ticker({
    pauseMs: SCALE_EVERY_MS,
    round: () => scaler.tick(),
    onError: (error) => log.error("scaling failed", { error: describeError(error) }),
  });
  releases.defer(() => ticker.stop());
  await ticker.start();
  return { ecs, scaler, pools: bounds.map(({ pool }) => pool) };
}

function workerDefinition({ settings, backends, logDir }: PoolOptions): Omit<TaskDefinition, "revision"> {
  return {
    family: "roger-worker",
    command: join(ROOT, "node_modules/.bin/node"),
    args: ["--import", LEND_PACKAGES, join(ROOT, "worker/main.ts")],
    cwd: ROOT,
    logDir,
    stopTimeoutMs: STOP_TIMEOUT_MS,
    env: {
      ...settings.inherited,
      ROGER_TABLE: TABLE,
      ROGER_AMQP_URL: backends.rabbit.url,
      ROGER_POOL: DEFAULT_POOL,
      ROGER_SLOTS: String(settings.slots),
      ROGER_JOBS: settings.jobs,
      ROGER_HEALTH_PORT: "0",
      ROGER_DRAIN_SECONDS: String(DRAIN_SECONDS),
      ROGER_REPORT_SECONDS: "1",
      AWS_REGION: REGION,
      AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
      AWS_ENDPOINT_URL_DYNAMODB: backends.dynamoEndpoint,
    },
  };
}
