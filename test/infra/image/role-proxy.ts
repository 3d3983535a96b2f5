import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import type { StageGraph } from "../graph/graph.ts";
import { arn } from "../graph/mocks.ts";

/** Where DynamoDB and ECS really are. */
export interface Endpoints {
  readonly dynamodb: string;
  readonly ecs: string;
  /** What the graph calls a table that has another name there. @default all have the graph's */
  readonly tables?: Readonly<Record<string, string>>;
}

/** One request as IAM sees it. */
interface Asked {
  readonly action: string;
  readonly resources: readonly string[];
}

/**
 * DynamoDB and ECS as one role sees them: what its policy in the graph does not allow is refused, as IAM would. So a right
 * that was forgotten fails here, and not in AWS.
 */
export class RoleProxy {
  readonly url: string;
  /** What was refused. */
  readonly refused: string[] = [];
  /** What was asked for and allowed. */
  readonly used = new Set<string>();
  readonly #allowed: ReadonlySet<string>;
  readonly #close: () => Promise<void>;

  private constructor(url: string, allowed: ReadonlySet<string>, close: () => Promise<void>) {
    this.url = url;
    this.#allowed = allowed;
    this.#close = close;
  }

  static async start(graph: StageGraph, role: string, endpoints: () => Endpoints): Promise<RoleProxy> {
    let proxy: RoleProxy | undefined;
    const server = createServer((request, response) => {
      const answered = proxy?.answer(graph, request, response, endpoints()) ?? Promise.reject(new Error("not ready"));
      answered.catch((error: unknown) => response.writeHead(502).end(String(error)));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const close = async () => {
      server.close();
      server.closeAllConnections();
    };
    proxy = new RoleProxy(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, rightsOf(graph, role), close);
    return proxy;
  }

  /** What the role may do and did not, of the two services. */
  get unused(): string[] {
    return [...this.#allowed].filter((right) => /^(dynamodb|ecs:(Describe|Update)Service)/.test(right) && !this.used.has(right)).toSorted();
  }

  stop(): Promise<void> {
    return this.#close();
  }

  private async answer(graph: StageGraph, request: IncomingMessage, response: ServerResponse, endpoints: Endpoints): Promise<void> {
    const body = await buffer(request);
    const target = String(request.headers["x-amz-target"]);
    const { action, resources } = asked(graph, target, JSON.parse(body.toString()) as Record<string, unknown>, endpoints);
    const missing = resources.map((resource) => `${action} ${resource}`).filter((right) => !this.#allowed.has(right));
    if (missing.length > 0) {
      this.refused.push(...missing);
      const refusal = { __type: "com.amazon.coral.service#AccessDeniedException", message: `not authorized: ${missing.join(", ")}` };
      response.writeHead(400, { "content-type": "application/x-amz-json-1.0" }).end(JSON.stringify(refusal));
      return;
    }
    for (const resource of resources) this.used.add(`${action} ${resource}`);
    const { host: _, connection: __, "content-length": ___, ...headers } = request.headers as Record<string, string>;
    const answer = await fetch(action.startsWith("ecs:") ? endpoints.ecs : endpoints.dynamodb, { method: "POST", headers, body });
    const answered = Buffer.from(await answer.arrayBuffer());
    const kept = [...answer.headers].filter(([name]) => name.startsWith("x-amz") || name === "content-type");
    response.writeHead(answer.status, Object.fromEntries(kept)).end(answered);
  }
}

function asked(graph: StageGraph, target: string, body: Record<string, unknown>, { tables = {} }: Endpoints): Asked {
  const [service = "", operation = ""] = target.split(".");
  if (service.startsWith("DynamoDB")) {
    const arnOf = (table: string) => {
      const name = tables[table] ?? graph.of("aws:dynamodb/table:Table").find(({ inputs }) => inputs.name === table)?.name;
      return arn("dynamodb", name ?? "no table of ours");
    };
    // A batch names its tables in its own way.
    const names = body.RequestItems === undefined ? [String(body.TableName)] : Object.keys(body.RequestItems as object);
    const index = body.IndexName === undefined ? "" : `/index/${body.IndexName}`;
    return { action: `dynamodb:${operation}`, resources: names.map((table) => `${arnOf(table)}${index}`) };
  }
  const names = (body.services ?? [body.service]) as string[];
  const services = graph.of("aws:ecs/service:Service");
  return { action: `ecs:${operation}`, resources: names.map((name) => services.find(({ inputs }) => inputs.name === name)?.id ?? name) };
}

/** `dynamodb:GetItem arn:…`, for each pair that the role's policy allows. */
function rightsOf(graph: StageGraph, role: string): ReadonlySet<string> {
  const statements = (graph.one("aws:iam/role:Role", role).inlinePolicies as { policy: string }[]).flatMap(
    ({ policy }) => JSON.parse(policy).Statement as { Action: string[]; Resource: string[] }[],
  );
  return new Set(statements.flatMap(({ Action, Resource }) => Action.flatMap((action) => Resource.map((resource) => `${action} ${resource}`))));
}
