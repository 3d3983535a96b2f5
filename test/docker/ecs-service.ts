import {
  type ContainerDefinition,
  CreateClusterCommand,
  CreateServiceCommand,
  DeleteClusterCommand,
  DeleteServiceCommand,
  DeregisterTaskDefinitionCommand,
  DescribeServicesCommand,
  DescribeTasksCommand,
  ECSClient,
  ListTasksCommand,
  RegisterTaskDefinitionCommand,
  waitUntilTasksStopped,
} from "@aws-sdk/client-ecs";
import { AwsClient } from "aws4fetch";
import { STOP_TIMEOUT_MS } from "../../core/contract/limits.ts";
import { StageGraph } from "../infra/graph/graph.ts";
import { clientOf } from "./aws.ts";

export interface ServiceOptions {
  /** Of the cluster, the service and the task definition's family. */
  readonly name: string;
  /** A tag that the emulator's Docker has. */
  readonly image: string;
  /** Goes before what infra/ tells a task. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface Counts {
  readonly desired: number | undefined;
  readonly running: number | undefined;
}

/**
 * A Fargate service of no tasks yet, in a cluster of its own, of the task definition that infra/ makes. What differs is what
 * an emulator can't have: our own image, the broker's URL as plain text, no log group, and this machine's architecture.
 */
export class EcsService {
  readonly name: string;
  readonly #endpoint: string;
  readonly #ecs: ECSClient;
  readonly #releases = new AsyncDisposableStack();

  constructor(endpoint: string, name: string) {
    this.name = name;
    this.#endpoint = endpoint;
    this.#ecs = this.#releases.adopt(new ECSClient(clientOf(endpoint)), async (client) => client.destroy());
  }

  async create({ image, environment }: Omit<ServiceOptions, "name">): Promise<void> {
    const cluster = this.name;
    await this.#ecs.send(new CreateClusterCommand({ clusterName: cluster }));
    this.#releases.defer(async () => void (await this.#ecs.send(new DeleteClusterCommand({ cluster }))));
    const taskDefinition = await this.#register(image, environment);
    this.#releases.defer(async () => void (await this.#ecs.send(new DeregisterTaskDefinitionCommand({ taskDefinition }))));
    await this.#ecs.send(
      new CreateServiceCommand({
        cluster,
        serviceName: this.name,
        taskDefinition,
        desiredCount: 0,
        launchType: "FARGATE",
        networkConfiguration: { awsvpcConfiguration: { subnets: await subnetsOf(this.#endpoint), assignPublicIp: "ENABLED" } },
        deploymentConfiguration: { minimumHealthyPercent: 100, maximumPercent: 200 },
      }),
    );
    this.#releases.defer(() => this.#removeService());
  }

  /** @returns its ARN */
  async #register(image: string, environment: Readonly<Record<string, string>>): Promise<string | undefined> {
    const definition = new StageGraph("dev").one("aws:ecs/taskDefinition:TaskDefinition", "WorkerDefaultTask");
    const { secrets, logConfiguration, ...container } = JSON.parse(definition.containerDefinitions)[0] as ContainerDefinition;
    const told = Object.fromEntries((container.environment ?? []).map(({ name = "", value }) => [name, value]));
    const containerDefinitions = [
      { ...container, image, environment: Object.entries({ ...told, ...environment }).map(([name, value]) => ({ name, value })) },
    ];
    const { taskDefinition } = await this.#ecs.send(
      new RegisterTaskDefinitionCommand({
        family: this.name,
        containerDefinitions,
        cpu: definition.cpu,
        memory: definition.memory,
        networkMode: definition.networkMode,
        requiresCompatibilities: definition.requiresCompatibilities,
        runtimePlatform: { operatingSystemFamily: "LINUX", cpuArchitecture: process.arch === "arm64" ? "ARM64" : "X86_64" },
        volumes: definition.volumes,
      }),
    );
    return taskDefinition?.taskDefinitionArn;
  }

  async counts(): Promise<Counts> {
    const { desiredCount: desired, runningCount: running } = await this.#describe();
    return { desired, running };
  }

  /** What ECS says of it and of its tasks, for people. */
  async story(): Promise<string> {
    const { events = [], ...service } = await this.#describe();
    const tasks = [...(await this.#tasks("RUNNING")), ...(await this.#tasks("STOPPED"))];
    const { tasks: described = [] } = tasks.length === 0 ? {} : await this.#ecs.send(new DescribeTasksCommand({ cluster: this.name, tasks }));
    return [
      `desired ${service.desiredCount}, pending ${service.pendingCount}, running ${service.runningCount}`,
      ...events.map(({ message }) => message),
      ...described.map(({ taskArn, lastStatus, stoppedReason = "" }) => `${taskArn} ${lastStatus} ${stoppedReason}`),
    ].join("\n");
  }

  async #describe() {
    const { services = [] } = await this.#ecs.send(new DescribeServicesCommand({ cluster: this.name, services: [this.name] }));
    if (services[0] === undefined) throw new Error(`ECS knows no service ${this.name}`);
    return services[0];
  }

  async #tasks(desiredStatus: "RUNNING" | "STOPPED"): Promise<string[]> {
    const { taskArns = [] } = await this.#ecs.send(new ListTasksCommand({ cluster: this.name, serviceName: this.name, desiredStatus }));
    return taskArns;
  }

  /** With the tasks of a test that has failed; a cluster can't be deleted before they are gone. */
  async #removeService(): Promise<void> {
    const tasks = await this.#tasks("RUNNING");
    await this.#ecs.send(new DeleteServiceCommand({ cluster: this.name, service: this.name, force: true }));
    if (tasks.length > 0)
      await waitUntilTasksStopped({ client: this.#ecs, maxWaitTime: STOP_TIMEOUT_MS / 1000, minDelay: 1 }, { cluster: this.name, tasks });
  }

  remove(): Promise<void> {
    return this.#releases.disposeAsync();
  }
}

/** A Fargate task has to be put somewhere: where the account puts what is not put anywhere. One request is not worth a client. */
async function subnetsOf(endpoint: string): Promise<string[]> {
  const { credentials, region } = clientOf(endpoint);
  const answer = await new AwsClient({ ...credentials, region, service: "ec2", retries: 0 }).fetch(endpoint, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: "Action=DescribeSubnets&Version=2016-11-15&Filter.1.Name=default-for-az&Filter.1.Value.1=true",
  });
  const xml = await answer.text();
  const subnets = [...xml.matchAll(/<subnetId>([^<]+)<\/subnetId>/g)].map(([, id = ""]) => id);
  if (!answer.ok || subnets.length === 0) throw new Error(`no subnet for tasks: ${answer.status} ${xml}`);
  return subnets;
}
