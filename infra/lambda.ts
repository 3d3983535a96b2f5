import { NETWORK_INTERFACES, type Statement } from "./access.ts";
import { logGroupName } from "./host.ts";

/** Where a function that has to reach a private broker runs. */
export interface InVpc {
  readonly subnets: $util.Input<string[]>;
  readonly group: aws.ec2.SecurityGroup;
}

export interface LambdaOptions {
  /** As its host names it. */
  readonly handler: string;
  readonly description: string;
  readonly timeout: `${number} seconds`;
  readonly environment: Readonly<Record<string, $util.Input<string>>>;
  readonly statements: readonly Statement<$util.Input<string>>[];
  readonly inVpc?: InVpc;
  /** Invocations at once, at most. @default false: as many as come */
  readonly concurrency?: number | false;
  /** What the environment is encrypted with, when there is a secret in it. */
  readonly key?: aws.kms.Key;
}

const LOG_DAYS = 30;

/** A Lambda of our kind, with a log group and a role of its own that holds what it is given here and nothing else. */
export function makeLambda(name: string, options: LambdaOptions): sst.aws.Function {
  const { handler, description, timeout, environment, inVpc, key, concurrency = false } = options;
  const logGroup = new aws.cloudwatch.LogGroup(`${name}Log`, { name: logGroupName(name), retentionInDays: LOG_DAYS });
  return new sst.aws.Function(name, {
    handler,
    description,
    timeout,
    environment,
    runtime: "nodejs24.x",
    architecture: "arm64",
    memory: "512 MB",
    logging: { format: "json", logGroup: logGroup.name },
    nodejs: { minify: true },
    permissions: [
      ...options.statements.map(({ actions, resources }) => ({ actions, resources })),
      { actions: ["logs:CreateLogStream", "logs:PutLogEvents"], resources: [$interpolate`${logGroup.arn}:*`] },
      ...(inVpc === undefined ? [] : [NETWORK_INTERFACES]),
      ...(key === undefined ? [] : [{ actions: ["kms:Decrypt"], resources: [key.arn] }]),
    ],
    ...(concurrency === false ? {} : { concurrency: { reserved: concurrency } }),
    ...(inVpc === undefined ? {} : { vpc: { privateSubnets: inVpc.subnets, securityGroups: [inVpc.group.id] } }),
    transform: {
      role: onlyLambda,
      ...(key === undefined ? {} : { function: { kmsKeyArn: key.arn } }),
    },
  });
}

/**
 * n.b. left alone, SST lets the whole account take the role of every Lambda, and adds AWS's own policies, which allow
 * writing to any log group and more.
 */
function onlyLambda(role: aws.iam.RoleArgs): undefined {
  role.assumeRolePolicy = aws.iam.assumeRolePolicyForPrincipal({ Service: "lambda.amazonaws.com" });
  role.managedPolicyArns = [];
}
