import { createHash } from "node:crypto";

/** What a key's item is named by: keys may be any text, names in a table and in an index may not. Where keys live depends on it: never change it. */
export function keyHash(key: string): string {
  return createHash("sha256").update(key).digest("base64url");
}
