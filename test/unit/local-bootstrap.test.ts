import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const BOOTSTRAP = new URL("../../local/bootstrap.mjs", import.meta.url);
/** Of npm, for one installation. */
const CALLS = 2;
const LOCK = { packages: { "": {}, "node_modules/a": { version: "1.0.0", integrity: "sha512-a" } } };

/** A checkout with a lock file and an `npm` of our own, which installs what `npm.json` says and writes down each call. */
let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "roger-test-"));
  await mkdir(join(root, "local"));
  await mkdir(join(root, "bin"));
  await copyFile(BOOTSTRAP, join(root, "local/bootstrap.mjs"));
  await writeFile(join(root, "package-lock.json"), JSON.stringify(LOCK));
  await writeFile(join(root, "npm.json"), JSON.stringify(LOCK));
  await symlink(process.execPath, join(root, "bin/node"));
  await writeFile(
    join(root, "bin/npm"),
    `#!/bin/sh
echo "$@" >>calls
if [ -e npm-fails ]; then echo "npm: no network"; exit 7; fi
sleep 0.3
mkdir -p node_modules/.bin
if [ "$1" = rebuild ]; then ln -sf "${process.execPath}" node_modules/.bin/node; else cp npm.json node_modules/.package-lock.json; fi
`,
    { mode: 0o755 },
  );
  await writeFile(join(root, "say.mjs"), "process.stdout.write(JSON.stringify(process.argv.slice(2)));");
});

afterEach(() => rm(root, { recursive: true }));

describe("npm ci", () => {
  it("runs in a fresh clone, once, and then no more; of the packages' scripts only Node's own is run", async () => {
    const first = await bootstrap("say.mjs", "one", "two words");
    expect(first).toMatchObject({ code: 0, stdout: '["one","two words"]' });
    expect(first.stderr).toMatch(/^installing packages[^\n]*\n$/);

    const second = await bootstrap("say.mjs");
    expect(second).toMatchObject({ code: 0, stdout: "[]", stderr: "" });
    expect(await calls()).toEqual([expect.stringMatching(/^ci .*--ignore-scripts( |$)/), expect.stringMatching(/^rebuild node /)]);
  });

  it("runs once for two that start at once", async () => {
    const both = await Promise.all([bootstrap("say.mjs", "1"), bootstrap("say.mjs", "2")]);
    expect(both.map(({ stdout }) => stdout)).toEqual(['["1"]', '["2"]']);
    expect(await calls()).toHaveLength(CALLS);
  });

  it("is not held up by a lock whose owner is dead", async () => {
    const gone = spawn("true");
    await once(gone, "exit");
    await mkdir(join(root, ".roger"));
    await symlink(String(gone.pid), join(root, ".roger/install.lock"));
    expect(await bootstrap("say.mjs")).toMatchObject({ code: 0, stdout: "[]" });
  });

  it.each([
    ["another version is locked", { "node_modules/a": { version: "1.0.1", integrity: "sha512-b" } }],
    ["a package is missing", { ...LOCK.packages, "node_modules/b": { version: "1.0.0" } }],
    ["a package is no longer wanted", {}],
  ])("runs again when %s", async (_, wanted) => {
    await bootstrap("say.mjs");
    const changed = JSON.stringify({ packages: { "": {}, ...wanted } });
    await writeFile(join(root, "package-lock.json"), changed);
    await writeFile(join(root, "npm.json"), changed);
    expect(await bootstrap("say.mjs")).toMatchObject({ code: 0 });
    expect(await calls()).toHaveLength(2 * CALLS);
  });

  it("doesn't ask for optional packages of other platforms, but notices packages that came from one", async () => {
    const foreign = { version: "1.0.0", os: ["atari"], optional: true };
    await writeFile(join(root, "package-lock.json"), JSON.stringify({ packages: { ...LOCK.packages, "node_modules/b": foreign } }));
    expect(await bootstrap("say.mjs")).toMatchObject({ code: 0 });

    await writeFile(join(root, "node_modules/.package-lock.json"), JSON.stringify({ packages: { ...LOCK.packages, "node_modules/b": foreign } }));
    expect(await bootstrap("say.mjs")).toMatchObject({ code: 0 });
    expect(await calls()).toHaveLength(2 * CALLS);
  });

  it("shows what npm said when it fails, and leaves no lock behind", async () => {
    await writeFile(join(root, "npm-fails"), "");
    const failed = await bootstrap("say.mjs");
    expect(failed).toMatchObject({ code: 7, stdout: "" });
    expect(failed.stderr).toContain("npm: no network\nnpm ci failed with exit code 7");

    await rm(join(root, "npm-fails"));
    expect(await bootstrap("say.mjs")).toMatchObject({ code: 0 });
  });

  it("is not believed when it ended well and the packages are still others", async () => {
    await writeFile(join(root, "npm.json"), JSON.stringify({ packages: {} }));
    const failed = await bootstrap("say.mjs");
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain("node_modules/a is missing");
  });
});

