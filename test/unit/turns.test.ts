import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { virtualClock } from "../../testing/clock.ts";
import { Turns, type TurnTaker } from "../../worker/turns.ts";

class Tenant implements TurnTaker {
  readonly name: string;
  readonly log: string[];
  waiting: number;

  constructor(name: string, waiting: number, log: string[]) {
    this.name = name;
    this.waiting = waiting;
    this.log = log;
  }

  startOne(): boolean {
    if (this.waiting === 0) return false;
    this.waiting -= 1;
    this.log.push(this.name);
    return true;
  }
}

function turns(slots: number, mayStart = () => true) {
  const clock = virtualClock();
  return { turns: new Turns({ slots, clock, mayStart }), pass: (ms: number) => clock.advance(ms) };
}

describe("Turns", () => {
  it("lets a newcomer with one job wait for no more than one turn of a tenant with a thousand", () => {
    const log: string[] = [];
    const { turns: line } = turns(1);
    const big = new Tenant("big", 1_000, log);
    const small = new Tenant("small", 1, log);
    line.offer(big);
    line.offer(small);
    line.release(big);
    line.release(small);
    expect(log).toEqual(["big", "big", "small"]);
  });

  it("never runs more than its slots, starts everything in the end, and knows when it rests", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 5 }), fc.array(fc.nat(6), { minLength: 1, maxLength: 6 }), async (slots, work) => {
        const log: string[] = [];
        const { turns: line } = turns(slots);
        const tenants = work.map((waiting, i) => new Tenant(`t${i}`, waiting, log));
        for (const tenant of tenants) line.offer(tenant);
        let ended = 0;
        while (line.busy > 0) {
          expect(line.busy).toBeLessThanOrEqual(slots);
          const name = log[ended++];
          line.release(tenants.find((tenant) => tenant.name === name) as Tenant);
        }
        await line.idle();
        expect(log).toHaveLength(work.reduce((a, b) => a + b, 0));
      }),
    );
  });

  it("starts nothing while the lease forbids it, and goes on when told", () => {
    const log: string[] = [];
    let allowed = false;
    const { turns: line } = turns(2, () => allowed);
    line.offer(new Tenant("a", 3, log));
    expect(log).toEqual([]);
    allowed = true;
    line.go();
    expect(log).toEqual(["a", "a"]);
  });

  it("tells for how long its slots have been full, or free", () => {
    const { turns: line, pass } = turns(1);
    const one = new Tenant("a", 1, []);
    pass(500);
    expect([line.fullForMs, line.freeForMs]).toEqual([0, 500]);
    line.offer(one);
    pass(300);
    expect([line.fullForMs, line.freeForMs]).toEqual([300, 0]);
    line.release(one);
    pass(200);
    expect([line.fullForMs, line.freeForMs]).toEqual([0, 200]);
  });
});
