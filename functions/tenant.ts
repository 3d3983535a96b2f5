import { Hono } from "hono";
import { problemOf, problemResponse, RequestRefused } from "./problem.ts";

/** What any bearer of a token may see. */
const FOR_ALL = ["/health", "/openapi.json"];
/** The partition of those who may touch all of them, and what is no partition's. */
const EVERYTHING = "*";

/** What a Hono app is told of the event, as far as it is looked at here. */
interface LambdaEnv {
  readonly requestContext?: { readonly authorizer?: { readonly jwt?: { readonly claims?: Readonly<Record<string, unknown>> } } };
}

/**
 * Lets a request through to the app if the token's `claim` names its partition. API Gateway has checked the token; it
 * can't compare a claim with a path. Anything that is not known to be allowed is refused: a path without a partition
 * (a list of them, the tasks) is for those whose claim is `*`.
 *
 * n.b. it looks at the very path that the app routes by, after everything that URLs do to it.
 */
export function guardTenants(app: { fetch(request: Request, env: object): Response | Promise<Response> }, claim: string): Hono {
  const guarded = new Hono<{ Bindings: LambdaEnv }>();
  guarded.all("*", (c) => {
    const granted = partitionsOf(c.env.requestContext?.authorizer?.jwt?.claims?.[claim]);
    if (isAllowed(c.req.path, granted)) return app.fetch(c.req.raw, c.env);
    return problemResponse(problemOf(new RequestRefused("forbidden", `the token's claim "${claim}" does not allow this`)));
  });
  return guarded as unknown as Hono;
}

/**
 * The partitions that a claim names. API Gateway makes a string of whatever a claim is, a list becomes `[a b]`: no
 * partition's name has a space, a comma, a quote or a bracket.
 */
export function partitionsOf(claim: unknown): ReadonlySet<string> {
  const text = Array.isArray(claim) ? claim.join(" ") : typeof claim === "string" ? claim : "";
  return new Set(text.split(/[\s,"[\]]+/).filter((name) => name !== ""));
}

function isAllowed(path: string, granted: ReadonlySet<string>): boolean {
  if (granted.has(EVERYTHING)) return true;
  if (FOR_ALL.includes(path)) return granted.size > 0;
  const [, first, partition] = path.split("/");
  if (first !== "partitions" || partition === undefined) return false;
  return granted.has(decoded(partition));
}

/** @returns "", which is nobody's name, for what can't be decoded */
function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    // `%zz`: the app would refuse it, too.
    return "";
  }
}
