import { API_ROUTES, type ApiApp, routeKey } from "../core/contract/api-routes.ts";
import { APP_ACCESS, statementsOf } from "./access.ts";
import type { Broker } from "./broker.ts";
import type { Host, Stage } from "./host.ts";
import { type InVpc, makeLambda } from "./lambda.ts";
import type { Network } from "./network.ts";
import type { Pools } from "./pools.ts";
import type { Table } from "./table.ts";

export interface ApiDeps {
  readonly network: Network;
  readonly table: Table;
  readonly broker: Broker;
  readonly pools: Pools;
}

/** API Gateway itself gives up on a request after 30 s. */
const TIMEOUT = "30 seconds";

/** The HTTP API: one Lambda for each app, every route authorised. */
export function makeApi(stage: Stage, deps: ApiDeps) {
  const gateway = new sst.aws.ApiGatewayV2(stage.host.name("Api"), { cors: false, accessLog: { retention: "1 month" } });
  const auth = authorization(stage, gateway);
  const apps = [...new Set(API_ROUTES.map(({ app }) => app))];
  const functions = new Map(apps.map((app) => [app, makeApp(app, stage, deps)]));
  for (const route of API_ROUTES) {
    const lambda = functions.get(route.app);
    if (lambda !== undefined) gateway.route(routeKey(route), lambda.arn, { auth });
  }
  return { url: gateway.url, id: gateway.nodes.api.id, functions: [...functions.values()] };
}

/** AWS credentials and a policy, or a token whose claim the functions look at (functions/tenant.ts). */
function authorization({ jwt }: Stage, gateway: sst.aws.ApiGatewayV2) {
  if (jwt === undefined) return { iam: true } as const;
  const authorizer = gateway.addAuthorizer({ name: "Token", jwt: { issuer: jwt.issuer, audiences: [...jwt.audiences] } });
  return { jwt: { authorizer: authorizer.id } };
}

function makeApp(app: ApiApp, { jwt, host, queuesConcurrency }: Stage, { network, table, broker, pools }: ApiDeps): sst.aws.Function {
  const access = APP_ACCESS[app];
  const inVpc: InVpc = { subnets: $util.output(network.vpc.privateSubnets), group: network.functions };
  return makeLambda(host.name(`${app.slice(0, 1).toUpperCase()}${app.slice(1)}`), {
    handler: host.handler(app),
    description: `Roger's API: ${app}`,
    timeout: TIMEOUT,
    environment: {
      ...(access.table.length > 0 ? { ROGER_TABLE: table.name } : {}),
      ...(access.scales ? pools.environment : {}),
      ...(access.broker ? { ROGER_AMQP_URL: broker.url } : {}),
      ...(jwt === undefined ? {} : { ROGER_TENANT_CLAIM: jwt.claim }),
    },
    statements: statementsOf<$util.Input<string>>(access, { table: table.arn, dueIndex: table.dueIndexArn, services: pools.serviceArns }),
    ...(access.broker && broker.inVpc ? { inVpc } : {}),
    ...(access.broker ? { key: environmentKey(host), concurrency: queuesConcurrency } : {}),
  });
}

/** The broker's URL in a function's environment: who may look at the function can't read it without this key. */
function environmentKey(host: Host): aws.kms.Key {
  return new aws.kms.Key(host.name("EnvironmentKey"), { description: "Roger: the environment of the queues function", enableKeyRotation: true });
}
