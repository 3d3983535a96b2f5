import { DescribeServicesCommand, ECSClient, UpdateServiceCommand } from "@aws-sdk/client-ecs";

/** The ECS services that scaling looks after, as a port: names in, numbers out. */
export interface Services {
  /** The desired count of each active service; one that is missing or not active is left out. */
  desired(names: readonly string[]): Promise<ReadonlyMap<string, number>>;
  setDesired(name: string, count: number): Promise<void>;
}

/** DescribeServices takes no more names. */
const DESCRIBE_AT_ONCE = 10;

/** The services of one cluster. Throws what the SDK throws; the scaler logs it. */
export function openServices(cluster: string, client: ECSClient = openEcs()): Services {
  return {
    async desired(names) {
      const counts = new Map<string, number>();
      for (let i = 0; i < names.length; i += DESCRIBE_AT_ONCE) {
        const services = names.slice(i, i + DESCRIBE_AT_ONCE);
        const { services: found = [] } = await client.send(new DescribeServicesCommand({ cluster, services }));
        for (const { serviceName, status, desiredCount } of found) {
          if (serviceName !== undefined && status === "ACTIVE" && desiredCount !== undefined) counts.set(serviceName, desiredCount);
        }
      }
      return counts;
    },
    async setDesired(service, desiredCount) {
      await client.send(new UpdateServiceCommand({ cluster, service, desiredCount }));
    },
  };
}

function openEcs(): ECSClient {
  // As in store/client.ts; a request that hangs must end before the pass's claim does.
  return new ECSClient({ maxAttempts: 3, requestHandler: { connectionTimeout: 2_500, requestTimeout: 5_000, throwOnRequestTimeout: true } });
}
