import type { Host, Stage } from "./host.ts";

/**
 * No NAT: tasks have public addresses and take no connection from anywhere; what else is in the VPC reaches DynamoDB
 * through a gateway, which costs nothing, and the broker.
 */
export function makeNetwork({ broker, host }: Stage) {
  const vpc = new sst.aws.Vpc(host.name("Net"), { az: broker.kind === "amazon-mq" && broker.cluster ? 3 : 2 });
  const routeTableIds = $resolve([vpc.nodes.publicRouteTables, vpc.nodes.privateRouteTables]).apply(([open, closed]) =>
    [...open, ...closed].map(({ id }) => id),
  );
  new aws.ec2.VpcEndpoint(host.name("NetDynamo"), {
    vpcId: vpc.id,
    serviceName: $interpolate`com.amazonaws.${aws.getRegionOutput().region}.dynamodb`,
    vpcEndpointType: "Gateway",
    routeTableIds,
  });
  return { vpc, workers: closedGroup("Workers", host, vpc), functions: closedGroup("Functions", host, vpc) };
}

/** Speaks to anybody, is spoken to by nobody. */
function closedGroup(name: string, host: Host, vpc: sst.aws.Vpc): aws.ec2.SecurityGroup {
  return new aws.ec2.SecurityGroup(host.name(name), {
    vpcId: vpc.id,
    description: `Roger ${name.toLowerCase()}: no way in`,
    egress: [{ protocol: "-1", fromPort: 0, toPort: 0, cidrBlocks: ["0.0.0.0/0"] }],
  });
}

export type Network = ReturnType<typeof makeNetwork>;
