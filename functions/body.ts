import type { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { InvalidInput } from "../core/contract/errors.ts";
import { LIMITS } from "../core/contract/limits.ts";
import { RequestRefused, refusalOf } from "./problem.ts";

/** Deeper than any sensible args, and far from where recursive code (JSON.stringify, schemas) runs out of stack. */
const MAX_DEPTH = 100;

/**
 * Reads a request's body as JSON and checks it. The content type is not looked at: `curl -d` sends a form's.
 * An empty body is `{}`.
 * @throws RequestRefused `body_too_large`, `invalid_json`, or `invalid_request` naming the field
 */
export async function readBody<T>(c: Context, schema: z.ZodType<T>): Promise<T> {
  const result = schema.safeParse(await readJson(c));
  if (result.success) return result.data;
  throw refusalOf(result.error.issues);
}

/** As `readBody`, without a schema. @param limit in bytes */
export async function readJson(c: Context, limit: number = LIMITS.requestBytes): Promise<unknown> {
  const text = decode(await readBytes(c.req.raw, limit));
  if (text.trim() === "") return {};
  const value = parse(text);
  checkTree(value);
  return value;
}

/** n.b. content-length may lie, or be absent: the bytes themselves are counted, and reading ends at the limit. */
async function readBytes(request: Request, limit: number): Promise<Uint8Array> {
  const tooLarge = new RequestRefused("body_too_large", `the body may have at most ${limit} bytes`, "body");
  if (Number(request.headers.get("content-length") ?? 0) > limit) throw tooLarge;
  if (request.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = request.body.getReader();
  for (let next = await read(reader); !next.done; next = await read(reader)) {
    size += next.value.byteLength;
    if (size > limit) throw tooLarge;
    chunks.push(next.value);
  }
  return Buffer.concat(chunks);
}

/** A caller that goes away in the midst of its request is no failure of ours. */
async function read(reader: ReadableStreamDefaultReader<Uint8Array>): ReturnType<typeof reader.read> {
  try {
    return await reader.read();
  } catch {
    throw new RequestRefused("invalid_request", "the body ended before it was complete", "body");
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new RequestRefused("invalid_json", "the body is not UTF-8", "body");
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new RequestRefused("invalid_json", `the body is not JSON: ${error instanceof Error ? error.message.slice(0, 200) : "unreadable"}`, "body");
  }
}

/**
 * Refuses what JSON can say and we could not hand on unchanged: numbers that overflow to Infinity (which would be
 * stored as null), the key `__proto__` (which schemas drop silently), and nesting that breaks recursive code.
 */
function checkTree(root: unknown): void {
  const open: { readonly value: unknown; readonly path: string; readonly depth: number }[] = [{ value: root, path: "", depth: 0 }];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    const { value, path, depth } = node;
    if (typeof value === "number" && !Number.isFinite(value)) throw new InvalidInput(path || "body", "the number is too large");
    if (typeof value !== "object" || value === null) continue;
    if (depth >= MAX_DEPTH) throw new InvalidInput(path.slice(0, 80), `nested deeper than ${MAX_DEPTH} levels`);
    for (const [key, child] of Object.entries(value)) {
      const at = path === "" ? key : `${path}.${key}`;
      if (key === "__proto__") throw new InvalidInput(at, "not a name that can be used");
      // Leaves that cannot be at fault are left out: a list of a million numbers costs no list of a million nodes.
      if (typeof child === "number" ? !Number.isFinite(child) : typeof child === "object" && child !== null)
        open.push({ value: child, path: at, depth: depth + 1 });
    }
  }
}
