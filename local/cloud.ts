import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openBroker } from "../broker/broker.ts";
import { RogerApi } from "../client/api.ts";
import { systemClock } from "../core/contract/clock.ts";
import type { Registry } from "../core/job/registry.ts";
import { composeApp } from "../functions/app.ts";
import type { Store } from "../store/store.ts";
import { openBackends } from "./backends.ts";
import { type CloudListener, type CloudPart, logTo } from "./cloud-events.ts";
import type { Ecs } from "./ecs/endpoint.ts";
import type { LocalSettings } from "./environment.ts";
import { startGateway } from "./gateway.ts";
import { loadJobs } from "./jobs-module.ts";
import { startPool } from "./pool.ts";
import type { Rabbit } from "./rabbitmq/rabbit.ts";

/** Roger as it runs in AWS, on this machine: started, and somebody's to stop. */
export interface Cloud {
  /** Base URL of the HTTP API. */
  readonly url: string;
  readonly api: RogerApi;
  readonly ecs: Ecs;
  readonly rabbit: Rabbit;
  readonly store: Store;
  /** The workers' logs, one file a task. */
  readonly logDir: string;
  /** The jobs that can be enqueued. */
  readonly jobs: Registry;
  /** In order: no more requests, tasks drain, then what they stand on. May be called twice. */
  stop(): Promise<void>;
  /** SIGKILL for the tasks: for those who can't wait until they have drained. `stop` afterwards is quick. */
  kill(): void;
}

/**
 * Starts DynamoDB, RabbitMQ, ECS with its one service, the scaler's clock and the HTTP API. Whatever had started is stopped again
 * when something fails.
 * @param signal when it aborts meanwhile, what has started is stopped and its reason thrown
 * @throws JobsUnusable when the jobs module is no good; what the parts throw
 */
export async function startCloud(settings: LocalSettings, onEvent: CloudListener = () => {}, signal?: AbortSignal): Promise<Cloud> {
  await using unwinding = new AsyncDisposableStack();
  const cloud = await buildCloud({ settings, onEvent, signal, releases: unwinding });
  const releases = unwinding.move();
  let stopping: Promise<void> | undefined;
  return {
    ...cloud,
    stop: () => {
      stopping ??= releases.disposeAsync();
      return stopping;
    },
  };
}

interface Building {
  readonly settings: LocalSettings;
  readonly onEvent: CloudListener;
  readonly signal: AbortSignal | undefined;
  /** What has started, in order: it is stopped last first. */
  readonly releases: AsyncDisposableStack;
}

async function buildCloud({ settings, onEvent, signal, releases }: Building): Promise<Omit<Cloud, "stop">> {
  const startedAt = systemClock.monotonic();
  const onUp = (part: CloudPart, how: string): void => onEvent({ kind: "up", part, how, afterMs: systemClock.monotonic() - startedAt });
  const registry = await loadJobs(settings.jobs);
  const dir = await workDir(settings, releases);

  const backends = await openBackends({ settings, dir, releases, onUp, onEvent });
  signal?.throwIfAborted();
  const { rabbit, store } = backends;
  const broker = openBroker({ url: rabbit.url, name: "roger local gateway" });
  releases.defer(() => broker.stop());
  await broker.start();

  const log = logTo(onEvent);
  const logDir = join(dir, "logs");
  const { ecs, scaler, pools } = await startPool({ settings, backends, logDir, releases, log, onEvent });
  onUp("ECS", `${settings.tasks.min} to ${settings.tasks.max} processes of ${settings.slots} slots`);

  const app = composeApp({ store, clock: systemClock, log, scaler, pools, registry, withQueues: (work) => work(broker.admin) });
  const { url, stop } = await startGateway({ app, port: settings.port, portMayMove: settings.portMayMove });
  releases.defer(stop);
  onUp("API", url);
  return { url, api: new RogerApi(url), ecs, rabbit, store, logDir, jobs: registry, kill: () => ecs.kill() };
}

async function workDir({ dataDir }: LocalSettings, releases: AsyncDisposableStack): Promise<string> {
  if (dataDir !== undefined) {
    await mkdir(dataDir, { recursive: true });
    return dataDir;
  }
  const dir = await mkdtemp(join(tmpdir(), "roger-"));
  releases.defer(() => rm(dir, { recursive: true, force: true }));
  return dir;
}
