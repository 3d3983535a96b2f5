import { text } from "node:stream/consumers";
import { apiUrl } from "../client/environment.ts";
import manifest from "../package.json" with { type: "json" };
import { printError, printLines } from "./printer.ts";
import { run } from "./run.ts";

process.exitCode = await run(process.argv.slice(2), {
  version: manifest.version,
  apiUrl: () => apiUrl(),
  readStdin: () => text(process.stdin),
  print: printLines,
  printError,
});
