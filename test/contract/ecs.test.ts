import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  ClientException,
  ClusterNotFoundException,
  CreateServiceCommand,
  DescribeServicesCommand,
  DescribeTasksCommand,
  ECSClient,
  GetTaskProtectionCommand,
  InvalidParameterException,
  ListServicesCommand,
  ListTagsForResourceCommand,
  ListTasksCommand,
  RunTaskCommand,
  ServiceNotFoundException,
  StopTaskCommand,
  type Task,
  UpdateServiceCommand,
  UpdateTaskProtectionCommand,
} from "@aws-sdk/client-ecs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Ecs, startEcs } from "../../local/ecs/endpoint.ts";
import { alive } from "../fixture/alive.ts";

const CLUSTER = "roger";
const OBEDIENT = 'trap "echo bye; exit 0" TERM; echo "up $ECS_AGENT_URI $ECS_CONTAINER_METADATA_URI_V4"; while :; do sleep 0.05; done';
const STUBBORN = 'trap "" TERM; echo up; while :; do sleep 0.05; done';

let dir: string;
let ecs: Ecs;
let client: ECSClient;
let changes: string[];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "roger-ecs-"));
  changes = [];
  const shell = (family: string, script: string) => {
    return {
      family,
      command: "/bin/sh",
      args: ["-c", script],
      env: { PATH: "/usr/bin:/bin" },
      cwd: dir,
      logDir: join(dir, "logs"),
      stopTimeoutMs: 400,
    };
  };
  ecs = await startEcs({
    cluster: CLUSTER,
    taskDefinitions: [
      shell("obedient", OBEDIENT),
      shell("stubborn", STUBBORN),
      shell("crash", "exit 3"),
      { ...shell("nothing", ""), command: "/no/such/program" },
    ],
    restarts: { firstMs: 50, maxMs: 200, settledMs: 30_000 },
    onTaskChange: (task, status) => changes.push(`${task.id} ${status}`),
  });
  client = new ECSClient({ endpoint: ecs.endpoint, region: "local", credentials: { accessKeyId: "local", secretAccessKey: "local" } });
});

afterEach(async () => {
  client.destroy();
  const pids = ecs.tasks.flatMap(({ pid }) => pid ?? []);
  await ecs.stop();
  expect(pids.filter(alive)).toEqual([]);
  await rm(dir, { recursive: true });
});

