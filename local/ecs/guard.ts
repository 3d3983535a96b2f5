import { type ChildProcess, spawn } from "node:child_process";

/** What orphaned tasks get between SIGTERM and SIGKILL. */
const ORPHAN_GRACE_SECONDS = 5;

/**
 * Reads `+ pid` and `- pid` lines until the pipe closes, which the kernel does for us however we die, and then ends what is left.
 * Plain POSIX sh: macOS and Debian have no prctl(PR_SET_PDEATHSIG) in common, but both have this.
 */
const SCRIPT = `
pids=
while read -r sign pid; do
  if [ "$sign" = + ]; then pids="$pids $pid"; continue; fi
  kept=
  for p in $pids; do [ "$p" = "$pid" ] || kept="$kept $p"; done
  pids=$kept
done
[ -n "$pids" ] || exit 0
for p in $pids; do kill -TERM "$p" 2>/dev/null; done
waited=0
while [ "$waited" -lt ${ORPHAN_GRACE_SECONDS} ]; do
  alive=
  for p in $pids; do kill -0 "$p" 2>/dev/null && alive=yes; done
  [ -n "$alive" ] || break
  sleep 1
  waited=$((waited + 1))
done
for p in $pids; do kill -9 "-$p" 2>/dev/null; done
exit 0
`;

/**
 * Sees to it that tasks don't outlive this process, even if it is ended by SIGKILL: one small shell, in a session of its own so that
 * Ctrl-C doesn't reach it, that knows the tasks' process groups. Tasks know nothing of it, as they know nothing of ECS's agent.
 */
export class Guard {
  readonly #shell: ChildProcess;

  constructor() {
    this.#shell = spawn("/bin/sh", ["-c", SCRIPT], { stdio: ["pipe", "ignore", "ignore"], detached: true });
    // A guard that is gone (EPIPE, no /bin/sh) only means that nobody looks after orphans: tasks run on.
    this.#shell.on("error", () => {});
    this.#shell.stdin?.on("error", () => {});
    this.#shell.unref();
  }

  watch(pid: number): void {
    this.#shell.stdin?.write(`+ ${pid}\n`);
  }

  /** Must be called once the process is gone: its number may soon be another's. */
  release(pid: number): void {
    this.#shell.stdin?.write(`- ${pid}\n`);
  }

  close(): void {
    this.#shell.stdin?.end();
  }
}
