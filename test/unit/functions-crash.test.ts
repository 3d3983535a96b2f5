import { describe, expect, it } from "vitest";
import { z } from "zod";
import { defineJob, type JobDefinition } from "../../core/job/define-job.ts";
import type { Hook } from "../../testing/calls.ts";
import { CLEAN, killAt, type MemoryApi, memoryApi } from "../memory-api.ts";

/** More calls than any request makes. */
const MOST_CALLS = 200;

interface Scene {
  readonly jobs: readonly JobDefinition[];
  prepare?(api: MemoryApi): Promise<void>;
  request(): readonly [method: string, path: string, body?: unknown];
  check(api: MemoryApi, at: string, answer: Awaited<ReturnType<MemoryApi["call"]>>): Promise<void>;
  readonly onCancel?: (id: string) => void;
}

function call(api: MemoryApi, [method, path, body]: ReturnType<Scene["request"]>, hook: Hook): ReturnType<MemoryApi["call"]> {
  return api.call(method, path, body, hook);
}

/** A request that is killed at each of its calls in turn, before and after the effect; each time in a world of its own. */
async function killedEverywhere(scene: () => Scene): Promise<number> {
  let kills = 0;
  for (const when of ["before", "after"] as const) {
    for (let n = 0; n <= MOST_CALLS; n++) {
      if (n === MOST_CALLS) throw new Error("it does not end");
      const { jobs, prepare, request, check, onCancel } = scene();
      const api = memoryApi(jobs, onCancel === undefined ? [] : [{ onCancel: ({ id }) => onCancel(id) }]);
      await prepare?.(api);
      const hook = killAt(n, when);
      const answer = await call(api, request(), hook);
      await check(api, `${when} call ${n}`, answer);
      if (!hook.died()) break;
      kills += 1;
    }
  }
  return kills;
}

/** A job that tells what ran; `fails` while it is true. */
function recorder(options: object) {
  const seen = { ran: [] as string[], fails: false };
  const job = defineJob({
    name: "job",
    args: z.object({ who: z.string() }),
    ...options,
    perform: ({ who }) => {
      seen.ran.push(who);
      if (seen.fails) throw new Error("no");
    },
  });
  return { job, seen };
}

const KEYS = {
  "no key": {},
  "a queue key": { queueKey: ({ who }: { who: string }) => who },
  "an execution key": { executionKey: () => "one" },
  "both keys": { queueKey: ({ who }: { who: string }) => who, executionKey: () => "one" },
} as const;
const NAMES = Object.keys(KEYS) as (keyof typeof KEYS)[];
const ONE = { name: "job", args: { who: "a" } };

describe("a Lambda that is killed at any of its calls, while it accepts", () => {
  it.each(NAMES.flatMap((keys) => [0, 60].map((delay) => ({ keys, delay }))))("a job with $keys and a delay of $delay s", async ({ keys, delay }) => {
    const kills = await killedEverywhere(() => {
      const { job, seen } = recorder(KEYS[keys]);
      return {
        jobs: [job],
        request: () => ["POST", "/jobs", { ...ONE, delay }],
        async check(api, at, answer) {
          await api.quiet();
          expect([at, api.left()]).toEqual([at, CLEAN]);
          if (answer.status === 202) expect([at, seen.ran]).toEqual([at, ["a"]]);
          else expect([at, answer.status]).toEqual([at, 500]);
          // Whatever became of it, its keys are free.
          expect([at, (await api.call("POST", "/jobs", ONE)).status]).toEqual([at, 202]);
          await api.quiet();
          expect(seen.ran.length).toBeGreaterThanOrEqual(1);
          expect([at, api.left()]).toEqual([at, CLEAN]);
        },
      };
    });
    expect(kills).toBeGreaterThanOrEqual(2);
  });

  it("a job with an id of its caller's: asked again, it has run once", async () => {
    await killedEverywhere(() => {
      const { job, seen } = recorder({});
      const request = ["POST", "/jobs", { ...ONE, id: "mine" }] as const;
      return {
        jobs: [job],
        request: () => request,
        async check(api, at) {
          const again = await api.call(...request);
          expect([at, [202, 409]]).toEqual([at, expect.arrayContaining([again.status])]);
          if (again.status === 409) expect(again.body).toMatchObject({ code: "duplicate_job", existing_job_id: "mine" });
          await api.quiet();
          expect([at, seen.ran, api.left()]).toEqual([at, ["a"], CLEAN]);
          expect((await api.call(...request)).body).toMatchObject({ code: "duplicate_job", existing_job_id: "mine" });
        },
      };
    });
  });

  it("a list of jobs that want the same key: one of them has run", async () => {
    await killedEverywhere(() => {
      const { job, seen } = recorder(KEYS["a queue key"]);
      return {
        jobs: [job],
        request: () => ["POST", "/jobs", { jobs: [ONE, ONE, ONE] }],
        async check(api, at, answer) {
          if (answer.status === 202) expect(answer.body.jobs.map((item: object) => "job_id" in item)).toEqual([true, false, false]);
          await api.quiet();
          expect([at, seen.ran.length <= 1, api.left()]).toEqual([at, true, CLEAN]);
        },
      };
    });
  });
});

