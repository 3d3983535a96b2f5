import { z } from "zod";
import { type ProtectedTask, type ProtectionFailure, protect, protectionOf } from "./agent.ts";
import { arns, shortName } from "./arn.ts";
import type { Cluster } from "./cluster.ts";
import { describeService, describeTask } from "./describe.ts";
import { EcsProblem } from "./problem.ts";
import type { Task } from "./task.ts";

/**
 * One action of the API. Inputs are strict: a parameter that this endpoint would ignore is refused, so that nobody takes silence for
 * having been obeyed.
 */
interface Action<Input extends z.ZodObject = z.ZodObject> {
  readonly input: Input;
  run(cluster: Cluster, input: z.infer<Input>): Record<string, unknown>;
}

function action<Input extends z.ZodObject>(input: Input, run: (cluster: Cluster, input: z.infer<Input>) => Record<string, unknown>): Action<Input> {
  return { input, run };
}

const cluster = z.string().optional();
const count = z.number().int().min(0).max(5_000);
const paging = { maxResults: z.number().int().min(1).max(100).optional(), nextToken: z.string().optional() };

const createService = action(
  z.strictObject({
    cluster,
    serviceName: z.string().regex(/^[A-Za-z0-9_-]{1,255}$/),
    taskDefinition: z.string(),
    desiredCount: count.default(0),
    launchType: z.literal("FARGATE").optional(),
    schedulingStrategy: z.literal("REPLICA").optional(),
    clientToken: z.string().optional(),
  }),
  (at, { serviceName: name, taskDefinition, desiredCount }) => {
    return { service: describeService(at, at.createService({ name, definition: at.definition(taskDefinition), desiredCount })) };
  },
);

const updateService = action(
  z.strictObject({ cluster, service: z.string(), desiredCount: count.optional(), forceNewDeployment: z.boolean().optional() }),
  (at, { service: ref, desiredCount, forceNewDeployment }) => {
    const service = at.service(ref);
    service.update({ ...(desiredCount === undefined ? {} : { desiredCount }), ...(forceNewDeployment === undefined ? {} : { forceNewDeployment }) });
    return { service: describeService(at, service) };
  },
);

const describeServices = action(z.strictObject({ cluster, services: z.array(z.string()).min(1).max(10) }), (at, { services }) => {
  const { found, failures } = lookUp(
    services,
    (ref) => at.findService(ref),
    (ref) => arns.service(at.name, shortName(ref)),
  );
  return { services: found.map((service) => describeService(at, service)), failures };
});

const listServices = action(z.strictObject({ cluster, ...paging }), (at, input) => {
  const { items, nextToken } = page(at.services, input, 10);
  return { serviceArns: items.map(({ name }) => arns.service(at.name, name)), nextToken };
});

const runTask = action(
  z.strictObject({
    cluster,
    taskDefinition: z.string(),
    count: z.number().int().min(1).max(10).default(1),
    group: z.string().optional(),
    startedBy: z.string().max(128).optional(),
    launchType: z.literal("FARGATE").optional(),
    clientToken: z.string().optional(),
  }),
  (at, { taskDefinition, count: wanted, group, startedBy }) => {
    const definition = at.definition(taskDefinition);
    const groupName = group ?? `family:${definition.family}`;
    if (groupName.startsWith("service:")) throw new EcsProblem("InvalidParameterException", "Group can not begin with service:");
    const tasks = Array.from({ length: wanted }, () => at.runTask({ definition, group: groupName, startedBy }));
    return { tasks: tasks.map((task) => describeTask(at, task)), failures: [] };
  },
);

const stopTask = action(z.strictObject({ cluster, task: z.string(), reason: z.string().max(1_024).optional() }), (at, { task: ref, reason }) => {
  const task = at.findTask(ref);
  if (task === undefined) throw new EcsProblem("InvalidParameterException", "The referenced task was not found.");
  void task.stop("UserInitiated", reason ?? "Task stopped by user");
  return { task: describeTask(at, task) };
});

const listTasks = action(
  z.strictObject({
    cluster,
    serviceName: z.string().optional(),
    family: z.string().optional(),
    startedBy: z.string().optional(),
    desiredStatus: z.enum(["RUNNING", "STOPPED"]).default("RUNNING"),
    ...paging,
  }),
  (at, { serviceName, family, startedBy, desiredStatus, ...paged }) => {
    const group = serviceName === undefined ? undefined : `service:${at.service(serviceName).name}`;
    const matches = (task: Task) =>
      task.desiredStatus === desiredStatus &&
      (group === undefined || task.group === group) &&
      (family === undefined || task.definition.family === family) &&
      (startedBy === undefined || task.startedBy === startedBy);
    const { items, nextToken } = page(at.tasks.filter(matches), paged, 100);
    return { taskArns: items.map(({ id }) => arns.task(at.name, id)), nextToken };
  },
);

