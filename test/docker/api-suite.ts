import { expect, it, vi } from "vitest";
import type { Ask } from "./api-request.ts";

const SOON = { timeout: 60_000, interval: 500 };
/** The first request to a Lambda starts it. */
const TEST_MS = 120_000;

/** What the API must do wherever it is deployed, of a partition that nobody else has and nothing runs. */
export function apiSuite(partition: string, ask: Ask): void {
  const at = `/partitions/${partition}`;

  // n.b. not by GET /health: some emulators answer that themselves, whichever API it was meant for.
  it(
    "describes itself, also where no route leads",
    async () => {
      expect(await ask("GET", "/openapi.json")).toMatchObject({ status: 200, body: { openapi: expect.stringMatching(/^3\.1/) } });
      expect(await ask("GET", "/nowhere")).toMatchObject({ status: 404, body: { code: "not_found" } });
      expect(await ask("GET", "/tasks")).toMatchObject({ status: 200, body: { tasks: [] } });
    },
    TEST_MS,
  );

  it(
    "takes a partition through its life",
    async () => {
      expect(await ask("POST", `${at}/start`, { queues: { default: 2 } })).toMatchObject({ status: 200, body: { status: "running", revision: 1 } });
      const reconfigured = await ask("POST", `${at}/reconfigure`, { queues: { default: 2, mail: 5 } });
      expect(reconfigured).toMatchObject({ status: 200, body: { revision: 2, queues: [{ queue: "default" }, { queue: "mail", max_workers: 5 }] } });
      expect(await ask("POST", `${at}/queues/mail/pause`)).toMatchObject({ status: 200 });
      expect((await ask("GET", at)).body).toMatchObject({ queues: [{ paused: false }, { queue: "mail", paused: true }] });
      expect(await ask("POST", `${at}/queues/mail/resume`)).toMatchObject({ status: 200 });
      expect((await ask("GET", at)).body).toMatchObject({ queues: [{ paused: false }, { queue: "mail", paused: false }] });

      const accepted = await ask("POST", `${at}/jobs`, { name: "sleep", args: { seconds: 0 } });
      expect(accepted).toMatchObject({ status: 202, body: { job_id: expect.any(String) } });
      const { job_id } = accepted.body as { readonly job_id: string };
      expect(await ask("GET", `${at}/jobs?state=parked`)).toMatchObject({ status: 200, body: { jobs: [{ job_id }] } });

      // Nothing runs it, so nothing has to drain.
      expect(await ask("POST", `${at}/safe-stop`)).toMatchObject({ status: 200, body: { status: "stopped" } });
      expect(await ask("POST", `${at}/start`, { queues: { default: 2 } })).toMatchObject({ status: 200, body: { status: "running" } });
      expect(await ask("POST", `${at}/stop`)).toMatchObject({ status: 200, body: { status: "stopped" } });
    },
    TEST_MS,
  );

  it(
    "refuses what the rules refuse, in problems",
    async () => {
      const problem = (status: number, body: object) => ({ status, type: expect.stringContaining("application/problem+json"), body });
      expect(await ask("POST", `${at}/queues/nowhere/pause`)).toMatchObject(problem(404, { code: "unknown_queue" }));
      expect(await ask("POST", `${at}/safe-stop`)).toMatchObject(problem(409, { code: "not_running" }));
      expect(await ask("POST", `${at}/start`, { queues: { default: -1 } })).toMatchObject(problem(400, { field: "queues.default" }));
    },
    TEST_MS,
  );

  it(
    "deletes a partition by way of RabbitMQ, with the job that waits",
    async () => {
      await vi.waitFor(async () => expect(await ask("DELETE", `${at}?force=true`)).toMatchObject({ body: { status: "deleted" } }), SOON);
      expect(await ask("GET", at)).toMatchObject({ status: 404 });
    },
    TEST_MS,
  );
}
