import { z } from "zod";
import { InvalidInput } from "../core/contract/errors.ts";
import { POOL_PATTERN } from "../core/contract/names.ts";
import { brokerLimit, CONNECTIONS_LEFT_FREE, CONNECTIONS_PER_TASK, FARGATE_CPU, fargateMemory } from "./sizes.ts";

/** Which kind of RabbitMQ a stage gets. */
const Broker = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("amazon-mq"),
    /** @default `mq.m7g.large` in production, else `mq.m7g.medium` */
    instance: z.enum(["mq.m7g.medium", "mq.m7g.large", "mq.m7g.xlarge", "mq.m7g.2xlarge"]).exactOptional(),
    /** Three nodes in three zones. @default true in production */
    cluster: z.boolean().exactOptional(),
  }),
  /** Any other broker, reached over the internet: its `amqps://` URL is the secret `AmqpUrl` (`npx sst secret set`). */
  z.strictObject({ kind: z.literal("url") }),
]);

const Pool = z.strictObject({
  /** Jobs that one task runs at once. @default 10 */
  slots: z.int().min(1).max(1_000).exactOptional(),
  /** vCPU of a task. @default 0.5 */
  cpu: z.number().exactOptional(),
  /** GB of a task. @default 1 */
  memory: z.number().exactOptional(),
  /** Tasks that run even when there is nothing to do. @default 1 in production, else 0 */
  min: z.int().min(0).max(1_000).exactOptional(),
  /** @default 20 in production, else 3 */
  max: z.int().min(1).max(1_000).exactOptional(),
  /** Share of the tasks beyond the first that run on Fargate Spot, from 0 to 1. @default 0.8 in production, else 1 */
  spot: z.number().min(0).max(1).exactOptional(),
});

/** A token says in `claim` which partitions its bearer may touch: ids, separated by spaces or a list; `*` is all of them. */
const Jwt = z.strictObject({
  issuer: z.url({ protocol: /^https$/ }),
  audiences: z.array(z.string().min(1)).min(1).max(50),
  /** @default `roger_partitions` */
  claim: z.string().min(1).max(100).exactOptional(),
});

const Alarms = z.strictObject({
  /** Gets a mail that has to be confirmed once. */
  email: z.email().exactOptional(),
  /** An SNS topic of yours, instead of one that is made. */
  topic: z
    .string()
    .regex(/^arn:aws[\w-]*:sns:[\w-]+:\d{12}:[\w.-]+$/, "must be the ARN of an SNS topic")
    .exactOptional(),
});

const SettingsSchema = z.strictObject({
  /** @default `eu-west-1` */
  region: z
    .string()
    .regex(/^[a-z]{2}(-[a-z]+)+-\d$/, "must be an AWS region, like eu-west-1")
    .exactOptional(),
  /** What `npx sst remove` does to the table and the network. @default `retain` in production, else `remove` */
  removal: z.enum(["remove", "retain"]).exactOptional(),
  /** No deployment deletes the table or the broker, nobody the table by hand, and `npx sst remove` refuses. @default true in production */
  protect: z.boolean().exactOptional(),
  /** By name; a partition's queues may differ per pool. @default one, `default` */
  pools: z.record(z.string(), Pool).exactOptional(),
  /** @default Amazon MQ */
  broker: Broker.exactOptional(),
  /**
   * Calls at once that look into RabbitMQ (peek, purge, delete): each opens a connection. `false`: as many as come.
   * n.b. AWS takes no such bound from an account whose quota it would bring below 100 (a new one may have 10 in all).
   * @default 25 in production, else false
   */
  queuesConcurrency: z.union([z.int().min(1).max(CONNECTIONS_LEFT_FREE), z.literal(false)]).exactOptional(),
  /** Tokens instead of AWS credentials. @default every route asks for AWS credentials (IAM) */
  jwt: Jwt.exactOptional(),
  alarms: Alarms.exactOptional(),
});

/** What a deployer may say of a stage. Everything has a default. */
export type Settings = z.infer<typeof SettingsSchema>;

export interface PoolSettings {
  readonly name: string;
  readonly slots: number;
  readonly cpu: number;
  readonly memory: number;
  readonly min: number;
  readonly max: number;
  readonly spot: number;
}

export type BrokerSettings = { readonly kind: "amazon-mq"; readonly instance: string; readonly cluster: boolean } | { readonly kind: "url" };

/** What is deployed: total. */
export interface StageSettings {
  readonly stage: string;
  readonly region: string;
  readonly removal: "remove" | "retain";
  readonly protect: boolean;
  readonly pools: readonly PoolSettings[];
  readonly broker: BrokerSettings;
  readonly queuesConcurrency: number | false;
  readonly jwt: { readonly issuer: string; readonly audiences: readonly string[]; readonly claim: string } | undefined;
  readonly alarms: { readonly email: string | undefined; readonly topic: string | undefined };
}

