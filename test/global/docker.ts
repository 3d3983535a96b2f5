import type { TestProject } from "vitest/node";
import { startContainer, whyNoDocker } from "../../local/rabbitmq/docker.ts";
import { runningAws, startAws, whyNoLambda } from "../docker/aws.ts";
import { setup as makeGraphs } from "./sst.ts";

/** What there is to test against, or why there is none of it. */
export interface Missing {
  /** No container can be run. */
  readonly docker?: string | undefined;
  readonly aws?: string | undefined;
  readonly lambda?: string | undefined;
}

declare module "vitest" {
  interface ProvidedContext {
    /** Of test/docker: reasons, for people, why something is not there. */
    missing: Missing;
    /** Of test/docker: an emulator of AWS, unless it is missing. */
    awsEndpoint: string;
  }
}

/**
 * Starts RabbitMQ 4 and LocalStack once for all of test/docker. An emulator of AWS that runs already (`AWS_ENDPOINT_URL`)
 * goes before a container. Where Docker answers, a container that can't be started is a failure and no reason to skip.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const releases = new AsyncDisposableStack();
  try {
    const docker = await whyNoDocker();
    if (docker === undefined) {
      const rabbit = await startContainer((line) => project.vitest.logger.log(line));
      if (typeof rabbit === "string") throw new Error(`RabbitMQ 4 could not be started: ${rabbit}`);
      releases.defer(() => rabbit.stop());
      project.provide("amqpUrl", rabbit.url);
    }
    const missing: Missing = { docker, ...(await provideAws(project, releases, docker)) };
    project.provide("missing", missing);
    for (const reason of new Set(Object.values(missing))) if (reason !== undefined) project.vitest.logger.log(`skipped in test/docker: ${reason}`);
    return () => releases.disposeAsync();
  } catch (error) {
    await releases.disposeAsync();
    throw error;
  }
}

async function provideAws(project: TestProject, releases: AsyncDisposableStack, noDocker: string | undefined): Promise<Omit<Missing, "docker">> {
  const running = runningAws();
  if (running === undefined && noDocker !== undefined) {
    const reason = `${noDocker} (and AWS_ENDPOINT_URL is not set)`;
    return { aws: reason, lambda: reason };
  }
  const aws = running ?? (await startAws());
  releases.defer(() => aws.stop());
  project.provide("awsEndpoint", aws.endpoint);
  // Our own image has Lambda: should it not answer, the deployment fails and says so.
  const lambda = running === undefined ? undefined : (noDocker ?? (await whyNoLambda(aws.endpoint)));
  if (lambda === undefined) releases.defer(await makeGraphs(project));
  return { lambda };
}
