import { beforeAll, describe, expect, it } from "vitest";
import { LIMITS } from "../../core/contract/limits.ts";
import { StoreUnavailable } from "../../store/errors.ts";
import { apiWorld, freshPartition } from "../api-world.ts";

const world = apiWorld();
const p = freshPartition();

beforeAll(async () => {
  await world.call("POST", `/partitions/${p}/start`, { queues: { default: 1 } });
});

interface Case {
  readonly what: string;
  readonly method?: string;
  readonly path: string;
  readonly body?: unknown;
  readonly status: number;
  readonly code: string;
  readonly field?: string;
}

const start = `/partitions/${p}/start`;
const jobs = `/partitions/${p}/jobs`;
const buried = `/partitions/${p}/buried`;
const refused = { status: 400, code: "invalid_request" } as const;
const job = (change: object) => ({ name: "greet", args: { who: "you" }, ...change });
const deep = `{"name":"greet","args":${"[".repeat(20_000)}${"]".repeat(20_000)}}`;
const many = Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`q${i}`, 1]));

const CASES: readonly Case[] = [
  { what: "no JSON", path: start, body: "{queues:", status: 400, code: "invalid_json", field: "body" },
  { what: "no UTF-8", path: start, body: Uint8Array.of(0x7b, 0xff, 0xfe, 0x7d), status: 400, code: "invalid_json", field: "body" },
  { what: "a form", path: start, body: "queues[default]=10", status: 400, code: "invalid_json", field: "body" },
  { what: "a null byte", path: start, body: "\u0000", status: 400, code: "invalid_json", field: "body" },
  { what: "a list", path: start, body: [], status: 400, code: "invalid_request", field: "body" },
  { what: "null", path: start, body: "null", status: 400, code: "invalid_request", field: "body" },
  { what: "a string", path: start, body: '"queues"', status: 400, code: "invalid_request", field: "body" },
  { what: "a start of nobody without a list", path: "/partitions/nobody/start", status: 400, code: "invalid_request", field: "queues" },
  { what: "a new list without one", path: `/partitions/${p}/reconfigure`, body: {}, status: 400, code: "invalid_request", field: "queues" },
  { what: "queues and pools", path: start, body: { queues: {}, pools: {} }, status: 400, code: "invalid_request", field: "pools" },
  { what: "an unknown field", path: start, body: { queue: { default: 1 } }, status: 400, code: "invalid_request", field: "queue" },
  { what: "an unknown field beside a missing one", path: jobs, body: { nam: "greet" }, status: 400, code: "invalid_request", field: "nam" },
  { what: "a list of queues", path: start, body: { queues: ["default"] }, status: 400, code: "invalid_request", field: "queues" },
  { what: "a number as text", path: start, body: { queues: { default: "10" } }, status: 400, code: "invalid_request", field: "queues.default" },
  { what: "a negative number", path: start, body: { queues: { default: -1 } }, status: 400, code: "invalid_request", field: "queues.default" },
  { what: "a fraction", path: start, body: { queues: { default: 1.5 } }, status: 400, code: "invalid_request", field: "queues.default" },
  { what: "a huge number", path: start, body: { queues: { default: 1e9 } }, status: 400, code: "invalid_request", field: "queues.default" },
  { what: "an overflowing number", path: start, body: '{"queues":{"default":1e999}}', status: 400, code: "invalid_request", field: "queues.default" },
  { what: "a queue with a hyphen", path: start, body: { queues: { "a-b": 1 } }, status: 400, code: "invalid_request", field: "queues.a-b" },
  { what: "a queue in Unicode", path: start, body: { queues: { ünicode: 1 } }, status: 400, code: "invalid_request", field: "queues.ünicode" },
  { what: "an empty queue name", path: start, body: { queues: { "": 1 } }, status: 400, code: "invalid_request", field: "queues." },
  { what: "a bad pool", path: start, body: { pools: { Big: { default: 1 } } }, status: 400, code: "invalid_request", field: "pools.Big" },
  {
    what: "a bad number in a pool",
    path: start,
    body: { pools: { big: { default: null } } },
    status: 400,
    code: "invalid_request",
    field: "pools.big.default",
  },
  { what: "__proto__", path: start, body: '{"queues":{"__proto__":1}}', status: 400, code: "invalid_request", field: "queues.__proto__" },
  { what: "too many queues", path: start, body: { queues: many }, status: 400, code: "invalid_request", field: "queues" },
  { what: "1 MB", path: start, body: JSON.stringify({ queues: { x: "y".repeat(1_000_000) } }), status: 413, code: "body_too_large", field: "body" },
  { what: "a body where none belongs", path: `/partitions/${p}/safe-stop`, body: { wait: 5 }, status: 400, code: "invalid_request", field: "wait" },
  { what: "a bad partition", path: "/partitions/-acme/start", body: { queues: {} }, status: 400, code: "invalid_request", field: "partition" },
  { what: "a slash in a partition", path: "/partitions/a%2Fb/start", body: { queues: {} }, status: 400, code: "invalid_request", field: "partition" },
  { what: "a null byte in a partition", path: "/partitions/a%00b/stop", status: 400, code: "invalid_request", field: "partition" },
  { what: "a broken escape in a partition", path: "/partitions/%zz/stop", status: 400, code: "invalid_request", field: "partition" },
  { what: "Unicode in a partition", path: "/partitions/%F0%9F%92%A9/stop", status: 400, code: "invalid_request", field: "partition" },
  { what: "a long partition", path: `/partitions/${"a".repeat(65)}/stop`, status: 400, code: "invalid_request", field: "partition" },
  { what: "a bad queue in the path", path: `/partitions/${p}/queues/A-B/pause`, status: 400, code: "invalid_request", field: "queue" },
  { what: "a bad job id", method: "GET", path: `${jobs}/%20`, status: 400, code: "invalid_request", field: "job" },
  { what: "a wait too long", path: `/partitions/${p}/stop?wait=26`, status: 400, code: "invalid_request", field: "wait" },
  { what: "a wait that is no number", path: `/partitions/${p}/stop?wait=1e1`, status: 400, code: "invalid_request", field: "wait" },
  { what: "a wait twice", path: `/partitions/${p}/stop?wait=1&wait=2`, status: 400, code: "invalid_request", field: "wait" },
  { what: "an unknown query parameter", path: `/partitions/${p}/stop?Wait=1`, status: 400, code: "invalid_request", field: "Wait" },
  { what: "a bad status", method: "GET", path: "/partitions?status=deleted", status: 400, code: "invalid_request", field: "status" },
  { what: "a bad limit", method: "GET", path: "/partitions?limit=0", status: 400, code: "invalid_request", field: "limit" },
  { what: "a bad cursor", method: "GET", path: "/partitions?cursor=nonsense", status: 400, code: "invalid_request", field: "cursor" },
  { what: "no state", method: "GET", path: jobs, status: 400, code: "invalid_request", field: "state" },
  { what: "a bad state", method: "GET", path: `${jobs}?state=queued`, status: 400, code: "invalid_request", field: "state" },
  { what: "a bad force", method: "DELETE", path: `/partitions/${p}?force=yes`, status: 400, code: "invalid_request", field: "force" },
  { what: "no name", path: jobs, body: { args: {} }, status: 400, code: "invalid_request", field: "name" },
  { what: "a bad name", path: jobs, body: job({ name: "a b" }), status: 400, code: "invalid_request", field: "name" },
  { what: "an unknown name", path: jobs, body: job({ name: "gret" }), status: 400, code: "unknown_job", field: "name" },
  { what: "bad args", path: jobs, body: job({ args: { who: 5 } }), status: 400, code: "invalid_request", field: "args.who" },
  { what: "args that a schema fails on", path: jobs, body: { name: "link", args: { to: "x" } }, ...refused, field: "args" },
  { what: "args that are a list", path: jobs, body: job({ args: [] }), status: 400, code: "invalid_request", field: "args" },
  { what: "an empty id", path: jobs, body: job({ id: "" }), status: 400, code: "invalid_request", field: "id" },
  { what: "an id with a slash", path: jobs, body: job({ id: "a/b" }), status: 400, code: "invalid_request", field: "id" },
  { what: "a long id", path: jobs, body: job({ id: "a".repeat(129) }), status: 400, code: "invalid_request", field: "id" },
  { what: "an id that is a number", path: jobs, body: job({ id: 5 }), status: 400, code: "invalid_request", field: "id" },
  { what: "no id", path: jobs, body: job({ id: null }), status: 400, code: "invalid_request", field: "id" },
  { what: "an id beside a queue key", path: jobs, body: { name: "invoice", args: { invoice: "1" }, id: "mine" }, ...refused, field: "id" },
  { what: "a queue key too long", path: jobs, body: { name: "invoice", args: { invoice: "x".repeat(512) } }, ...refused, field: "args" },
  { what: "an empty execution key", path: jobs, body: { name: "exclusive", args: { key: "" } }, ...refused, field: "args" },
  { what: "a body for cancel", path: `${jobs}/x/cancel`, body: { why: 1 }, ...refused, field: "why" },
  { what: "a bad job to cancel", path: `${jobs}/-/cancel`, ...refused, field: "job" },
  { what: "a cancel without a partition", path: "/partitions/nobody/jobs/x/cancel", status: 404, code: "unknown_partition" },
  { what: "an explanation without a partition", method: "GET", path: "/partitions/nobody/jobs/x/explain", status: 404, code: "unknown_partition" },
  { what: "a bad job to explain", method: "GET", path: `${jobs}/%00/explain`, ...refused, field: "job" },
  { what: "an explanation that is posted", path: `${jobs}/x/explain`, status: 405, code: "method_not_allowed" },
  { what: "a job that is not buried", method: "GET", path: `${buried}/x`, status: 404, code: "not_buried" },
  { what: "a retry of what is not buried", path: `${buried}/x/retry`, status: 404, code: "not_buried" },
  { what: "a body for a retry", path: `${buried}/x/retry`, body: { name: "greet" }, ...refused, field: "name" },
  { what: "a bad name to retry", path: `${buried}/retry`, body: { name: "a b" }, ...refused, field: "name" },
  { what: "a bad field of a retry", path: `${buried}/retry`, body: { names: [] }, ...refused, field: "names" },
  { what: "a bad cursor of a retry", path: `${buried}/retry`, body: { cursor: "nonsense" }, ...refused, field: "cursor" },
  { what: "a deletion of what is not buried", method: "DELETE", path: `${buried}/x`, status: 404, code: "not_buried" },
  { what: "a bad job to delete", method: "DELETE", path: `${buried}/a%20b`, ...refused, field: "job" },
  { what: "buried jobs without a job", method: "GET", path: buried, status: 404, code: "not_found" },
  { what: "a negative delay", path: jobs, body: job({ delay: -1 }), status: 400, code: "invalid_request", field: "delay" },
  { what: "an endless delay", path: jobs, body: job({ delay: 1e12 }), status: 400, code: "invalid_request", field: "delay" },
  {
    what: "a time without an offset",
    path: jobs,
    body: job({ run_at: "2030-01-01T00:00:00" }),
    status: 400,
    code: "invalid_request",
    field: "run_at",
  },
  { what: "the 30th of February", path: jobs, body: job({ run_at: "2030-02-30T00:00:00Z" }), status: 400, code: "invalid_request", field: "run_at" },
  { what: "a time too far", path: jobs, body: job({ run_at: "9999-01-01T00:00:00Z" }), status: 400, code: "invalid_request", field: "run_at" },
  { what: "two times", path: jobs, body: job({ delay: 1, run_at: "2030-01-01T00:00:00Z" }), status: 400, code: "invalid_request", field: "run_at" },
  {
    what: "an overflowing number in args",
    path: jobs,
    body: '{"name":"greet","args":{"n":[1,-1e999]}}',
    status: 400,
    code: "invalid_request",
    field: "args.n.1",
  },
  { what: "args too large", path: jobs, body: job({ args: { who: "x".repeat(300_000) } }), status: 400, code: "invalid_request", field: "args" },
  { what: "5 MB", path: jobs, body: job({ args: { who: "x".repeat(5_000_000) } }), status: 413, code: "body_too_large", field: "body" },
  { what: "deep nesting", path: jobs, body: deep, status: 400, code: "invalid_request" },
  { what: "no jobs", path: jobs, body: { jobs: [] }, status: 400, code: "invalid_request", field: "jobs" },
  { what: "101 jobs", path: jobs, body: { jobs: Array(101).fill(job({})) }, status: 400, code: "invalid_request", field: "jobs" },
  { what: "jobs and a name", path: jobs, body: { jobs: [job({})], name: "greet" }, status: 400, code: "invalid_request", field: "name" },
  { what: "jobs that are no list", path: jobs, body: { jobs: {} }, status: 400, code: "invalid_request", field: "jobs" },
  { what: "an unknown partition", path: "/partitions/nobody/jobs", body: job({}), status: 404, code: "unknown_partition" },
  { what: "an unknown queue", path: jobs, body: { name: "mail", args: { to: "x" } }, status: 404, code: "unknown_queue" },
  { what: "an unknown path", method: "GET", path: "/partition", status: 404, code: "not_found" },
  { what: "a trailing slash", method: "GET", path: "/partitions/", status: 404, code: "not_found" },
  { what: "a wrong method", method: "PUT", path: start, body: {}, status: 405, code: "method_not_allowed" },
];

