import type { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";

/** Breaks the network under a client, at its writes, counted from 0. Reads pass. */
export interface Network {
  /** Writes that a caller asked for so far, the SDK's own repeats not among them. */
  writes(): number;
  /** The table gets this write; its reply is lost, and those of the SDK's repeats, `times` in all. `meanwhile` happens before the first repeat. */
  loseReply(write: number, times: number, meanwhile?: () => Promise<unknown>): void;
  /** The process ends right before this write. */
  crashBefore(write: number): void;
}

export class Crash extends Error {}

export function breakable({ middlewareStack }: DynamoDBDocumentClient): Network {
  let writes = 0;
  let lost: { readonly write: number; left: number; meanwhile: (() => Promise<unknown>) | undefined } | undefined;
  let crash: number | undefined;
  const isWrite = (name: unknown) => typeof name === "string" && /^(Put|Update|Delete)Item/.test(name);

  // Above the SDK's retries: each write once.
  middlewareStack.add(
    (next, context) => async (args) => {
      if (isWrite(context.commandName)) {
        if (crash === writes) throw new Crash(`before write ${writes}`);
        writes += 1;
      }
      return next(args);
    },
    { step: "initialize", name: "countWrites", priority: "high" },
  );
  // Below them: each time that it is sent.
  middlewareStack.add(
    (next, context) => async (args) => {
      if (!isWrite(context.commandName) || lost === undefined || lost.left === 0 || lost.write !== writes - 1) return next(args);
      lost.left -= 1;
      await next(args).catch(() => undefined); // A refusal is lost, too.
      const { meanwhile } = lost;
      lost.meanwhile = undefined;
      await meanwhile?.();
      throw Object.assign(new Error("the reply is lost"), { code: "ECONNRESET" });
    },
    { step: "deserialize", name: "loseReplies", priority: "high" },
  );

  return {
    writes: () => writes,
    loseReply: (write, times, meanwhile) => {
      writes = 0;
      lost = { write, left: times, meanwhile };
    },
    crashBefore: (write) => {
      writes = 0;
      crash = write;
    },
  };
}
