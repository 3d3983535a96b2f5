import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, inject, it, onTestFinished } from "vitest";
import { registryOf } from "../../core/job/registry.ts";
import { startCloud } from "../../local/cloud.ts";
import { localSettings, ROOT } from "../../local/environment.ts";

const README = readFileSync(join(ROOT, "README.md"), "utf8");
const blocks = (language: string): string[] =>
  [...README.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g"))].map(([, text = ""]) => text);

async function shell(command: string, env: NodeJS.ProcessEnv): Promise<{ code: number; output: string }> {
  const child = spawn("sh", ["-c", command], { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
  const [code] = (await once(child, "close")) as [number];
  return { code, output };
}

/** Why the README's lines can't be run here, for people. */
const missing = spawnSync("curl", ["--version"]).error === undefined ? "" : " (skipped: there is no curl on this machine)";

it.skipIf(missing !== "")(`every command line of the README does what it says${missing}`, { timeout: 240_000 }, async () => {
  const cloud = await startCloud(localSettings(["--port", "0", "--tasks", "1"], { ...process.env, ROGER_AMQP_URL: inject("amqpUrl") }));
  onTestFinished(async () => {
    await cloud.api.start("acme", { queues: { default: 0, other: 0 } });
    await cloud.api.stop("acme", { wait: 20 });
    await cloud.api.delete("acme", { force: true });
    await cloud.stop();
  });
  const env = { ...process.env, ROGER_API: cloud.url };
  // The first block is run by CI itself (npm test), and by the tour's own test.
  const [first, ...others] = blocks("sh");
  expect(first).toBe("npm run tour\nnpm test\n");
  for (const line of others.join("").trim().split("\n")) {
    const command = line.replaceAll("http://127.0.0.1:3000", cloud.url).replace(/^curl /, "curl -sS --fail-with-body ");
    const { code, output } = await shell(command, env);
    expect({ line, code, output: code === 0 ? "" : output }).toEqual({ line, code: 0, output: "" });
  }
});

it("the job of the README loads and is registered", async () => {
  const [source = ""] = blocks("ts");
  const dir = mkdtempSync(join(ROOT, "jobs/.readme-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, "send-invoice.ts");
  writeFileSync(file, source.replaceAll('"../core/', '"../../core/'));
  const registry = registryOf((await import(pathToFileURL(file).href)) as Record<string, unknown>);
  expect(registry.get("send-invoice")?.queueOf({ invoice: "1", url: "http://x" })).toBe("mail");
});
