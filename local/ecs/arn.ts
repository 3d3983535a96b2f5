const ACCOUNT = "000000000000";
const REGION = "local";

/** The names that ECS gives to things, as this endpoint does. */
export const arns = {
  cluster: (cluster: string) => arn(`cluster/${cluster}`),
  service: (cluster: string, service: string) => arn(`service/${cluster}/${service}`),
  task: (cluster: string, id: string) => arn(`task/${cluster}/${id}`),
  container: (cluster: string, task: string, id: string) => arn(`container/${cluster}/${task}/${id}`),
  taskDefinition: (family: string, revision: number) => arn(`task-definition/${family}:${revision}`),
};

function arn(resource: string): string {
  return `arn:aws:ecs:${REGION}:${ACCOUNT}:${resource}`;
}

/** ECS takes the short name or the whole ARN wherever it wants either. */
export function shortName(nameOrArn: string): string {
  return nameOrArn.slice(nameOrArn.lastIndexOf("/") + 1);
}
