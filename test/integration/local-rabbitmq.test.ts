import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import amqp from "amqplib";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { freePort } from "../../local/free-port.ts";
import { findInstallation } from "../../local/rabbitmq/find.ts";
import { startPrivateNode } from "../../local/rabbitmq/private-node.ts";
import type { Rabbit } from "../../local/rabbitmq/rabbit.ts";
import { startRabbit } from "../../local/rabbitmq/start.ts";

const START = new URL("../../local/rabbitmq/start.ts", import.meta.url).href;
const SOON = { timeout: 60_000, interval: 100 };

describe("a private node", () => {
  let dataDir: string;
  let rabbit: Rabbit;

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "roger-test-"));
    rabbit = await startRabbit({ dataDir });
  });

  afterAll(async () => {
    await rabbit.stop();
    await rm(dataDir, { recursive: true });
  });

  it("says what it is", () => {
    expect(rabbit.how).toMatch(/^private node of RabbitMQ \d+\.\d+\.\d+/);
  });

  it("keeps its queues when it is restarted while it runs", { timeout: 120_000 }, async () => {
    await withChannel(rabbit.url, async (channel) => {
      await channel.assertQueue("acme-default", { durable: true, arguments: { "x-queue-type": "quorum" } });
    });
    await rabbit.restart();
    await withChannel(rabbit.url, async (channel) => {
      await channel.checkQueue("acme-default");
    });
  });

  it("keeps confirmed jobs through SIGKILL and comes back at the same port", { timeout: 120_000 }, async () => {
    await withChannel(rabbit.url, async (channel) => {
      channel.sendToQueue("acme-default", Buffer.from("a job"), { persistent: true });
      await channel.waitForConfirms();
    });

    await rabbit.kill();
    await rabbit.kill();
    await expect(amqp.connect(rabbit.url)).rejects.toThrow(/ECONNREFUSED/);
    await rabbit.restart();

    await withChannel(rabbit.url, async (channel) => {
      const message = await channel.get("acme-default", { noAck: true });
      expect(message === false ? "nothing" : message.content.toString()).toBe("a job");
    });
  });

  it.each(["amqp", "distribution"])("takes other ports when somebody else has taken the one for %s since", { timeout: 120_000 }, async (which) => {
    const installed = await findInstallation();
    if (installed === undefined) throw new Error("no RabbitMQ is installed");
    const stranger = createServer().listen(0, "127.0.0.1");
    await once(stranger, "listening");
    const { port: taken } = stranger.address() as AddressInfo;
    const first = which === "amqp" ? [taken, await freePort(), await freePort()] : [await freePort(), await freePort(), taken];
    const other = await startPrivateNode(installed, {}, async () => first.shift() ?? freePort());
    expect(new URL(other.url).port).not.toBe(String(taken));
    await other.stop();
    stranger.close();
  });

  it("leaves a given directory in place, and may be stopped twice", async () => {
    await rabbit.stop();
    await rabbit.stop();
    await expect(amqp.connect(rabbit.url)).rejects.toThrow(/ECONNREFUSED/);
    expect(await readdir(dataDir)).toContain("data");
    await expect(rabbit.restart()).rejects.toThrow("stopped for good");
  });
});

describe("a private node whose parent is killed", () => {
  it("ends, and takes its directory with it", { timeout: 180_000 }, async () => {
    const temporary = await mkdtemp(join(tmpdir(), "roger-test-"));
    const code = `const { startRabbit } = await import(${JSON.stringify(START)}); const r = await startRabbit(); process.stdout.write(r.url + "\\n");`;
    const parent = spawn(process.execPath, ["--input-type=module", "-e", code], {
      env: { ...process.env, TMPDIR: temporary },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [url] = (await once(createInterface({ input: parent.stdout }), "line")) as [string];
    expect(await readdir(temporary)).toHaveLength(1);

    parent.kill("SIGKILL");

    // The directory goes last, after the node and its port mapper.
    await vi.waitFor(async () => expect(await readdir(temporary)).toEqual([]), SOON);
    await expect(amqp.connect(url)).rejects.toThrow(/ECONNREFUSED/);
    await rm(temporary, { recursive: true });
  });
});

describe("a broker that runs already", () => {
  it("is used as it is, and never stopped by us", async () => {
    const rabbit = await startRabbit({ amqpUrl: "amqp://guest:guest@broker.example:5672" });
    expect(rabbit.how).toBe("the broker at broker.example:5672");
    await rabbit.stop();
    await expect(rabbit.kill()).rejects.toThrow("isn't ours to kill");
    await expect(rabbit.restart()).rejects.toThrow("isn't ours to restart");
  });
});

async function withChannel(url: string, work: (channel: amqp.ConfirmChannel) => Promise<void>): Promise<void> {
  const connection = await amqp.connect(url);
  try {
    await work(await connection.createConfirmChannel());
  } finally {
    await connection.close();
  }
}
