import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvalidInput } from "../../core/contract/errors.ts";
import { applyCommand, type Command, CommandRefused } from "../../core/partition/commands.ts";
import { type Partition, totalHeld } from "../../core/partition/partition.ts";

const running = applyCommand("acme", undefined, { type: "start", pools: { default: { default: 10, other: 2 } } });

function holding(partition: Partition, held: number): Partition {
  return { ...partition, held: { ...partition.held, "default/default": held }, shares: { ...partition.shares, "default/default": { t1: held } } };
}

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof CommandRefused) return error.code;
    throw error;
  }
  return "accepted";
}

describe("start", () => {
  it("makes a partition with revision 1 and a place for each queue's shares", () => {
    expect(running).toMatchObject({ id: "acme", status: "running", revision: 1, held: { "default/default": 0, "default/other": 0 } });
    expect(running.shares).toEqual({ "default/default": {}, "default/other": {} });
  });

  it("changes nothing, and no revision, when it is said again", () => {
    expect(applyCommand("acme", running, { type: "start", pools: { default: { other: 2, default: 10 } } })).toBe(running);
  });

  it("reconfigures a running partition", () => {
    const after = applyCommand("acme", running, { type: "start", pools: { default: { default: 3 } } });
    expect(after).toMatchObject({ revision: 2, pools: { default: { default: 3 } } });
  });

  it("cancels a drain and keeps what is held", () => {
    const draining = applyCommand("acme", holding(running, 4), { type: "safe_stop" });
    const after = applyCommand("acme", draining, { type: "start", pools: running.pools });
    expect(after).toMatchObject({ status: "running", revision: 3, held: { "default/default": 4 } });
  });

  it("without a list starts with the one that the partition has, whatever its status", () => {
    const { pools } = running;
    expect(applyCommand("acme", running, { type: "start" })).toBe(running);
    const draining = applyCommand("acme", holding(running, 4), { type: "safe_stop" });
    expect(applyCommand("acme", draining, { type: "start" })).toMatchObject({ status: "running", pools, held: { "default/default": 4 } });
    const stopped = applyCommand("acme", running, { type: "stop" });
    expect(applyCommand("acme", stopped, { type: "start" })).toMatchObject({ status: "running", pools });
  });

  it("without a list names it when there is no partition, or only its tombstone", () => {
    for (const before of [undefined, { ...running, status: "deleted" } as const]) {
      expect(() => applyCommand("acme", before, { type: "start" })).toThrow(expect.objectContaining({ code: "invalid_request", field: "queues" }));
    }
  });

  it("keeps pauses over stop and start", () => {
    const paused = applyCommand("acme", running, { type: "pause", queue: "other" });
    const stopped = applyCommand("acme", paused, { type: "stop" });
    expect(applyCommand("acme", stopped, { type: "start", pools: running.pools }).paused).toEqual(["other"]);
  });

  it("goes on from a tombstone's revision", () => {
    const tombstone: Partition = { ...running, status: "deleted", revision: 9, paused: ["other"] };
    expect(applyCommand("acme", tombstone, { type: "start", pools: running.pools })).toMatchObject({ status: "running", revision: 10, paused: [] });
  });

  it.each([
    ["a bad id", () => applyCommand("-x", undefined, { type: "start", pools: {} }), "partition"],
    ["a bad queue", () => applyCommand("a", undefined, { type: "start", pools: { default: { "b-c": 1 } } }), "pools.default.b-c"],
    ["a bad pool", () => applyCommand("a", undefined, { type: "start", pools: { Big: { a: 1 } } }), "pools.Big"],
    ["a negative max_workers", () => applyCommand("a", undefined, { type: "start", pools: { default: { a: -1 } } }), "pools.default.a"],
    ["a broken max_workers", () => applyCommand("a", undefined, { type: "start", pools: { default: { a: 1.5 } } }), "pools.default.a"],
  ])("refuses %s, naming it", (_, run, field) => {
    expect(run).toThrow(InvalidInput);
    expect(run).toThrow(new RegExp(`^${field.replaceAll(".", "\\.")}:`));
  });
});

