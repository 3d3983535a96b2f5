import { describe, expect, it } from "vitest";
import { type ItemResult, ManyRun, ManyStopped } from "../../client/enqueue-many.ts";

const ok = (n: number) => ({ jobId: String(n), state: "queued" }) as const;

/** Answers when told to, and remembers what is under way. */
class Gate {
  readonly asked: number[] = [];
  readonly #waiting = new Map<number, { resolve(): void; reject(error: Error): void }>();

  readonly enqueue = (n: number): Promise<ReturnType<typeof ok>> => {
    this.asked.push(n);
    return new Promise((resolve, reject) => {
      this.#waiting.set(n, { resolve: () => resolve(ok(n)), reject });
    });
  };

  get underWay(): number {
    return this.#waiting.size;
  }

  async answer(n: number, error?: Error): Promise<void> {
    const waiting = this.#waiting.get(n);
    this.#waiting.delete(n);
    if (error === undefined) waiting?.resolve();
    else waiting?.reject(error);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function* numbers(count: number, taken: number[] = []): Generator<number> {
  for (let n = 0; n < count; n++) {
    taken.push(n);
    yield n;
  }
}

describe("many jobs", () => {
  it("are taken from the source as there is room, and answered as they end", async () => {
    const gate = new Gate();
    const taken: number[] = [];
    const results: ItemResult[] = [];
    const run = new ManyRun(gate.enqueue, { window: 3, onResult: (result) => results.push(result) }).run(numbers(5, taken));
    expect(taken).toEqual([0, 1, 2]);
    await gate.answer(1);
    expect(taken).toEqual([0, 1, 2, 3]);
    expect(results).toEqual([{ index: 1, jobId: "1", state: "queued" }]);
    for (const n of [0, 2, 3, 4]) await gate.answer(n);
    expect(await run).toEqual({ enqueued: 5, refused: 0 });
    expect(results.map(({ index }) => index)).toEqual([1, 0, 2, 3, 4]);
  });

  it("that are refused do not touch their neighbours, and each is told", async () => {
    const results: ItemResult[] = [];
    const refuse = async (n: number) => {
      if (n % 2 === 1) throw new Error(`no ${n}`);
      return ok(n);
    };
    const answer = await new ManyRun(refuse, { window: 2, onResult: (result) => results.push(result) }).run(numbers(4));
    expect(answer).toEqual({ enqueued: 2, refused: 2 });
    expect(results.find(({ index }) => index === 3)).toEqual({ index: 3, error: new Error("no 3") });
  });

  it("without a listener the first refusal ends it, what was on its way first", async () => {
    const gate = new Gate();
    let closed = false;
    async function* source(): AsyncGenerator<number> {
      try {
        yield* numbers(1_000);
      } finally {
        closed = true;
      }
    }
    const run = new ManyRun(gate.enqueue, { window: 3 }).run(source()).catch((error: unknown) => error);
    await new Promise((resolve) => setImmediate(resolve));
    await gate.answer(1, new Error("no"));
    expect(closed).toBe(true);
    expect(gate.underWay).toBe(2);
    await gate.answer(0);
    await gate.answer(2);
    const error = await run;
    expect(error).toBeInstanceOf(ManyStopped);
    expect(error).toMatchObject({ code: "many_stopped", index: 1, cause: new Error("no") });
    expect(gate.asked).toEqual([0, 1, 2]);
  });

  it("end with the source's own error", async () => {
    function* source(): Generator<number> {
      yield 0;
      throw new Error("the file is torn");
    }
    await expect(new ManyRun(async (n: number) => ok(n), { window: 3 }).run(source())).rejects.toThrow("the file is torn");
  });

  it("end with what the listener throws", async () => {
    const onResult = (): void => {
      throw new Error("a bug");
    };
    const taken: number[] = [];
    await expect(new ManyRun(async (n: number) => ok(n), { window: 2, onResult }).run(numbers(1_000, taken))).rejects.toThrow("a bug");
    expect(taken.length).toBeLessThan(10);
  });

  it("end when the caller aborts, what was on its way first", async () => {
    const gate = new Gate();
    const controller = new AbortController();
    const ended = expect(new ManyRun(gate.enqueue, { window: 2, signal: controller.signal }).run(numbers(10))).rejects.toThrow("enough");
    controller.abort(new Error("enough"));
    await gate.answer(0);
    await gate.answer(1);
    await ended;
    expect(gate.asked).toEqual([0, 1]);
    await expect(new ManyRun(gate.enqueue, { window: 2, signal: controller.signal }).run(numbers(1))).rejects.toThrow("enough");
  });

  it("may be none", async () => {
    expect(await new ManyRun(async (n: number) => ok(n), { window: 2 }).run([])).toEqual({ enqueued: 0, refused: 0 });
  });

  it("are never more than a window in memory, however many they are", async () => {
    let underWay = 0;
    let most = 0;
    const enqueue = async (n: number) => {
      most = Math.max(most, ++underWay);
      await Promise.resolve();
      underWay -= 1;
      return ok(n);
    };
    expect(await new ManyRun(enqueue, { window: 50 }).run(numbers(100_000))).toEqual({ enqueued: 100_000, refused: 0 });
    expect(most).toBe(50);
  });
});