describe("a service", () => {
  it("keeps as many tasks as desired, out and in", async () => {
    const { service } = await createService("obedient", 2);
    expect(service).toMatchObject({
      serviceName: "pool",
      desiredCount: 2,
      status: "ACTIVE",
      serviceArn: "arn:aws:ecs:local:000000000000:service/roger/pool",
    });
    await running(2);
    await scale(3);
    await running(3);
    await scale(1);
    await running(1);
    const stopped = await tasks("STOPPED");
    expect(stopped).toHaveLength(2);
    for (const task of stopped) {
      expect(task).toMatchObject({ stopCode: "ServiceSchedulerInitiated", containers: [{ exitCode: 0 }], group: "service:pool" });
      expect(task.stoppedReason).toMatch(/^Scaling activity initiated by \(deployment ecs-svc\//);
    }
    expect(await logOf(stopped[0])).toContain("bye");
    await scale(0);
    await running(0);
  });

  it("ends the newest task first", async () => {
    await createService("obedient", 1);
    const [first] = await running(1);
    await scale(2);
    await running(2);
    await scale(1);
    expect((await running(1)).map(({ taskArn }) => taskArn)).toEqual([first?.taskArn]);
  });

  it("replaces a task that was killed, at once, with a new one", async () => {
    await createService("obedient", 1);
    const [first] = await running(1);
    process.kill(pidOf(first), "SIGKILL");
    await vi.waitFor(async () => {
      const [now] = await running(1);
      expect(now?.taskArn).not.toBe(first?.taskArn);
    }, WAIT);
    const [dead] = await tasks("STOPPED");
    expect(dead).toMatchObject({
      stopCode: "EssentialContainerExited",
      stoppedReason: "Essential container in task exited",
      containers: [{ exitCode: 137 }],
    });
  });

  it("replaces what keeps ending more and more slowly", async () => {
    await createService("crash", 1);
    await vi.waitFor(async () => {
      const { services } = await client.send(new DescribeServicesCommand({ cluster: CLUSTER, services: ["pool"] }));
      expect(services?.[0]?.events?.map(({ message }) => message)).toContain("(service pool) is unable to consistently start tasks successfully.");
      expect((await tasks("STOPPED")).length).toBeGreaterThanOrEqual(3);
    }, WAIT);
    const stopped = await tasks("STOPPED");
    expect(stopped.every(({ containers }) => containers?.[0]?.exitCode === 3)).toBe(true);
    expect(stopped.length).toBeLessThan(12);
  });

  it("tells of a program that can't be started", async () => {
    await createService("nothing", 1);
    await vi.waitFor(async () => expect(await tasks("STOPPED")).not.toHaveLength(0), WAIT);
    const [task] = await tasks("STOPPED");
    expect(task).toMatchObject({ stopCode: "TaskFailedToStart", lastStatus: "STOPPED" });
    expect(task?.stoppedReason).toContain("ENOENT");
    expect(task?.startedAt).toBeUndefined();
  });

  it("puts new tasks in place of old ones in a new deployment, and is never below what is desired", async () => {
    await createService("obedient", 2);
    const before = arnsOf(await running(2));
    await client.send(new UpdateServiceCommand({ cluster: CLUSTER, service: "pool", forceNewDeployment: true }));
    await vi.waitFor(async () => {
      const { services } = await client.send(new DescribeServicesCommand({ cluster: CLUSTER, services: ["pool"] }));
      expect(services?.[0]?.runningCount).toBeGreaterThanOrEqual(2);
      expect(services?.[0]?.deployments).toMatchObject([{ status: "PRIMARY", rolloutState: "COMPLETED", runningCount: 2 }]);
    }, WAIT);
    expect(arnsOf(await running(2)).filter((arn) => before.includes(arn))).toEqual([]);
  });

  it("is listed and found by name or ARN; unknown ones are failures", async () => {
    const { service } = await createService("obedient", 0);
    expect((await client.send(new ListServicesCommand({ cluster: CLUSTER }))).serviceArns).toEqual([service?.serviceArn]);
    const found = await client.send(new DescribeServicesCommand({ cluster: CLUSTER, services: [service?.serviceArn ?? "", "gone"] }));
    expect(found.services).toHaveLength(1);
    expect(found.services?.[0]?.createdAt).toBeInstanceOf(Date);
    expect(found.failures).toMatchObject([{ reason: "MISSING", arn: "arn:aws:ecs:local:000000000000:service/roger/gone" }]);
  });
});

describe("protection", () => {
  it("keeps a task from scale-in until it is taken away", async () => {
    await createService("obedient", 2);
    const [older, newer] = (await running(2)).sort((a, b) => Number(a.createdAt) - Number(b.createdAt));
    const arn = newer?.taskArn ?? "";
    const answer = await protect([arn], true, 60);
    expect(answer.protectedTasks).toMatchObject([{ taskArn: arn, protectionEnabled: true }]);
    expect(answer.protectedTasks?.[0]?.expirationDate).toBeInstanceOf(Date);
    await scale(1);
    expect(arnsOf(await running(1))).toEqual([arn]);
    expect(older?.taskArn).not.toBe(arn);
    await scale(0);
    const state = await client.send(new GetTaskProtectionCommand({ cluster: CLUSTER, tasks: [arn] }));
    expect(state.protectedTasks).toMatchObject([{ protectionEnabled: true }]);
    expect(arnsOf(await running(1))).toEqual([arn]);
    await protect([arn], false);
    await running(0);
  });

  it("is set by the task itself through its agent, for the asking task only", async () => {
    await createService("obedient", 1);
    const [task] = await running(1);
    const { agent } = await uris(task);
    const url = `${agent}/task-protection/v1/state`;
    expect(await (await fetch(url)).json()).toEqual({ protection: { ExpirationDate: null, ProtectionEnabled: false, TaskArn: task?.taskArn } });
    const set = await fetch(url, { method: "PUT", body: JSON.stringify({ ProtectionEnabled: true, ExpiresInMinutes: 5 }) });
    const body = (await set.json()) as { protection: { ExpirationDate: string } };
    expect(body).toMatchObject({ protection: { ProtectionEnabled: true, TaskArn: task?.taskArn } });
    expect(Date.parse(body.protection.ExpirationDate)).toBeGreaterThan(Date.now() + 4 * 60_000);
    const bad = await fetch(url, { method: "PUT", body: JSON.stringify({ ProtectionEnabled: true, ExpiresInMinutes: 2_881 }) });
    expect(bad.status).toBe(400);
    expect(await bad.json()).toMatchObject({ error: { Code: "InvalidParameterException", Arn: task?.taskArn } });
    expect((await fetch(url, { method: "PUT", body: '{"protected":true}' })).status).toBe(400);
    expect((await fetch(`${ecs.endpoint}/api/nobody/task-protection/v1/state`)).status).toBe(404);
  });

  it("can't be had by a standalone task, nor by a missing one", async () => {
    const { tasks: alone } = await client.send(new RunTaskCommand({ cluster: CLUSTER, taskDefinition: "obedient" }));
    expect((await protect(arnsOf(alone ?? []), true)).failures).toMatchObject([{ reason: "TASK_NOT_VALID" }]);
    expect((await protect(["gone"], true)).failures).toMatchObject([{ reason: "MISSING" }]);
  });

  it("holds a deployment up, and then more tasks than are desired can't have it", async () => {
    await createService("obedient", 1);
    const [old] = arnsOf(await running(1));
    await protect([old ?? ""], true);
    await client.send(new UpdateServiceCommand({ cluster: CLUSTER, service: "pool", forceNewDeployment: true }));
    const both = arnsOf(await running(2));
    const [fresh] = both.filter((arn) => arn !== old);
    expect((await protect([fresh ?? ""], true)).failures).toMatchObject([{ arn: fresh, reason: "DEPLOYMENT_BLOCKED" }]);
    await protect([old ?? ""], false);
    expect(arnsOf(await running(1))).toEqual([fresh]);
  });
});

describe("a task", () => {
  it("passes through its states, and is stopped by StopTask with its reason", async () => {
    const { tasks: started } = await client.send(new RunTaskCommand({ cluster: CLUSTER, taskDefinition: "obedient:1", startedBy: "me" }));
    const arn = started?.[0]?.taskArn ?? "";
    await vi.waitFor(async () => expect(await logOf(started?.[0])).toContain("up"), WAIT);
    const { task } = await client.send(new StopTaskCommand({ cluster: CLUSTER, task: arn, reason: "enough" }));
    expect(task).toMatchObject({ lastStatus: "STOPPING", desiredStatus: "STOPPED", startedBy: "me", group: "family:obedient" });
    const stopped = await ended(arn);
    expect(stopped).toMatchObject({ stopCode: "UserInitiated", stoppedReason: "enough", containers: [{ exitCode: 0 }] });
    expect(stopped.stoppedAt).toBeInstanceOf(Date);
    const id = arn.slice(arn.lastIndexOf("/") + 1);
    expect(changes).toEqual(["PENDING", "RUNNING", "DEACTIVATING", "STOPPING", "STOPPED"].map((status) => `${id} ${status}`));
  });

  it("that doesn't heed SIGTERM is killed when its stop timeout is over", async () => {
    const { tasks: started } = await client.send(new RunTaskCommand({ cluster: CLUSTER, taskDefinition: "stubborn" }));
    await vi.waitFor(async () => expect(await logOf(started?.[0])).toContain("up"), WAIT);
    await client.send(new StopTaskCommand({ cluster: CLUSTER, task: started?.[0]?.taskArn }));
    const stopped = await ended(started?.[0]?.taskArn ?? "");
    expect(stopped).toMatchObject({ stopCode: "UserInitiated", stoppedReason: "Task stopped by user", containers: [{ exitCode: 137 }] });
    expect(Number(stopped.stoppedAt) - Number(stopped.stoppingAt)).toBeGreaterThanOrEqual(350);
  });

  it("is told about itself", async () => {
    await createService("obedient", 1);
    const [task] = await running(1);
    const { metadata } = await uris(task);
    const get = async (path: string) => (await fetch(`${metadata}${path}`)).json();
    expect(await get("/task")).toMatchObject({
      Cluster: "arn:aws:ecs:local:000000000000:cluster/roger",
      TaskARN: task?.taskArn,
      Family: "obedient",
      Revision: "1",
      ServiceName: "pool",
      KnownStatus: "RUNNING",
      Containers: [{ Name: "obedient", Labels: { "com.amazonaws.ecs.task-arn": task?.taskArn } }],
    });
    expect(await get("")).toMatchObject({ Name: "obedient", KnownStatus: "RUNNING", ContainerARN: task?.containers?.[0]?.containerArn });
    const stats = (await get("/stats")) as { memory_stats: { usage: number } };
    expect(stats.memory_stats.usage).toBeGreaterThan(100_000);
    expect(Object.values((await get("/task/stats")) as object)).toMatchObject([{ name: "obedient" }]);
  });
});

describe("refusals", () => {
  it("are the SDK's own errors", async () => {
    await createService("obedient", 0);
    await expect(client.send(new UpdateServiceCommand({ cluster: CLUSTER, service: "gone", desiredCount: 1 }))).rejects.toThrow(
      ServiceNotFoundException,
    );
    await expect(client.send(new ListTasksCommand({ cluster: CLUSTER, serviceName: "gone" }))).rejects.toThrow(ServiceNotFoundException);
    await expect(client.send(new UpdateServiceCommand({ cluster: "other", service: "pool" }))).rejects.toThrow(ClusterNotFoundException);
    await expect(client.send(new ListServicesCommand({}))).rejects.toThrow(ClusterNotFoundException);
    await expect(client.send(new UpdateServiceCommand({ cluster: CLUSTER, service: "pool", desiredCount: -1 }))).rejects.toThrow(
      InvalidParameterException,
    );
    await expect(client.send(new UpdateServiceCommand({ cluster: CLUSTER, service: "pool", platformVersion: "1.4.0" }))).rejects.toThrow(
      /platformVersion/,
    );
    await expect(client.send(new StopTaskCommand({ cluster: CLUSTER, task: "gone" }))).rejects.toThrow(InvalidParameterException);
    await expect(createService("obedient", 1)).rejects.toThrow("Creation of service was not idempotent.");
    await expect(client.send(new RunTaskCommand({ cluster: CLUSTER, taskDefinition: "unknown" }))).rejects.toThrow(ClientException);
    await expect(protect(["x"], true, 0)).resolves.toMatchObject({ failures: [{ reason: "MISSING" }] });
    await expect(client.send(new ListTagsForResourceCommand({ resourceArn: "x" }))).rejects.toMatchObject({ name: "UnknownOperationException" });
  });

  it("come as 400 with the type for what is no request of the SDK", async () => {
    const post = async (body: string, target: string) => {
      const answer = await fetch(ecs.endpoint, { method: "POST", body, headers: { "x-amz-target": target } });
      return [answer.status, ((await answer.json()) as { __type: string }).__type];
    };
    expect(await post("{", "AmazonEC2ContainerServiceV20141113.ListTasks")).toEqual([400, "SerializationException"]);
    expect(await post("{}", "DynamoDB_20120810.GetItem")).toEqual([400, "UnknownOperationException"]);
    expect(await post("[]", "AmazonEC2ContainerServiceV20141113.ListTasks")).toEqual([400, "InvalidParameterException"]);
  });
});

const WAIT = { timeout: 60_000, interval: 25 };

function createService(taskDefinition: string, desiredCount: number) {
  return client.send(new CreateServiceCommand({ cluster: CLUSTER, serviceName: "pool", taskDefinition, desiredCount }));
}

function scale(desiredCount: number) {
  return client.send(new UpdateServiceCommand({ cluster: CLUSTER, service: "pool", desiredCount }));
}

function protect(taskArns: string[], protectionEnabled: boolean, expiresInMinutes?: number) {
  return client.send(new UpdateTaskProtectionCommand({ cluster: CLUSTER, tasks: taskArns, protectionEnabled, expiresInMinutes }));
}

async function tasks(desiredStatus: "RUNNING" | "STOPPED"): Promise<Task[]> {
  const { taskArns = [] } = await client.send(new ListTasksCommand({ cluster: CLUSTER, serviceName: "pool", desiredStatus }));
  if (taskArns.length === 0) return [];
  return (await client.send(new DescribeTasksCommand({ cluster: CLUSTER, tasks: taskArns }))).tasks ?? [];
}

/** Waits until exactly so many tasks run, each past the start of its script, and none is on its way out. */
function running(count: number): Promise<Task[]> {
  return vi.waitFor(async () => {
    const now = await tasks("RUNNING");
    expect(now.map(({ lastStatus }) => lastStatus)).toEqual(Array(count).fill("RUNNING"));
    for (const task of now) expect(await logOf(task)).toContain("up");
    const leaving = await tasks("STOPPED");
    expect(leaving.filter(({ lastStatus }) => lastStatus !== "STOPPED")).toEqual([]);
    return now;
  }, WAIT);
}

function ended(arn: string): Promise<Task> {
  return vi.waitFor(async () => {
    const [task] = (await client.send(new DescribeTasksCommand({ cluster: CLUSTER, tasks: [arn] }))).tasks ?? [];
    expect(task?.lastStatus).toBe("STOPPED");
    return task as Task;
  }, WAIT);
}

function arnsOf(list: readonly Task[]): string[] {
  return list.flatMap(({ taskArn }) => taskArn ?? []);
}

function pidOf(task: Task | undefined): number {
  return Number(task?.containers?.[0]?.runtimeId);
}

async function logOf(task: Task | undefined): Promise<string> {
  const known = ecs.tasks.find(({ id }) => task?.taskArn?.endsWith(id));
  return readFile(known?.logFile ?? "", "utf8");
}

async function uris(task: Task | undefined): Promise<{ agent: string; metadata: string }> {
  const [, agent = "", metadata = ""] = (await logOf(task)).trim().split(/\s+/);
  return { agent, metadata };
}
