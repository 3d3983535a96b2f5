import { MessageChannel, type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import type { FromThread, ToThread } from "./job-thread.ts";
import type { Run } from "./run.ts";
import type { Packed } from "./thrown.ts";

export interface ThreadLineOptions {
  /** What an aborted run gets to settle in, in ms. */
  readonly graceMs: number;
  /** It has not settled by then. */
  onOverdue(): void;
  /** Its handler begins. */
  onStarted(): void;
}

/** The main thread's end of a run's line to its thread: the run's abort goes out, its log lines and progress come in. */
export class ThreadLine {
  /** The jobs module could not be imported in the thread: why. */
  broken: Packed | undefined;
  readonly farEnd: { readonly port: MessagePort; readonly untaken: SharedArrayBuffer };
  readonly #run: Run;
  readonly #options: ThreadLineOptions;
  readonly #port: MessagePort;
  readonly #untaken: Int32Array;
  readonly #closed: Promise<void>;
  readonly #onAbort = (): void => this.#abort();
  #overdue: NodeJS.Timeout | undefined;

  constructor(run: Run, options: ThreadLineOptions) {
    const { port1, port2 } = new MessageChannel();
    const untaken = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
    this.farEnd = { port: port2, untaken };
    this.#run = run;
    this.#options = options;
    this.#port = port1;
    this.#untaken = new Int32Array(untaken);
    this.#closed = new Promise((resolve) => port1.once("close", resolve));
    port1.on("message", (message: FromThread) => this.#take(message));
    run.signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** The handler has settled: what it told before is heard to the end. */
  close(): void {
    this.#disarm();
    for (let next = receiveMessageOnPort(this.#port); next !== undefined; next = receiveMessageOnPort(this.#port))
      this.#take(next.message as FromThread);
    this.#port.close();
  }

  /** Resolves once the thread that has the far end is dead, to the last of its instructions; at once if none ever got it. */
  async threadDead(): Promise<void> {
    this.#disarm();
    // Does nothing to a port that was handed over.
    this.farEnd.port.close();
    await this.#closed;
  }

  #disarm(): void {
    clearTimeout(this.#overdue);
    this.#run.signal.removeEventListener("abort", this.#onAbort);
  }

  #abort(): void {
    this.#port.postMessage({ abort: this.#run.aborted ?? "shutdown" } satisfies ToThread);
    this.#overdue = setTimeout(this.#options.onOverdue, this.#options.graceMs);
  }

  #take(message: FromThread): void {
    Atomics.sub(this.#untaken, 0, 1);
    Atomics.notify(this.#untaken, 0);
    if ("log" in message) this.#run.log[message.log](message.message, message.fields);
    else if ("progress" in message) this.#run.progress(message.progress);
    else if ("started" in message) this.#options.onStarted();
    else this.broken = message.broken;
  }
}
