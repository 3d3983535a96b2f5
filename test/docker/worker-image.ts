import { join } from "node:path";
import { text } from "node:stream/consumers";
import { STOP_TIMEOUT_MS } from "../../core/contract/limits.ts";
import { ROOT } from "../infra/graph/platform.ts";
import { readDockerfile } from "../infra/image/dockerfile.ts";

const DOCKERFILE = "worker/Dockerfile";

/** How a container came to its end. */
export interface Ended {
  readonly code: number;
  readonly log: string;
}

export interface RunningWorker {
  /** Writes where it may not. @returns the exit status */
  tryToWrite(path: string): Promise<number>;
  /** As ECS: SIGTERM, and SIGKILL once `stopTimeout` is over. */
  stop(): Promise<Ended>;
  remove(): Promise<void>;
}

/** The image of worker/Dockerfile, built by Docker. */
export class WorkerImage {
  readonly tag = `roger-worker-test:${process.pid}`;

  static async build(): Promise<WorkerImage> {
    const { GenericContainer } = await import("testcontainers");
    const image = new WorkerImage();
    await GenericContainer.fromDockerfile(ROOT, DOCKERFILE).build(image.tag, { deleteOnExit: true });
    return image;
  }

  async inspect() {
    return await (await docker()).getImage(this.tag).inspect();
  }

  /** What our layers add to the image that they stand on, in bytes. */
  async addedBytes(): Promise<number> {
    const below = readDockerfile(join(ROOT, DOCKERFILE)).at(-1)?.base ?? "";
    const base = await (await docker()).getImage(below).inspect();
    return (await this.inspect()).Size - base.Size;
  }

  /** What all its containers have said, whoever started them. */
  async logs(): Promise<string> {
    const client = await docker();
    const containers = await client.listContainers({ all: true, filters: { ancestor: [this.tag] } });
    const logs = await Promise.all(containers.map(({ Id }) => client.getContainer(Id).logs({ stdout: true, stderr: true })));
    return logs.map(String).join("\n");
  }

  async remove(): Promise<void> {
    await (await docker()).getImage(this.tag).remove({ force: true });
  }

  /**
   * A task, hardened as infra/container.ts says. n.b. on the host's own network: what it is to reach may listen on this
   * machine's loopback alone.
   */
  async run(env: Readonly<Record<string, string>>): Promise<RunningWorker> {
    const container = await (await docker()).createContainer({
      Image: this.tag,
      Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
      HostConfig: { NetworkMode: "host", ReadonlyRootfs: true, Tmpfs: { "/tmp": "" }, CapDrop: ["ALL"], Init: false },
    });
    await container.start();
    const ended = async (): Promise<Ended> => {
      const { StatusCode: code } = (await container.wait()) as { readonly StatusCode: number };
      return { code, log: (await container.logs({ stdout: true, stderr: true })).toString() };
    };
    return {
      tryToWrite: async (path) => {
        const attempt = await container.exec({ Cmd: ["node", "-e", `fs.writeFileSync(${JSON.stringify(path)}, "")`], AttachStdout: true });
        await text(await attempt.start({}));
        return (await attempt.inspect()).ExitCode ?? -1;
      },
      stop: async () => {
        await container.stop({ t: STOP_TIMEOUT_MS / 1000 });
        return await ended();
      },
      remove: () => container.remove({ force: true, v: true }),
    };
  }
}

async function docker() {
  const { getContainerRuntimeClient } = await import("testcontainers");
  return (await getContainerRuntimeClient()).container.dockerode;
}
