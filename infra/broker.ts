import { InvalidInput } from "../core/contract/errors.ts";
import { appAndStage, type Stage } from "./host.ts";
import type { Network } from "./network.ts";
import type { BrokerSettings, StageSettings } from "./settings.ts";

const USER = "roger";
const AMQPS_PORT = 5671;
/** (Amazon MQ developer guide, "Quotas".) */
const LONGEST_NAME = 50;

/** @throws InvalidInput, before anything is made, when Amazon MQ would refuse the broker's name after half of it is */
export function checkBrokerName({ broker }: StageSettings): void {
  const name = appAndStage();
  if (broker.kind === "amazon-mq" && name.length > LONGEST_NAME)
    throw new InvalidInput("stage", `its broker would be "${name}": ${name.length} characters, and Amazon MQ takes ${LONGEST_NAME}`);
}

/**
 * RabbitMQ, and its URL where processes find it: a parameter that ECS hands to tasks, and a value for the one Lambda
 * that needs it. It is a secret in both, and in the state of the deployment.
 */
export function makeBroker(stage: Stage, network: Network) {
  const { broker, host } = stage;
  const url = $util.secret(broker.kind === "url" ? new sst.Secret(host.name("AmqpUrl")).value : amazonMq(broker, stage, network));
  const parameter = new aws.ssm.Parameter(host.name("AmqpUrlParameter"), { type: "SecureString", value: url });
  return { url, parameterArn: parameter.arn, inVpc: broker.kind === "amazon-mq" };
}

export type Broker = ReturnType<typeof makeBroker>;

type AmazonMq = Extract<BrokerSettings, { kind: "amazon-mq" }>;

function amazonMq({ instance, cluster }: AmazonMq, { host, protect }: Stage, { vpc, workers, functions }: Network) {
  const password = $util.secret(new random.RandomPassword(host.name("BrokerPassword"), { length: 40, special: false }).result);
  const group = new aws.ec2.SecurityGroup(host.name("BrokerAccess"), {
    vpcId: vpc.id,
    description: "RabbitMQ: AMQP over TLS from tasks and the queues function",
    ingress: [{ protocol: "tcp", fromPort: AMQPS_PORT, toPort: AMQPS_PORT, securityGroups: [workers.id, functions.id] }],
  });
  const mq = new aws.mq.Broker(
    host.name("Broker"),
    {
      brokerName: appAndStage(),
      engineType: "RabbitMQ",
      engineVersion: "4.2",
      // n.b. Amazon MQ takes no RabbitMQ from 3.13 on without it.
      autoMinorVersionUpgrade: true,
      hostInstanceType: instance,
      deploymentMode: cluster ? "CLUSTER_MULTI_AZ" : "SINGLE_INSTANCE",
      publiclyAccessible: false,
      subnetIds: vpc.privateSubnets.apply((subnets) => (cluster ? subnets : subnets.slice(0, 1))),
      securityGroups: [group.id],
      users: [{ username: USER, password }],
      logs: { general: true },
    },
    // A broker that is replaced takes its queues along: in production that is done by hand (docs/runbook.md).
    { protect },
  );
  return $util.all([mq.instances, password]).apply(([instances, secret]) => {
    const endpoint = instances[0]?.endpoints[0];
    if (endpoint === undefined) throw new Error("Amazon MQ tells no endpoint of the broker");
    return endpoint.replace("amqps://", `amqps://${USER}:${encodeURIComponent(secret)}@`);
  });
}