describe("bad input", () => {
  it.each(CASES)("$what is refused", async ({ method = "POST", path, body, status, code, field }) => {
    const answer = await world.call(method, path, body);
    expect(answer.body).toMatchObject({
      status,
      code,
      title: expect.any(String),
      detail: expect.any(String),
      ...(field === undefined ? {} : { field }),
    });
    expect(answer.status).toBe(status);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(answer.text).not.toContain("node_modules");
    expect(answer.text.length).toBeLessThan(2_000);
  });

  it("changed nothing", async () => {
    expect((await world.call("GET", `/partitions/${p}`)).body).toMatchObject({ status: "running", revision: 1 });
    expect((await world.call("GET", `${jobs}?state=parked`)).body.jobs).toEqual([]);
    expect(world.log.lines).toEqual([]);
  });

  it("a lying content-length does not get a large body in", async () => {
    const { composeApp } = await import("../../functions/app.ts");
    const body = JSON.stringify({ queues: {}, x: "y".repeat(1_000_000) });
    const answer = await composeApp(world.deps).request(start, { method: "POST", body, headers: { "content-length": "10" } });
    expect(answer.status).toBe(413);
  });

  it.each([
    ["/partitions", "GET, HEAD"],
    [`/partitions/${p}`, "GET, HEAD, DELETE"],
    [jobs, "GET, HEAD, POST"],
    ["/tasks", "GET, HEAD"],
  ])("a wrong method on %s tells the right ones", async (path, allow) => {
    const answer = await world.call("PATCH", path);
    expect([answer.status, answer.headers.get("allow")]).toEqual([405, allow]);
  });
});