const describeTasks = action(z.strictObject({ cluster, tasks: z.array(z.string()).min(1).max(100) }), (at, { tasks }) => {
  const { found, failures } = lookUp(
    tasks,
    (ref) => at.findTask(ref),
    (ref) => arns.task(at.name, shortName(ref)),
  );
  return { tasks: found.map((task) => describeTask(at, task)), failures };
});

const getTaskProtection = action(z.strictObject({ cluster, tasks: z.array(z.string()).min(1).max(100) }), (at, { tasks }) => {
  return protectionResults(at, tasks, (task) => protectionOf(at, task));
});

const updateTaskProtection = action(
  z.strictObject({
    cluster,
    tasks: z.array(z.string()).min(1).max(10),
    protectionEnabled: z.boolean(),
    expiresInMinutes: z.number().optional(),
  }),
  (at, { tasks, protectionEnabled: enabled, expiresInMinutes: minutes }) =>
    protectionResults(at, tasks, (task) => protect(at, task, { enabled, minutes })),
);

const ACTIONS: ReadonlyMap<string, Action> = new Map<string, Action>([
  ["CreateService", createService],
  ["UpdateService", updateService],
  ["DescribeServices", describeServices],
  ["ListServices", listServices],
  ["RunTask", runTask],
  ["StopTask", stopTask],
  ["ListTasks", listTasks],
  ["DescribeTasks", describeTasks],
  ["GetTaskProtection", getTaskProtection],
  ["UpdateTaskProtection", updateTaskProtection],
]);

/**
 * Does what a request asks for.
 * @param name the action, as in the second part of `x-amz-target`
 * @throws EcsProblem
 */
export function perform(at: Cluster, name: string, body: unknown): Record<string, unknown> {
  const known = ACTIONS.get(name);
  if (known === undefined) throw new EcsProblem("UnknownOperationException", `"${name}" is not emulated; ${[...ACTIONS.keys()].join(", ")} are.`);
  const parsed = known.input.safeParse(body);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new EcsProblem("InvalidParameterException", `${issue?.path.join(".") || name}: ${issue?.message}`);
  }
  const { cluster: named } = parsed.data;
  // ECS takes "default" for an absent cluster: a caller that forgot it would fail there, so it fails here.
  if (typeof named !== "string" || shortName(named) !== at.name) throw new EcsProblem("ClusterNotFoundException", "Cluster not found.");
  return known.run(at, parsed.data);
}

function lookUp<T>(refs: readonly string[], find: (ref: string) => T | undefined, arnOf: (ref: string) => string) {
  const found: T[] = [];
  const failures: { arn: string; reason: "MISSING" }[] = [];
  for (const ref of refs) {
    const item = find(ref);
    if (item === undefined) failures.push({ arn: arnOf(ref), reason: "MISSING" });
    else found.push(item);
  }
  return { found, failures };
}

function protectionResults(at: Cluster, refs: readonly string[], ask: (task: Task) => ProtectedTask | ProtectionFailure): Record<string, unknown> {
  const { found, failures } = lookUp(
    refs,
    (ref) => at.findTask(ref),
    (ref) => arns.task(at.name, shortName(ref)),
  );
  const results = found.map(ask);
  const protectedTasks = results.flatMap((result) => {
    if ("reason" in result) return [];
    const { taskArn, protectionEnabled, expiresAt } = result;
    return { taskArn, protectionEnabled, expirationDate: expiresAt === undefined ? undefined : expiresAt / 1_000 };
  });
  return { protectedTasks, failures: [...failures, ...results.filter((result) => "reason" in result)] };
}

/** A token is the place in the list: good enough for lists that live in one process. */
function page<T>(
  all: readonly T[],
  { maxResults, nextToken }: { readonly maxResults?: number | undefined; readonly nextToken?: string | undefined },
  otherwise: number,
): { readonly items: readonly T[]; readonly nextToken?: string } {
  const from = Number(nextToken ?? 0);
  if (!Number.isSafeInteger(from) || from < 0) throw new EcsProblem("InvalidParameterException", "Invalid token");
  const to = from + (maxResults ?? otherwise);
  return { items: all.slice(from, to), ...(to < all.length ? { nextToken: String(to) } : {}) };
}
