import type { StageSettings } from "./settings.ts";

/**
 * No NAT: tasks have public addresses and take no connection from anywhere; what else is in the VPC reaches DynamoDB
 * through a gateway, which costs nothing, and the broker.
 */
export function makeNetwork({ broker }: StageSettings) {
  const vpc = new sst.aws.Vpc("Net", { az: broker.kind === "amazon-mq" && broker.cluster ? 3 : 2 });
  const routeTableIds = $resolve([vpc.nodes.publicRouteTables, vpc.nodes.privateRouteTables]).apply(([open, closed]) =>
    [...open, ...closed].map(({ id }) => id),
  );
  new aws.ec2.VpcEndpoint("NetDynamo", {
    vpcId: vpc.id,
    serviceName: $interpolate`com.amazonaws.${aws.getRegionOutput().region}.dynamodb`,
    vpcEndpointType: "Gateway",
    routeTableIds,
  });
  return { vpc, workers: closedGroup("Workers", vpc), functions: closedGroup("Functions", vpc) };
}

/** Speaks to anybody, is spoken to by nobody. */
function closedGroup(name: string, vpc: sst.aws.Vpc): aws.ec2.SecurityGroup {
  return new aws.ec2.SecurityGroup(name, {
    vpcId: vpc.id,
    description: `Roger ${name.toLowerCase()}: no way in`,
    egress: [{ protocol: "-1", fromPort: 0, toPort: 0, cidrBlocks: ["0.0.0.0/0"] }],
  });
}

export type Network = ReturnType<typeof makeNetwork>;
