import { STOP_TIMEOUT_MS } from "../core/contract/limits.ts";

/** A container of a task definition, as ECS takes it: only what is named here is looked at. */
type Container = Readonly<Record<string, unknown>>;

export const HEALTH_PORT = 8080;
/** The worker's own health, asked from inside: 200 while its lease is good. The image has no curl. */
export const HEALTH_COMMAND = [
  "CMD",
  "node",
  "-e",
  `fetch("http://127.0.0.1:${HEALTH_PORT}/health").then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))`,
];

/** The one place that a container can write to. */
export const TMP_VOLUME = "tmp";

/**
 * What SST has no words for: the time to drain in, no port that is open, a root that can't be written to, no
 * capability, and lines in the log as they were written (a terminal would break and colour them).
 * @param json `containerDefinitions` of one container, or several
 */
export function hardened(json: string): string {
  const containers = JSON.parse(json) as Container[];
  return JSON.stringify(
    containers.map((container) => ({
      ...container,
      stopTimeout: STOP_TIMEOUT_MS / 1000,
      pseudoTerminal: false,
      portMappings: [],
      readonlyRootFilesystem: true,
      linuxParameters: { initProcessEnabled: true, capabilities: { drop: ["ALL"] } },
      mountPoints: [{ sourceVolume: TMP_VOLUME, containerPath: "/tmp" }],
    })),
  );
}
