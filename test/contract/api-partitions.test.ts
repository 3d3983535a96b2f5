import { describe, expect, it } from "vitest";
import { systemClock } from "../../core/contract/clock.ts";
import type { Partition } from "../../core/partition/partition.ts";
import { apiWorld, freshPartition, lease, report } from "../api-world.ts";

const world = apiWorld();

async function started(queues: Record<string, number> = { default: 10, other: 2 }): Promise<string> {
  const p = freshPartition();
  expect((await world.call("POST", `/partitions/${p}/start`, { queues })).status).toBe(200);
  return p;
}

async function row(p: string): Promise<Partition> {
  const partition = await world.store.partitions.get(p);
  if (partition === undefined) throw new Error(`no row of ${p}`);
  return partition;
}

/** A live task that holds `share` of the queue `default`. */
async function holder(p: string, share: number) {
  const task = lease();
  await world.store.tasks.register(task);
  const { revision } = await row(p);
  const move = { partition: p, revision, key: "default/default", task: task.boot, from: 0, to: share, maxWorkers: 10 } as const;
  expect((await world.store.partitions.moveShare(move)).moved).toBe(true);
  return task;
}

describe("lifecycle", () => {
  it("starts, reconfigures, drains, starts again and stops", async () => {
    const p = freshPartition();
    const start = await world.call("POST", `/partitions/${p}/start`, { queues: { default: 10, other: 2 } });
    expect(start.body).toEqual({
      id: p,
      status: "running",
      revision: 1,
      queues: [
        { pool: "default", queue: "default", max_workers: 10, paused: false, held: 0, running: 0, ready: null, shares: {} },
        { pool: "default", queue: "other", max_workers: 2, paused: false, held: 0, running: 0, ready: null, shares: {} },
      ],
      applied: [],
      as_of: null,
    });
    expect((await world.call("POST", `/partitions/${p}/start`, { queues: { default: 10, other: 2 } })).body.revision).toBe(1);
    const pools = { default: { default: 4 }, big: { default: 1 } };
    const reconfigured = await world.call("POST", `/partitions/${p}/reconfigure`, { pools });
    expect(reconfigured.body).toMatchObject({ revision: 2, queues: [{ max_workers: 4 }, { pool: "big", max_workers: 1 }] });
    expect((await world.call("POST", `/partitions/${p}/safe-stop`)).body).toMatchObject({ status: "stopped", revision: 3 });
    expect((await world.call("POST", `/partitions/${p}/reconfigure`, { pools })).body).toMatchObject({ status: 409, code: "not_running" });
    expect((await world.call("POST", `/partitions/${p}/start`, { pools })).body).toMatchObject({ status: "running", revision: 4 });
    expect((await world.call("POST", `/partitions/${p}/stop`)).body).toMatchObject({ status: "stopped", revision: 5 });
    expect((await world.call("POST", `/partitions/${p}/stop`, {})).body).toMatchObject({ status: "stopped", revision: 5 });
  });

  it("starts without a list with the one that it has", async () => {
    const p = await started({ default: 3, mail: 0 });
    const { queues } = (await world.call("POST", `/partitions/${p}/stop`)).body;
    for (const body of [undefined, {}]) {
      expect((await world.call("POST", `/partitions/${p}/start`, body)).body).toMatchObject({ status: "running", revision: 3, queues });
    }
  });

  it("names no pool that is not deployed, where the deployment is known", async () => {
    const p = await started();
    const told = { pools: ["default", "big"] };
    for (const what of ["start", "reconfigure"]) {
      const lists = (body: object, more: object = told) => world.call("POST", `/partitions/${p}/${what}`, body, more);
      expect((await lists({ pools: { default: { mail: 1 }, gpu: { mail: 1 } } })).body).toMatchObject({
        status: 400,
        code: "unknown_pool",
        field: "pools.gpu",
        detail: 'pools.gpu: there is no pool "gpu"; this deployment has default, big',
      });
      expect((await lists({ queues: { mail: 1 } }, { pools: ["big"] })).body).toMatchObject({ code: "unknown_pool", field: "queues" });
      expect((await lists({ pools: { big: { mail: 1 } } })).body).toMatchObject({ status: "running", queues: [{ pool: "big" }] });
      expect((await lists({ pools: { gpu: { mail: 1 } } }, {})).body).toMatchObject({ status: "running", queues: [{ pool: "gpu" }] });
    }
    // What was accepted once, and ran until its pool was taken away, may begin again as it was.
    expect((await world.call("POST", `/partitions/${p}/start`, undefined, told)).status).toBe(200);
  });

  it("a command for nobody is unknown_partition", async () => {
    for (const what of ["stop", "safe-stop", "queues/default/pause"]) {
      expect((await world.call("POST", `/partitions/${freshPartition()}/${what}`)).body).toMatchObject({ status: 404, code: "unknown_partition" });
    }
  });

  it("20 commands at once all happen, one after the other", async () => {
    const p = await started();
    const commands = Array.from({ length: 20 }, (_, i) => ({ queues: { default: i + 1 } }));
    const answers = await Promise.all(commands.map((body) => world.call("POST", `/partitions/${p}/reconfigure`, body)));
    const refused = answers.filter(({ status }) => status !== 200);
    expect(refused.every(({ body }) => body.code === "conflict")).toBe(true);
    expect((await row(p)).revision).toBe(1 + answers.length - refused.length);
  });

  it("a command that loses every race is a conflict", async () => {
    const p = await started();
    const partitions = { ...world.store.partitions, commit: async () => undefined };
    const answer = await world.call("POST", `/partitions/${p}/stop`, undefined, { store: { ...world.store, partitions } });
    expect(answer.body).toMatchObject({ status: 409, code: "conflict" });
  });

  it("asks for a scaling pass when something changed, and only then", async () => {
    const asked: (string | undefined)[] = [];
    const scaler = { request: async (id?: string) => void asked.push(id), tick: async () => {} };
    const p = freshPartition();
    for (let i = 0; i < 2; i++) await world.call("POST", `/partitions/${p}/start`, { queues: { default: 1 } }, { scaler });
    await world.call("POST", `/partitions/${p}/queues/default/pause`, undefined, { scaler });
    expect(asked).toEqual([p, p]);
  });
});

