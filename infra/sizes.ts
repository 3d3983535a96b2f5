/** What AWS offers, as far as settings are checked against it. */

/** Fargate on Linux: GB that a task of so many vCPU may have. (ECS developer guide, "Task size".) */
const FARGATE_MEMORY: ReadonlyMap<number, readonly number[]> = new Map([
  [0.25, [0.5, 1, 2]],
  [0.5, [1, 2, 3, 4]],
  [1, steps(2, 8, 1)],
  [2, steps(4, 16, 1)],
  [4, steps(8, 30, 1)],
  [8, steps(16, 60, 4)],
  [16, steps(32, 120, 8)],
]);

/** GB that a task of so many vCPU may have; of a number that Fargate does not have, none. */
export function fargateMemory(cpu: number): readonly number[] {
  return FARGATE_MEMORY.get(cpu) ?? [];
}

/** vCPU that a task may have. */
export const FARGATE_CPU: readonly number[] = [...FARGATE_MEMORY.keys()];

/** Connections that Amazon MQ takes, a node. (Amazon MQ developer guide, "Resource limits" of RabbitMQ 4.) */
const BROKER_CONNECTIONS: Readonly<Record<string, number>> = {
  "mq.m7g.medium": 300,
  "mq.m7g.large": 5_000,
  "mq.m7g.xlarge": 10_000,
  "mq.m7g.2xlarge": 20_000,
};

export function brokerLimit(instance: string): number {
  return BROKER_CONNECTIONS[instance] ?? 0;
}

/** One that consumes, one that publishes and asks, one on which queues are asked for their leader. */
export const CONNECTIONS_PER_TASK = 3;
/** For the API's own, and for people. */
export const CONNECTIONS_LEFT_FREE = 50;

function steps(from: number, to: number, by: number): number[] {
  return Array.from({ length: Math.floor((to - from) / by) + 1 }, (_, i) => from + i * by);
}

/** ECS deals tasks out by weight; the first one of a pool is always on demand unless everything is to be on Spot. */
export function capacity(spot: number): { fargate: { base: number; weight: number }; spot?: { weight: number } } {
  const weight = Math.round(spot * 100);
  return { fargate: { base: spot === 1 ? 0 : 1, weight: 100 - weight }, ...(weight === 0 ? {} : { spot: { weight } }) };
}
