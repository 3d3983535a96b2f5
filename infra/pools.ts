import type { Stage } from "./host.ts";
import { makePool, type PoolDeps } from "./pool.ts";
import type { PoolSettings } from "./settings.ts";

/** One ECS cluster, and in it one Fargate service for each pool. */
export function makePools(stage: Stage, deps: Omit<PoolDeps, "host">) {
  const cluster = new sst.aws.Cluster(stage.host.name("Workers"), { vpc: deps.network.vpc });
  const pools = stage.pools.map((pool) => ({ ...pool, ...makePool(pool, cluster, { ...deps, host: stage.host }) }));
  return { cluster: cluster.nodes.cluster, pools, ...scaling(cluster, pools) };
}

export type Pools = ReturnType<typeof makePools>;

/** What a function needs to know of the services, and which these are. */
function scaling(cluster: sst.aws.Cluster, pools: readonly (PoolSettings & { readonly service: $util.Output<aws.ecs.Service> })[]) {
  const services = $resolve(pools.map(({ service }) => service.name)).apply((names) =>
    JSON.stringify(pools.map(({ name, slots, min, max }, i) => ({ pool: name, service: names[i], slots, min, max }))),
  );
  return {
    environment: { ROGER_CLUSTER: cluster.nodes.cluster.name, ROGER_SERVICES: services },
    serviceArns: pools.map(({ service }) => service.id),
  };
}