describe("pause", () => {
  it("survives a reconfigure and ends with resume", async () => {
    const p = await started();
    const paused = await world.call("POST", `/partitions/${p}/queues/default/pause`);
    expect(paused.body.queues).toMatchObject([
      { queue: "default", paused: true },
      { queue: "other", paused: false },
    ]);
    const reconfigured = await world.call("POST", `/partitions/${p}/reconfigure`, { queues: { default: 3 } });
    expect(reconfigured.body.queues).toMatchObject([{ max_workers: 3, paused: true }]);
    expect((await world.call("POST", `/partitions/${p}/queues/default/resume`)).body.queues).toMatchObject([{ paused: false }]);
    expect((await world.call("POST", `/partitions/${p}/queues/nope/pause`)).body).toMatchObject({ status: 404, code: "unknown_queue" });
  });
});

describe("the view", () => {
  it("shows shares, what tasks told, and who is up to date", async () => {
    const p = await started();
    const task = await holder(p, 7);
    const late = lease();
    await world.store.tasks.register(late);
    const { shards } = await world.store.partitions.readVersion();
    const queues = [{ partition: p, key: "default/default", share: 7, running: 3, ready: 12 }] as const;
    await world.store.tasks.report(report(task, { shards, queues }));
    await world.store.tasks.report(report(late, { shards: shards.map(() => 0), at: systemClock.now() - 5_000 }));
    const { body } = await world.call("GET", `/partitions/${p}`);
    expect(body.queues[0]).toMatchObject({ held: 7, running: 3, ready: 12, shares: { [task.boot]: 7 } });
    expect(body.applied).toContainEqual({ task: task.boot, revision: 1 });
    expect(body.applied).toContainEqual({ task: late.boot, revision: null });
    expect(Date.parse(body.as_of)).toBeLessThanOrEqual(systemClock.now() - 5_000);
    // A queue that nobody mentions is idle once all tasks know the partition; here one does not.
    expect(body.queues[1]).toMatchObject({ queue: "other", ready: null, running: 0 });
    await world.store.tasks.report(report(late, { shards }));
    expect((await world.call("GET", `/partitions/${p}`)).body.queues[1]).toMatchObject({ ready: 0 });

    // What starts nothing more runs exactly what is held, whatever reports say.
    await world.call("POST", `/partitions/${p}/queues/default/pause`);
    expect((await world.call("GET", `/partitions/${p}`)).body.queues[0]).toMatchObject({ running: 7 });
    await world.call("POST", `/partitions/${p}/queues/default/resume`);
    // Dropped from the list, a queue is shown until its last job has ended.
    const dropped = await world.call("POST", `/partitions/${p}/reconfigure`, { queues: { other: 2 } });
    expect(dropped.body.queues[1]).toMatchObject({ queue: "default", max_workers: 0, held: 7, running: 7 });
    for (const { boot } of [task, late]) await world.store.tasks.forget(boot);
  });

  it("lists partitions page by page, by status", async () => {
    const stopped = await started({ default: 1 });
    await world.call("POST", `/partitions/${stopped}/stop`);
    const running = await Promise.all(Array.from({ length: 5 }, () => started({ default: 1 })));
    const found: string[] = [];
    for (let cursor: string | null = ""; cursor !== null; ) {
      const page: { body: { partitions: { id: string }[]; cursor: string | null } } = await world.call(
        "GET",
        `/partitions?status=running&limit=2${cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`}`,
      );
      found.push(...page.body.partitions.map(({ id }) => id));
      cursor = page.body.cursor;
    }
    expect(new Set(found).size).toBe(found.length);
    expect(found).toEqual(expect.arrayContaining(running));
    expect(found).not.toContain(stopped);
  });
});

describe("wait", () => {
  it("waits until what was held is given up, and a drained partition has stopped", async () => {
    const p = await started();
    const task = await holder(p, 2);
    const waiting = world.call("POST", `/partitions/${p}/safe-stop?wait=20`);
    await expect.poll(async () => (await row(p)).status).toBe("draining");
    // The task lets go and dies before it can say that the partition is drained.
    const { revision } = await row(p);
    await world.store.partitions.moveShare({ partition: p, revision, key: "default/default", task: task.boot, from: 2, to: 0, maxWorkers: 10 });
    expect((await waiting).body).toMatchObject({ status: "stopped", queues: [{ held: 0 }, { held: 0 }] });
    await world.store.tasks.forget(task.boot);
  });

  it("waits until every live task has applied the command", async () => {
    const p = await started();
    const task = lease();
    await world.store.tasks.register(task);
    await world.store.tasks.report(report(task, { shards: (await world.store.partitions.readVersion()).shards }));
    let answered = false;
    const waiting = world.call("POST", `/partitions/${p}/reconfigure?wait=20`, { queues: { default: 1 } }).finally(() => {
      answered = true;
    });
    await expect.poll(async () => (await row(p)).revision).toBe(2);
    await expect.poll(async () => (await world.call("GET", `/partitions/${p}`)).body.applied).toEqual([{ task: task.boot, revision: null }]);
    expect(answered).toBe(false);
    await world.store.tasks.report(report(task, { shards: (await world.store.partitions.readVersion()).shards }));
    expect((await waiting).body.applied).toEqual([{ task: task.boot, revision: 2 }]);
    await world.store.tasks.forget(task.boot);
  });

  it("gives up without an error, and shows how far it is", async () => {
    const p = await started();
    const task = await holder(p, 2);
    const answer = await world.call("POST", `/partitions/${p}/stop?wait=0.3`);
    expect([answer.status, answer.body.status, answer.body.queues[0].running]).toEqual([200, "stopped", 2]);
    await world.store.tasks.forget(task.boot);
  });
});

describe("tasks and health", () => {
  it("shows tasks, their shares and what they run", async () => {
    const p = await started();
    const task = lease({ slots: 4, free: 1 });
    await world.store.tasks.register(task);
    const running = [{ id: "j1", name: "greet", partition: p, queue: "default", attempt: 2, startedAt: 1_000, progress: 0.5 }];
    const queues = [{ partition: p, key: "default/default", share: 3, running: 1 }] as const;
    await world.store.tasks.report(report(task, { queues, running, runningLeftOut: 2 }));
    const { body } = await world.call("GET", "/tasks");
    expect(body.pools).toEqual([{ pool: "default", tasks: 1, slots: 4, free: 1 }]);
    expect(body.tasks).toEqual([
      expect.objectContaining({
        task: task.boot,
        state: "live",
        shares: [{ partition: p, pool: "default", queue: "default", share: 3, running: 1, ready: null }],
        running: [expect.objectContaining({ job_id: "j1", partition: p, attempt: 2, started_at: "1970-01-01T00:00:01.000Z", progress: 0.5 })],
        running_left_out: 2,
      }),
    ]);
    await world.store.tasks.declareDead(task.boot, task.beat, systemClock.now());
    expect((await world.call("GET", "/tasks")).body).toMatchObject({ pools: [], tasks: [{ task: task.boot, state: "dead" }] });
    await world.store.tasks.forget(task.boot);
  });

  it("is healthy while it reaches its state", async () => {
    expect((await world.call("GET", "/health")).body).toEqual({ status: "ok" });
    expect((await world.call("HEAD", "/health")).status).toBe(200);
  });
});
