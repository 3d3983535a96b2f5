/** The apps of functions/, each a Lambda of its own. */
export type ApiApp = "partitions" | "queues" | "jobs" | "tasks" | "openapi";

export interface ApiRoute {
  /** `ANY`: all that no other route of the same path names. */
  readonly method: "ANY" | "GET" | "POST" | "DELETE";
  /** As API Gateway writes it; `{rest+}` stands for one segment or more. `$default`: whatever no route names. */
  readonly path: string;
  readonly app: ApiApp;
}

/**
 * Which Lambda answers what, from one list: infra deploys it, and a test holds it to what each app serves. What has
 * sub-paths is routed as a whole, so a new route below it needs no line here. A path of variable segments only has its
 * methods spelt out wherever two apps share it, for API Gateway to have no choice to make.
 */
export const API_ROUTES: readonly ApiRoute[] = [
  { method: "ANY", path: "/partitions", app: "partitions" },
  { method: "ANY", path: "/partitions/{partition}", app: "partitions" },
  { method: "DELETE", path: "/partitions/{partition}", app: "queues" },
  { method: "ANY", path: "/partitions/{partition}/start", app: "partitions" },
  { method: "ANY", path: "/partitions/{partition}/reconfigure", app: "partitions" },
  { method: "ANY", path: "/partitions/{partition}/safe-stop", app: "partitions" },
  { method: "ANY", path: "/partitions/{partition}/stop", app: "partitions" },
  // They change the partition and never speak to RabbitMQ: outside the VPC ECS is in reach, so tasks come at once.
  { method: "ANY", path: "/partitions/{partition}/queues/{queue}/pause", app: "partitions" },
  { method: "ANY", path: "/partitions/{partition}/queues/{queue}/resume", app: "partitions" },
  { method: "ANY", path: "/partitions/{partition}/queues/{rest+}", app: "queues" },
  { method: "ANY", path: "/partitions/{partition}/jobs", app: "jobs" },
  { method: "ANY", path: "/partitions/{partition}/jobs/{rest+}", app: "jobs" },
  { method: "ANY", path: "/partitions/{partition}/buried/{rest+}", app: "jobs" },
  { method: "ANY", path: "/tasks", app: "tasks" },
  { method: "ANY", path: "/health", app: "tasks" },
  { method: "ANY", path: "/openapi.json", app: "openapi" },
  { method: "ANY", path: "$default", app: "openapi" },
];

/** @returns the route as API Gateway's key: `GET /tasks`, `$default` */
export function routeKey({ method, path }: ApiRoute): string {
  return path === "$default" ? path : `${method} ${path}`;
}

/**
 * Which route API Gateway takes: segment by segment, a fixed one goes before a variable, a variable before `{rest+}`,
 * and of the same path a named method before `ANY`.
 */
export function routeOf(method: string, path: string): ApiRoute {
  const segments = path.split("/");
  const matches = API_ROUTES.filter((route) => (route.method === "ANY" || route.method === method) && matchesPath(route.path, segments));
  const best = matches.toSorted((a, b) => rank(a).localeCompare(rank(b)))[0];
  if (best === undefined) throw new Error("there is no $default route");
  return best;
}

function matchesPath(pattern: string, segments: readonly string[]): boolean {
  if (pattern === "$default") return true;
  const wanted = pattern.split("/");
  const greedy = wanted.at(-1)?.endsWith("+}") ?? false;
  if (greedy ? segments.length < wanted.length : segments.length !== wanted.length) return false;
  return wanted.every((part, i) => part.startsWith("{") || part === segments[i]);
}

/** Sorts the more special first. */
function rank({ method, path }: ApiRoute): string {
  if (path === "$default") return "9";
  const parts = path.split("/").map((part) => (part.endsWith("+}") ? "3" : part.startsWith("{") ? "2" : "1"));
  return `${parts.join("")}${method === "ANY" ? "2" : "1"}`;
}
