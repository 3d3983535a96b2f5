import type { ApiApp } from "../core/contract/api-routes.ts";

/** One statement of an IAM policy: only ever an allowance. */
export interface Statement<R> {
  readonly actions: string[];
  readonly resources: R[];
}

/** What a process does with the table; the store sends no other requests but `BatchWriteItem`, which is an application's own. */
export type TableUse = "GetItem" | "PutItem" | "UpdateItem" | "DeleteItem" | "Query" | "BatchWriteItem";

export interface Access {
  readonly table: readonly TableUse[];
  /** Asks the due index. */
  readonly dueIndex: boolean;
  /** Reads and sets how many tasks the services run. */
  readonly scales: boolean;
  /** Speaks AMQP. */
  readonly broker: boolean;
}

const NOTHING: Access = { table: [], dueIndex: false, scales: false, broker: false };

/** What each Lambda may do, and nothing else: a role is made of this. */
export const APP_ACCESS: Readonly<Record<ApiApp, Access>> = {
  partitions: { ...NOTHING, table: ["GetItem", "PutItem", "UpdateItem", "Query"], scales: true },
  // n.b. it deletes partitions, which never needs more tasks: the next tick takes away those that are too many.
  queues: { ...NOTHING, table: ["GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query"], broker: true },
  jobs: { ...NOTHING, table: ["GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query"] },
  tasks: { ...NOTHING, table: ["GetItem", "Query"] },
  openapi: NOTHING,
};

export const SCALER_ACCESS: Access = { ...NOTHING, table: ["GetItem", "UpdateItem", "Query"], dueIndex: true, scales: true };
export const WORKER_ACCESS: Access = {
  ...NOTHING,
  table: ["GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query"],
  dueIndex: true,
  broker: true,
};
/**
 * What an application's client does: it enqueues, cancels, and looks for jobs; it deletes nothing. And what the application does
 * itself with what the client made: in a transaction it puts (IAM asks for that of each item), a batch is an action of its own
 * (n.b. which allows a batch's deletions, too: IAM knows no narrower one).
 */
export const CLIENT_ACCESS: Access = { ...NOTHING, table: ["GetItem", "PutItem", "UpdateItem", "Query", "BatchWriteItem"] };

/** @param arns of the table, its due index and the services */
export function statementsOf<R>(access: Access, arns: { readonly table: R; readonly dueIndex: R; readonly services: readonly R[] }): Statement<R>[] {
  return [
    ...(access.table.length > 0 ? [{ actions: access.table.map((use) => `dynamodb:${use}`), resources: [arns.table] }] : []),
    ...(access.dueIndex ? [{ actions: ["dynamodb:Query"], resources: [arns.dueIndex] }] : []),
    ...(access.scales ? [{ actions: ["ecs:DescribeServices", "ecs:UpdateService"], resources: [...arns.services] }] : []),
  ];
}

/** A Lambda in a VPC makes its network interfaces by its own role. None of these actions can be narrowed to a resource that exists before. */
export const NETWORK_INTERFACES: Statement<string> = {
  actions: [
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
  ],
  resources: ["*"],
};
