/**
 * `node local/bootstrap.mjs <script.ts> [args…]`: the one door into this repository, for any Node from 18 on.
 *
 * It installs the packages when they are missing or not those of package-lock.json (`npm ci`), then runs the script with the
 * Node that is pinned among them: so a fresh clone needs one command, and everybody runs the same Node as Lambda does.
 * Exits with the script's own exit code, or 128 + the number of the signal that ended it.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const NODE = join(ROOT, "node_modules", ".bin", "node");
/** A symbolic link whose target is the owner's pid: made and filled in one step. Beside node_modules, which `npm ci` deletes. */
const LOCK = join(ROOT, ".roger", "install.lock");
/**
 * Of all install scripts only the one that fetches the pinned Node is run, whatever npm's own default is. Others compile addons
 * for the Node that npm runs on; Debian's links them to a library of that Node, and ours crashes when it comes upon one.
 */
const INSTALLATION = [
  ["ci", "--ignore-scripts", "--include=dev", "--include=optional", "--no-audit", "--no-fund"],
  ["rebuild", "node", "--ignore-scripts=false"],
];
const PARENT = process.ppid;
const PARENT_LOOK_MS = 500;
const LOCK_POLL_MS = 200;
const LOCK_POLLS = 3_000;

const [script, ...args] = process.argv.slice(2);
if (script === undefined) fail("usage: node local/bootstrap.mjs <script.ts> [args…]");
if (staleness() !== undefined) {
  const problem = await install();
  if (problem !== undefined) fail(problem.message, problem.code);
}
const { code } = await run(NODE, [resolve(ROOT, script), ...args], { stdio: "inherit" });
process.exitCode = code;

/**
 * Why the installed packages aren't those of the lock file, for people; undefined when they are.
 * npm records what it installed in node_modules/.package-lock.json, last of all: half an installation has no record.
 */
function staleness() {
  if (!existsSync(NODE)) return "the pinned Node is missing (does your npm run install scripts?)";
  const wanted = packages("package-lock.json");
  const installed = packages("node_modules/.package-lock.json");
  if (installed === undefined) return "npm's record of the installation is missing";
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === "") continue;
    const there = installed[path];
    // Optional packages that belong to other platforms are not installed.
    if (there === undefined && entry.optional) continue;
    if (identity(there) !== identity(entry)) return `${path} is missing or another one`;
  }
  for (const [path, entry] of Object.entries(installed)) {
    if (!(path in wanted)) return `${path} is not wanted`;
    // A directory that was copied here from another machine.
    if (!suits(entry.os, process.platform) || !suits(entry.cpu, process.arch)) return `${path} belongs to another platform`;
  }
  return undefined;
}

function packages(file) {
  try {
    return JSON.parse(readFileSync(join(ROOT, file), "utf8")).packages;
  } catch (error) {
    if (error.code === "ENOENT" || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function identity(entry) {
  return entry === undefined ? undefined : (entry.integrity ?? entry.version);
}

/** npm's rule for `os` and `cpu`: a list of names, or of names that are excluded (`!win32`). */
function suits(names, name) {
  if (names === undefined || names.includes(name)) return true;
  return names.every((other) => other.startsWith("!")) && !names.includes(`!${name}`);
}

/** Installs what package-lock.json says; two at once would tear it up for each other. Returns what went wrong. */
async function install() {
  await lock();
  try {
    // Whoever held the lock before us has installed them, perhaps.
    if (staleness() === undefined) return undefined;
    say("installing packages with npm ci (about a minute, only once)");
    for (const step of INSTALLATION) {
      const { code, output } = await run("npm", step, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
      if (code !== 0) return { message: `${output}npm ${step[0]} failed with exit code ${code}`, code };
    }
    const reason = staleness();
    return reason === undefined ? undefined : { message: `npm ci ended well, and yet ${reason}`, code: 1 };
  } finally {
    rmSync(LOCK, { force: true });
  }
}

async function lock() {
  mkdirSync(dirname(LOCK), { recursive: true });
  for (let polls = 0; polls < LOCK_POLLS; polls++) {
    try {
      symlinkSync(String(process.pid), LOCK);
      return;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    const owner = lockOwner();
    if (owner !== undefined && !isAlive(owner)) breakLock(owner);
    if (polls === 10) say(`waiting for process ${owner}, which is installing packages`);
    await sleep(LOCK_POLL_MS);
  }
  fail(`process ${lockOwner()} has been installing packages for ten minutes; if that isn't so, remove ${LOCK}`);
}

function lockOwner(path = LOCK) {
  try {
    return Number(readlinkSync(path));
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** n.b. our own pid in a lock that we don't hold is that of a predecessor in another container. */
function isAlive(pid) {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** Two may find the same dead owner: the slower one must not take away the lock that the faster one has made since. */
function breakLock(owner) {
  const aside = `${LOCK}.${process.pid}`;
  try {
    renameSync(LOCK, aside);
  } catch (error) {
    if (error.code === "ENOENT") return;
    throw error;
  }
  if (lockOwner(aside) === owner) rmSync(aside, { force: true });
  else renameSync(aside, LOCK);
}

/** Runs a program to its end, handing on the signals that ask us to end. */
function run(program, programArgs, options) {
  return new Promise((done, reject) => {
    const child = spawn(program, programArgs, options);
    const output = [];
    child.stdout?.on("data", (chunk) => output.push(chunk));
    child.stderr?.on("data", (chunk) => output.push(chunk));
    let asked = false;
    const onSignal = (signal) => {
      asked = true;
      handOn(child, signal);
    };
    const handlers = ["SIGINT", "SIGTERM", "SIGHUP"].map((signal) => [signal, () => onSignal(signal)]);
    for (const [signal, handler] of handlers) process.on(signal, handler);
    // Once is enough: a second time would mean "at once".
    const watch = watchNpm(() => asked || onSignal("SIGTERM"));
    child.once("error", reject);
    child.once("close", (code, signal) => {
      clearInterval(watch);
      for (const [name, handler] of handlers) process.off(name, handler);
      done({ code: code ?? 128 + constants.signals[signal], output: Buffer.concat(output).toString() });
    });
  });
}

function handOn(child, signal) {
  // Ctrl-C reaches everybody at the terminal by itself: handed on, it would look like a second, impatient one.
  if (signal === "SIGINT" && process.stdin.isTTY) return;
  child.kill(signal);
}

/** npm that is asked to end does so at once and hands nothing on: what it has started would run on without it. */
function watchNpm(onGone) {
  if (process.env.npm_lifecycle_event === undefined) return undefined;
  const watch = setInterval(() => {
    if (process.ppid === PARENT) return;
    clearInterval(watch);
    onGone();
  }, PARENT_LOOK_MS);
  return watch;
}

function say(line) {
  process.stderr.write(`${line}\n`);
}

function fail(message, code = 1) {
  say(message);
  process.exit(code);
}