describe("the script", () => {
  it("hands its exit code on", async () => {
    await writeFile(join(root, "five.mjs"), "process.exit(5);");
    expect(await bootstrap("five.mjs")).toMatchObject({ code: 5 });
  });

  it("gets the signals that ask it to end", async () => {
    await writeFile(
      join(root, "wait.mjs"),
      `process.once("SIGTERM", () => process.exit(9)); setInterval(() => 0, 1000); process.stdout.write("up");`,
    );
    const child = start("wait.mjs");
    const result = finished(child);
    await once(child.stdout, "data");
    child.kill("SIGTERM");
    expect((await result).code).toBe(9);
  });

  /** Says who started it and who it is, and each signal; ends three looks after the first one. A shell waits for it, as that of npm does. */
  async function startedByShell(byNpm: boolean) {
    const say = (signal: string) => `process.on("${signal}", () => { process.stdout.write(" ${signal}"); setTimeout(() => process.exit(), 1500); });`;
    await writeFile(
      join(root, "wait.mjs"),
      `${say("SIGINT")} ${say("SIGTERM")} setInterval(() => 0, 1000); process.stdout.write(\`\${process.ppid} \${process.pid}\`);`,
    );
    await bootstrap("say.mjs");
    const env = { ...process.env, PATH: `${join(root, "bin")}:${process.env.PATH}`, npm_lifecycle_event: byNpm ? "start" : undefined };
    const npm = spawn("sh", ["-c", "node local/bootstrap.mjs wait.mjs; true"], { cwd: root, env, stdio: ["ignore", "pipe", "ignore"] });
    const said = text(npm.stdout);
    const [bytes] = await once(npm.stdout, "data");
    const who = String(bytes);
    const [script = 0, child = 0] = who.split(" ").map(Number);
    return { npm, who, script, child, said };
  }

  it("is asked to end when npm, which hands no signal on, is gone", async () => {
    const { npm, who, said } = await startedByShell(true);
    npm.kill("SIGTERM");
    expect(await said).toBe(`${who} SIGTERM`);
  });

  it("outlives a shell that is not npm's, as what is left to run in the background does", async () => {
    const { npm: shell, who, child, said } = await startedByShell(false);
    shell.kill("SIGTERM");
    await once(shell, "exit");
    // Straight to it: whoever has been asked asks no more. It lives for three looks from here.
    process.kill(child, "SIGINT");
    expect(await said).toBe(`${who} SIGINT`);
  });

  it("is not asked a second time when npm is gone after a signal that reached both", async () => {
    const { npm, who, script, said } = await startedByShell(true);
    process.kill(script, "SIGINT");
    npm.kill("SIGTERM");
    expect(await said).toBe(`${who} SIGINT`);
  });

  it("that a signal ended counts as 128 + its number", async () => {
    await writeFile(join(root, "killed.mjs"), `process.kill(process.pid, "SIGKILL");`);
    expect(await bootstrap("killed.mjs")).toMatchObject({ code: 137 });
  });
});

function start(...args: string[]) {
  const env = { ...process.env, PATH: `${join(root, "bin")}:${process.env.PATH}` };
  return spawn(process.execPath, ["local/bootstrap.mjs", ...args], { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
}

async function finished(child: ReturnType<typeof start>) {
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { stdout, stderr, code: code as number | null };
}

function bootstrap(...args: string[]) {
  return finished(start(...args));
}

async function calls(): Promise<string[]> {
  return (await readFile(join(root, "calls"), "utf8")).trimEnd().split("\n");
}