/** A service's pools; ECS, its alarms and the dashboard are made for a handful. */
const MAX_POOLS = 10;

/**
 * A stage's settings with every default filled in.
 * @throws InvalidInput naming the setting: `production.pools.default.memory`
 */
export function stageSettings(stage: string, given: unknown): StageSettings {
  const parsed = SettingsSchema.safeParse(given);
  if (!parsed.success) throw refusal(stage, parsed.error.issues);
  const settings = parsed.data;
  const production = stage === "production";
  const total: StageSettings = {
    stage,
    region: settings.region ?? "eu-west-1",
    removal: settings.removal ?? (production ? "retain" : "remove"),
    protect: settings.protect ?? production,
    pools: Object.entries(settings.pools ?? { default: {} }).map(([name, pool]) => ({ name, ...poolDefaults(production), ...pool })),
    broker: brokerSettings(settings.broker ?? { kind: "amazon-mq" }, production),
    queuesConcurrency: settings.queuesConcurrency ?? (production ? 25 : false),
    jwt: settings.jwt === undefined ? undefined : { claim: "roger_partitions", ...settings.jwt },
    alarms: { email: settings.alarms?.email, topic: settings.alarms?.topic },
  };
  checkRelations(total);
  return total;
}

function poolDefaults(production: boolean): Omit<PoolSettings, "name"> {
  return { slots: 10, cpu: 0.5, memory: 1, min: production ? 1 : 0, max: production ? 20 : 3, spot: production ? 0.8 : 1 };
}

function brokerSettings(broker: NonNullable<Settings["broker"]>, production: boolean): BrokerSettings {
  if (broker.kind === "url") return broker;
  return { instance: production ? "mq.m7g.large" : "mq.m7g.medium", cluster: production, ...broker };
}

/** What a schema can't say of one value alone. */
function checkRelations(settings: StageSettings): void {
  const { stage, pools, broker, alarms } = settings;
  const refuse = (path: string, message: string): never => {
    throw new InvalidInput(`${stage}.${path}`, message);
  };
  if (pools.length === 0 || pools.length > MAX_POOLS) refuse("pools", `must name 1 to ${MAX_POOLS} pools`);
  const named = new Map<string, string>();
  for (const pool of pools) {
    const at = `pools.${pool.name}`;
    if (!POOL_PATTERN.test(pool.name)) refuse(at, `a pool's name must match ${POOL_PATTERN.source}`);
    // A component's name has no underscore, and SST takes no two that differ by capitals only.
    const bare = pool.name.replaceAll("_", "");
    const other = named.get(bare);
    if (other !== undefined) refuse(at, `is "${other}" but for underscores: their services would have one name`);
    named.set(bare, pool.name);
    if (pool.min > pool.max) refuse(`${at}.min`, `${pool.min} is above max, ${pool.max}`);
    checkSize(at, pool, refuse);
  }
  if (alarms.email !== undefined && alarms.topic !== undefined) refuse("alarms.topic", 'give "email" or "topic", not both');
  if (broker.kind === "amazon-mq") {
    const tasks = pools.reduce((sum, { max }) => sum + max, 0);
    // Twice: a rolling deployment starts the new tasks beside the old ones.
    const connections = 2 * tasks * CONNECTIONS_PER_TASK + CONNECTIONS_LEFT_FREE;
    const limit = brokerLimit(broker.instance);
    if (connections > limit) {
      refuse("broker.instance", `${tasks} tasks may open ${connections} connections during a deployment; ${broker.instance} takes ${limit}`);
    }
  }
}

function checkSize(at: string, { cpu, memory }: PoolSettings, refuse: (path: string, message: string) => never): void {
  const fitting = fargateMemory(cpu);
  if (fitting.length === 0) refuse(`${at}.cpu`, `Fargate has no task of ${cpu} vCPU, only of ${FARGATE_CPU.join(", ")}`);
  if (!fitting.includes(memory)) refuse(`${at}.memory`, `Fargate has no task of ${cpu} vCPU with ${memory} GB, only with ${fitting.join(", ")}`);
}

function refusal(stage: string, issues: readonly z.core.$ZodIssue[]): InvalidInput {
  const issue = issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0];
  const unknown = issue?.code === "unrecognized_keys" ? issue.keys.slice(0, 1) : [];
  const path = [stage, ...(issue?.path ?? []), ...unknown].map(String).join(".");
  return new InvalidInput(path, issue?.code === "unrecognized_keys" ? "there is no such setting" : (issue?.message ?? "invalid"));
}
