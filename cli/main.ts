import { text } from "node:stream/consumers";
import { authorization } from "../client/api-auth.ts";
import { apiAuth, apiUrl } from "../client/environment.ts";
import manifest from "../package.json" with { type: "json" };
import { printError, printLines } from "./printer.ts";
import { run } from "./run.ts";

process.exitCode = await run(process.argv.slice(2), {
  version: manifest.version,
  apiUrl: () => apiUrl(),
  authorize: (url) => authorization(url, apiAuth()),
  readStdin: () => text(process.stdin),
  print: printLines,
  printError,
});