describe("failures of ours", () => {
  it("a store that is away is 503, to be tried again", async () => {
    const partitions = { ...world.store.partitions, get: () => Promise.reject(new StoreUnavailable("DynamoDB gives no answer")) };
    const answer = await world.call("GET", `/partitions/${p}`, undefined, { store: { ...world.store, partitions } });
    expect(answer.body).toMatchObject({ status: 503, code: "store_unavailable", request_id: expect.any(String) });
    expect(answer.headers.get("retry-after")).toBe("2");
  });

  it("a bug is 500 that tells the caller nothing, and the log everything", async () => {
    const partitions = { ...world.store.partitions, get: () => Promise.reject(new TypeError("secret of the house")) };
    const answer = await world.call("GET", `/partitions/${p}`, undefined, { store: { ...world.store, partitions } });
    expect(answer.body).toMatchObject({ status: 500, code: "internal", request_id: expect.any(String) });
    expect(answer.text).not.toContain("secret");
    const line = world.log.lines.find(({ fields }) => fields.request_id === answer.body.request_id);
    expect(line?.fields.error).toMatchObject({ message: "secret of the house", stack: expect.any(String) });
  });
});

it.each([
  [start, { queues: { "a-b": 1 } }, "queues.a-b: does not fit: lower-case letters, digits and _, the first a letter; at most 32"],
  [start, { queues: { default: 1.5 } }, "queues.default: must be a whole number"],
  [start, { queues: { default: 99_999_999 } }, `queues.default: must be at most ${LIMITS.maxWorkers}`],
  [start, { queues: { default: -1 } }, "queues.default: must be at least 0"],
  [start, { queues: [] }, "queues: must be an object"],
  [start, "null", "body: must be an object"],
  [`/partitions/${p}/stop?wait=60`, undefined, "wait: must be at most 25"],
  [jobs, {}, "name: is missing"],
  [jobs, job({ id: 5 }), "id: must be a text"],
  [jobs, job({ run_at: "tomorrow" }), "run_at: must be a time with its offset, such as 2030-01-31T09:00:00Z"],
  [jobs, { jobs: [] }, "jobs: must have at least 1 item"],
  [jobs, { jobs: "x" }, "jobs: must be a list"],
  [jobs, job({ args: { who: 1 } }), "args.who: Invalid input: expected string, received number"],
])("POST %s with %j is refused in plain words", async (path, body, detail) => {
  expect((await world.call("POST", path, body)).body).toMatchObject({ detail });
});
