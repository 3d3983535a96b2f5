import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/** Systems hand out ports from 32768 (Linux) or 49152 (macOS) up to outgoing connections. */
const FIRST = 20_000;
const LAST = 32_767;
const TRIES = 100;

/** Whoever has asked for one may not listen yet. */
const given = new Set<number>();

/**
 * A TCP port that nobody listens on at 127.0.0.1 right now, and that this process has not given to anybody before.
 *
 * It lies below the range from which outgoing connections get theirs: so a broker that is down for a moment finds its port again.
 * @throws Error when 100 tries found none
 */
export async function freePort(): Promise<number> {
  for (let i = 0; i < TRIES; i++) {
    const port = randomInt(FIRST, LAST + 1);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port between ${FIRST} and ${LAST} in ${TRIES} tries`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
