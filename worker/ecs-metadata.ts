/** What ECS says of the task that this process is. */
export interface EcsTask {
  readonly arn: string;
  /** The last part of the ARN. */
  readonly id: string;
}

const DEADLINE_MS = 2_000;

/**
 * Asks the task metadata endpoint, version 4, who we are.
 * @returns `undefined` outside ECS
 * @throws Error when the endpoint is there and does not answer as documented
 */
export async function ecsTask(metadataUri: string | undefined): Promise<EcsTask | undefined> {
  if (metadataUri === undefined) return undefined;
  const response = await fetch(`${metadataUri}/task`, { signal: AbortSignal.timeout(DEADLINE_MS) });
  const body = (await response.json()) as { TaskARN?: unknown };
  if (typeof body.TaskARN !== "string") throw new Error(`the ECS metadata endpoint names no TaskARN (status ${response.status})`);
  return { arn: body.TaskARN, id: body.TaskARN.slice(body.TaskARN.lastIndexOf("/") + 1) };
}