describe("… while it cancels", () => {
  it.each(NAMES)("a parked job with %s: asked again, it never runs, is told of once, and leaves nothing", async (keys) => {
    const kills = await killedEverywhere(() => {
      const { job, seen } = recorder(KEYS[keys]);
      const told: string[] = [];
      let id = "";
      return {
        jobs: [job],
        onCancel: (cancelled) => told.push(cancelled),
        async prepare(api) {
          id = (await api.call("POST", "/jobs", { ...ONE, delay: 600 })).body.job_id;
        },
        request: () => ["POST", `/jobs/${id}/cancel`],
        async check(api, at) {
          expect([at, (await api.call("POST", `/jobs/${id}/cancel`)).body]).toEqual([at, { job_id: id, state: "cancelled" }]);
          await api.quiet();
          expect([at, seen.ran, told, api.left()]).toEqual([at, [], [id], CLEAN]);
        },
      };
    });
    expect(kills).toBeGreaterThanOrEqual(8);
  });

  it.each(NAMES)("a parked job with %s: not asked again, it runs or is cancelled, and leaves nothing", async (keys) => {
    await killedEverywhere(() => {
      const { job, seen } = recorder(KEYS[keys]);
      let id = "";
      return {
        jobs: [job],
        async prepare(api) {
          id = (await api.call("POST", "/jobs", { ...ONE, delay: 600 })).body.job_id;
        },
        request: () => ["POST", `/jobs/${id}/cancel`],
        async check(api, at, answer) {
          await api.quiet();
          expect([at, api.left()]).toEqual([at, CLEAN]);
          if (answer.status === 202) expect([at, seen.ran]).toEqual([at, []]);
        },
      };
    });
  });
});

describe("… while it lets a buried job run again", () => {
  it.each(NAMES.flatMap((keys) => ["one", "all"].map((which) => ({ keys, which }))))("with $keys, asked for $which", async ({ keys, which }) => {
    const kills = await killedEverywhere(() => {
      const { job, seen } = recorder(KEYS[keys]);
      let id = "";
      return {
        jobs: [job],
        async prepare(api) {
          seen.fails = true;
          id = (await api.call("POST", "/jobs", ONE)).body.job_id;
          await api.quiet();
          expect(api.left()).toEqual(CLEAN);
          seen.fails = false;
          seen.ran.length = 0;
        },
        request: () => ["POST", which === "all" ? "/buried/retry" : `/buried/${id}/retry`, {}],
        async check(api, at) {
          await api.quiet();
          const again = await api.call("POST", `/buried/${id}/retry`);
          expect([at, [202, 404]]).toEqual([at, expect.arrayContaining([again.status])]);
          await api.quiet();
          expect([at, seen.ran.length >= 1, Object.keys(api.state.buried), api.left()]).toEqual([at, true, [], CLEAN]);
        },
      };
    });
    expect(kills).toBeGreaterThanOrEqual(4);
  });
});

describe("… while it purges", () => {
  it.each(NAMES)("messages and parked jobs with %s: asked again, nothing runs and nothing is left", async (keys) => {
    const kills = await killedEverywhere(() => {
      const { job, seen } = recorder(KEYS[keys]);
      return {
        jobs: [job],
        async prepare(api) {
          const { broker, store } = api;
          await broker.admin.ensure("acme-default");
          for (const who of ["a", "b", "c", "d"]) {
            const { job_id } = (await api.call("POST", "/jobs", { ...ONE, args: { who } })).body;
            const parked = await store.parked.get({ partition: "acme", id: job_id });
            if (parked === undefined) throw new Error("not parked");
            if (who > "b") continue;
            // The pump was here.
            await broker.publisher.publish({ brokerQueue: "acme-default", partition: "acme", id: job_id, body: parked.body });
            await store.parked.remove(parked, parked.rev);
          }
        },
        request: () => ["POST", "/queues/default/purge"],
        async check(api, at) {
          for (let more = true; more; ) more = (await api.call("POST", "/queues/default/purge")).body.more;
          await api.quiet();
          expect([at, seen.ran, api.left()]).toEqual([at, [], CLEAN]);
          expect([at, (await api.call("POST", "/jobs", ONE)).status]).toEqual([at, 202]);
        },
      };
    });
    expect(kills).toBeGreaterThanOrEqual(8);
  });
});
