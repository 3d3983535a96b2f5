import { STOP_TIMEOUT_MS } from "../core/contract/limits.ts";
import type { Broker } from "./broker.ts";
import { HEALTH_COMMAND, HEALTH_PORT, hardened, TMP_VOLUME } from "./container.ts";
import { type Host, logGroupName } from "./host.ts";
import type { Network } from "./network.ts";
import type { PoolSettings } from "./settings.ts";
import { capacity } from "./sizes.ts";
import type { Table } from "./table.ts";
import { executionPolicies, taskPolicies } from "./task-roles.ts";

export interface PoolDeps {
  readonly host: Host;
  readonly network: Network;
  readonly table: Table;
  readonly broker: Broker;
}

/** The rest of the stop timeout is for aborted jobs to settle in, and for the process to end. */
const DRAIN_SECONDS = STOP_TIMEOUT_MS / 1000 - 30;

/** A pool: one service of equal tasks. */
export function makePool(pool: PoolSettings, cluster: sst.aws.Cluster, { host, network, table, broker }: PoolDeps) {
  const logGroup = logGroupName(`worker-${pool.name}`);
  const service = new sst.aws.Service(host.name(`Worker${pascal(pool.name)}`), {
    cluster,
    architecture: "arm64",
    // The settings have been held to the sizes that Fargate has.
    cpu: `${pool.cpu} vCPU` as sst.aws.ServiceArgs["cpu"],
    memory: `${pool.memory} GB`,
    image: host.image,
    capacity: capacity(pool.spot),
    // CPU and memory say nothing of how many jobs wait: the scaler alone decides.
    scaling: { min: pool.min, max: pool.max, cpuUtilization: false, memoryUtilization: false },
    logging: { name: logGroup, retention: "1 month" },
    environment: {
      ...host.environment,
      AWS_REGION: aws.getRegionOutput().region,
      ROGER_TABLE: table.name,
      ROGER_POOL: pool.name,
      ROGER_SLOTS: String(pool.slots),
      ROGER_HEALTH_PORT: String(HEALTH_PORT),
      ROGER_DRAIN_SECONDS: String(DRAIN_SECONDS),
    },
    ssm: { ROGER_AMQP_URL: broker.parameterArn },
    health: { command: HEALTH_COMMAND, startPeriod: "60 seconds", interval: "15 seconds", timeout: "5 seconds", retries: 3 },
    transform: {
      taskRole: { inlinePolicies: taskPolicies(table, cluster, host.permissions) },
      executionRole: { managedPolicyArns: [], inlinePolicies: executionPolicies(broker, logGroup) },
      taskDefinition: (args) => {
        args.containerDefinitions = $util.output(args.containerDefinitions).apply(hardened);
        args.volumes = [{ name: TMP_VOLUME }];
      },
      service: (args, opts) => ownedByScaler(args, opts, network),
    },
  });
  return { service: service.nodes.service, logGroup };
}

/** `big_files` -> `BigFiles` */
function pascal(name: string): string {
  return name.replace(/(^|_)([a-z0-9])/g, (_, _seam, letter: string) => letter.toUpperCase());
}

/** n.b. a deployment that set `desiredCount` would undo what the scaler has done, in the middle of the day. */
function ownedByScaler(args: aws.ecs.ServiceArgs, opts: $util.CustomResourceOptions, network: Network): undefined {
  args.networkConfiguration = $util
    .output(args.networkConfiguration)
    .apply((net) => ({ assignPublicIp: true, subnets: net?.subnets ?? [], securityGroups: [network.workers.id] }));
  // ECS Exec would need a root that can be written to, and rights that no job should have.
  args.enableExecuteCommand = false;
  // It would end tasks, and the jobs in them, to spread them over zones.
  args.availabilityZoneRebalancing = "DISABLED";
  args.deploymentMinimumHealthyPercent = 100;
  args.deploymentMaximumPercent = 200;
  args.propagateTags = "SERVICE";
  opts.ignoreChanges = [...(opts.ignoreChanges ?? []), "desiredCount"];
}
