import { pathToFileURL } from "node:url";

/** `node lambda-host.ts <bundle>`: what Lambda's runtime does, as far as a handler sees it. */
const [, , bundle = ""] = process.argv;
const { handler } = (await import(pathToFileURL(bundle).href)) as { handler(event: unknown): Promise<unknown> };

process.on("message", async (event) => {
  // n.b. a handler of events answers nothing, and undefined would be no message.
  process.send?.((await handler(event)) ?? null);
});
