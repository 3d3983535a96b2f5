import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { runChild } from "../infra/graph/child.ts";
import { STAGES } from "../infra/graph/graph.ts";
import { installSst } from "../infra/graph/install.ts";

/** Makes the graph of every stage that tests look at, once, side by side. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  await installSst();
  const directory = await mkdtemp(join(tmpdir(), "roger-graphs-"));
  const remove = () => rm(directory, { recursive: true });
  try {
    const synth = join(import.meta.dirname, "../infra/graph/synth.ts");
    await Promise.all(
      Object.entries(STAGES).map(([stage, spec]) => runChild(process.execPath, [synth, join(directory, stage), stage, JSON.stringify(spec)])),
    );
  } catch (error) {
    await remove();
    throw error;
  }
  project.provide("graphs", directory);
  return remove;
}
