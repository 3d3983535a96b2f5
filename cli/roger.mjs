#!/usr/bin/env node
// Plain JavaScript, so that it runs on any Node. In the package the CLI is JavaScript, too; in the repository it is
// TypeScript, which Node runs from 22.18 on: an older one hands over to the Node 24 that is among the dependencies.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const built = new URL("../dist/cli/main.js", import.meta.url);

if (!existsSync(new URL("main.ts", import.meta.url))) {
  await import(built.href);
} else if (process.features.typescript) {
  await import("./main.ts");
} else {
  const node = fileURLToPath(new URL("../node_modules/.bin/node", import.meta.url));
  const main = fileURLToPath(new URL("main.ts", import.meta.url));
  const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: "inherit" });
  child.on("error", (error) => {
    process.stderr.write(`error: cannot run ${node}: ${error.message} (run npm install)\n`);
    process.exitCode = 1;
  });
  // Ctrl-C reaches the child by itself; it decides how to end.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? 128 + (signal === "SIGINT" ? 2 : 15);
  });
}