describe("a queue that is dropped from the list", () => {
  const configure = (row: Partition, queues: Record<string, number>) =>
    applyCommand("acme", row, { type: "reconfigure", pools: { default: queues } });

  it("keeps its entry until the list after that one, and as long as anything of it is held", () => {
    const dropped = configure(running, { other: 2 });
    expect(dropped.held).toEqual({ "default/default": 0, "default/other": 0 });
    const later = configure(dropped, { other: 3 });
    expect([later.held, later.shares]).toEqual([{ "default/other": 0 }, { "default/other": {} }]);
    const busy = configure(holding(dropped, 2), { other: 3 });
    expect(busy.held).toEqual({ "default/default": 2, "default/other": 0 });
    expect(busy.shares["default/default"]).toEqual({ t1: 2 });
    expect(configure(later, { default: 1 }).held).toEqual({ "default/default": 0, "default/other": 0 });
  });

  it("does not make the row grow, however many queues come and go", () => {
    let row = running;
    for (let i = 0; i < 200; i++) row = configure(row, { [`q${i}`]: 1, [`r${i}`]: 1 });
    expect(Object.keys(row.held)).toEqual(["default/q199", "default/r199", "default/q198", "default/r198"]);
    expect(Object.keys(row.shares)).toHaveLength(4);
  });
});

describe("safe_stop", () => {
  it("is done at once when nothing is held", () => {
    expect(applyCommand("acme", running, { type: "safe_stop" }).status).toBe("stopped");
  });

  it("drains while something is held, and may be said again", () => {
    const draining = applyCommand("acme", holding(running, 1), { type: "safe_stop" });
    expect(draining.status).toBe("draining");
    expect(applyCommand("acme", draining, { type: "safe_stop" })).toBe(draining);
  });
});

describe("what the state forbids", () => {
  const stopped = applyCommand("acme", running, { type: "stop" });
  it.each<[string, Partition | undefined, Command, string]>([
    ["reconfigure of a stopped one", stopped, { type: "reconfigure", pools: {} }, "not_running"],
    ["safe_stop of a stopped one", stopped, { type: "safe_stop" }, "not_running"],
    ["stop of an unknown one", undefined, { type: "stop" }, "unknown_partition"],
    ["pause of an unknown one", undefined, { type: "pause", queue: "default" }, "unknown_partition"],
    ["pause of an unknown queue", running, { type: "pause", queue: "mail" }, "unknown_queue"],
    ["resume of an unknown queue", running, { type: "resume", queue: "mail" }, "unknown_queue"],
    ["delete while running", running, { type: "delete" }, "still_running"],
    ["stop of a tombstone", { ...stopped, status: "deleted" }, { type: "stop" }, "unknown_partition"],
    ["pause while deleting", { ...stopped, status: "deleting" }, { type: "pause", queue: "default" }, "not_running"],
    ["start while deleting", { ...stopped, status: "deleting" }, { type: "start", pools: {} }, "still_running"],
  ])("%s", (_, before, command, code) => {
    expect(refusal(() => applyCommand("acme", before, command))).toBe(code);
  });

  it("stop of a stopped one changes nothing", () => {
    expect(applyCommand("acme", stopped, { type: "stop" })).toBe(stopped);
  });
});

describe("whatever is commanded", () => {
  const pools = fc.dictionary(fc.constantFrom("default", "big"), fc.dictionary(fc.constantFrom("a", "b", "c"), fc.nat(5)), { maxKeys: 2 });
  const command = fc.oneof(
    pools.map((p): Command => ({ type: "start", pools: p })),
    pools.map((p): Command => ({ type: "reconfigure", pools: p })),
    fc.constantFrom<Command>({ type: "safe_stop" }, { type: "stop" }, { type: "delete" }),
    fc.constantFrom("a", "b", "c").chain((queue) => fc.constantFrom<Command>({ type: "pause", queue }, { type: "resume", queue })),
  );

  it("moves the revision by one or nothing at all, and never touches what tasks hold", () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 30 }), fc.nat(3), (commands, held) => {
        let row: Partition | undefined;
        for (const next of commands) {
          const before = row;
          try {
            row = applyCommand("p", before, next);
          } catch (error) {
            if (!(error instanceof CommandRefused)) throw error;
            continue;
          }
          if (before === undefined) {
            row = { ...row, held: { ...row.held, "default/a": held } };
            continue;
          }
          expect(row === before || row.revision === before.revision + 1).toBe(true);
          if (row !== before) expect(JSON.stringify({ ...row, revision: 0 })).not.toBe(JSON.stringify({ ...before, revision: 0 }));
          expect(totalHeld(row)).toBe(totalHeld(before));
        }
      }),
    );
  });
});
