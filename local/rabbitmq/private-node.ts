import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../core/contract/clock.ts";
import { freePort } from "../free-port.ts";
import type { Installation } from "./find.ts";
import { advancedConfig, type Rabbit, type RabbitOptions, READY_DEADLINE_MS } from "./rabbit.ts";
import { Supervisor } from "./supervisor.ts";

const LOG_TAIL_LINES = 30;
/** Another program may take a port between our look and the node's, some seconds later. */
const PORT_TRIES = 3;

interface Ports {
  readonly amqp: number;
  readonly epmd: number;
  /** Erlang distribution: RabbitMQ insists on it, nobody connects. */
  readonly distribution: number;
}

/**
 * Starts a RabbitMQ of our own beside whatever else runs on this machine: own ports, own port mapper, own data, nothing
 * from /etc, any user. It lives no longer than this process, however that ends (supervise.sh says how).
 * @param port finds a free one
 * @throws Error with the end of its log when it isn't ready in time
 */
export async function startPrivateNode(installed: Installation, options: RabbitOptions = {}, port = freePort): Promise<Rabbit> {
  for (let tries = 1; ; tries++) {
    try {
      return await startAt({ amqp: await port(), epmd: await port(), distribution: await port() }, installed, options);
    } catch (error) {
      if (tries >= PORT_TRIES || !(error instanceof Error && /already_used|eaddrinuse/.test(error.message))) throw error;
    }
  }
}

async function startAt(ports: Ports, installed: Installation, options: RabbitOptions): Promise<Rabbit> {
  const { dataDir } = options;
  const directory = dataDir === undefined ? await mkdtemp(join(tmpdir(), "roger-rabbit-")) : resolve(dataDir);
  await writeConfiguration(directory, ports, options);
  const supervisor = Supervisor.start({
    directory,
    removeDirectory: dataDir === undefined,
    epmd: installed.epmd,
    epmdPort: ports.epmd,
    server: installed.server,
    env: environment(directory, ports),
  });
  try {
    await untilReady(supervisor, directory);
  } catch (error) {
    await supervisor.release();
    throw error;
  }
  return {
    url: `amqp://guest:guest@127.0.0.1:${ports.amqp}`,
    how: `private node of RabbitMQ ${await version(directory)}`,
    stop: () => supervisor.release(),
    kill: () => supervisor.kill(),
    restart: async () => {
      await truncateLog(directory);
      await supervisor.run();
      await untilReady(supervisor, directory);
    },
  };
}

async function writeConfiguration(directory: string, ports: Ports, options: RabbitOptions): Promise<void> {
  await mkdir(directory, { recursive: true });
  const settings = [
    `listeners.tcp.1 = 127.0.0.1:${ports.amqp}`,
    "loopback_users = none",
    `vm_memory_high_watermark.absolute = ${options.memoryLimit ?? "2GB"}`,
    "disk_free_limit.absolute = 50MB",
    "log.console = true",
    "log.console.level = info",
    "log.connection.level = error",
  ];
  await writeFile(join(directory, "rabbitmq.conf"), `${settings.join("\n")}\n`);
  await writeFile(join(directory, "advanced.config"), advancedConfig(options));
  await writeFile(join(directory, "enabled_plugins"), "[].\n");
  await truncateLog(directory);
}

function environment(directory: string, ports: Ports): Readonly<Record<string, string>> {
  return {
    // Erlang keeps its cookie there.
    HOME: directory,
    LANG: "C.UTF-8",
    // The name is part of the data: it must not change. Our own port mapper keeps it apart from its namesakes.
    RABBITMQ_NODENAME: "roger@localhost",
    RABBITMQ_NODE_IP_ADDRESS: "127.0.0.1",
    RABBITMQ_NODE_PORT: String(ports.amqp),
    RABBITMQ_DIST_PORT: String(ports.distribution),
    RABBITMQ_CONFIG_FILE: join(directory, "rabbitmq"),
    RABBITMQ_ADVANCED_CONFIG_FILE: join(directory, "advanced.config"),
    RABBITMQ_CONF_ENV_FILE: "/dev/null",
    RABBITMQ_MNESIA_BASE: join(directory, "data"),
    RABBITMQ_LOG_BASE: join(directory, "log"),
    RABBITMQ_LOGS: "-",
    RABBITMQ_PID_FILE: join(directory, "rabbit.pid"),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(directory, "enabled_plugins"),
    RABBITMQ_GENERATED_CONFIG_DIR: join(directory, "generated"),
    RABBITMQ_FEATURE_FLAGS_FILE: join(directory, "feature_flags"),
    // Schedulers that spin while they wait cost the CPU which our tests and workers want.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "+sbwt none +sbwtdcpu none +sbwtdio none -start_epmd false -kernel inet_dist_use_interface {127,0,0,1}",
    ERL_EPMD_PORT: String(ports.epmd),
    ERL_EPMD_ADDRESS: "127.0.0.1",
    // Makes the start script exec Erlang, so that the pid we know is the node's; nothing of systemd is used.
    RUNNING_UNDER_SYSTEMD: "true",
  };
}

async function untilReady(supervisor: Supervisor, directory: string): Promise<void> {
  const deadline = systemClock.monotonic() + READY_DEADLINE_MS;
  let ended: string | undefined;
  void supervisor.ended.then((how) => {
    ended = how;
  });
  while (!(await readLog(directory)).includes("Server startup complete")) {
    if (ended !== undefined) throw await failure(directory, `ended before it was ready (${ended})`);
    if (systemClock.monotonic() > deadline) throw await failure(directory, `was not ready within ${READY_DEADLINE_MS / 1000} s`);
    await sleep(100);
  }
}

async function failure(directory: string, what: string): Promise<Error> {
  const tail = (await readLog(directory)).trimEnd().split("\n").slice(-LOG_TAIL_LINES);
  return new Error(`the private RabbitMQ node ${what}; the end of its log:\n${tail.join("\n")}`);
}

/** A log holds one run: readiness and failures are read from it. */
function truncateLog(directory: string): Promise<void> {
  return writeFile(join(directory, "rabbit.log"), "");
}

function readLog(directory: string): Promise<string> {
  return readFile(join(directory, "rabbit.log"), "utf8");
}

async function version(directory: string): Promise<string> {
  return /RabbitMQ (\d+\.\d+\.\d+\S*)/.exec(await readLog(directory))?.[1] ?? "(unknown version)";
}
