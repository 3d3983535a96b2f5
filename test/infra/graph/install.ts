import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { print } from "../../../local/printer.ts";
import { runChild } from "./child.ts";
import { PLATFORM, ROOT } from "./platform.ts";

/** Beside what it speaks of: whoever removes the platform removes it, too. */
const STAMP = join(PLATFORM, "roger.stamp");

/**
 * `sst install`, unless it has been done for this very config and this SST: unpacks SST's components from its npm
 * package and installs Pulumi's AWS provider from the npm registry. About a minute, once; nothing else is asked for,
 * neither AWS nor credentials.
 * @throws Error with what the CLI said
 */
export async function installSst(): Promise<void> {
  const wanted = await fingerprint();
  const installed = await readFile(STAMP, "utf8").catch(() => "");
  if (installed === wanted) return;
  await mkdir(join(ROOT, ".roger"), { recursive: true });
  print("installing SST's components and providers (about a minute, once)");
  await runChild(process.execPath, [join(ROOT, "node_modules/sst/bin/sst.mjs"), "install"], {
    env: {
      // The engine and bun would come from elsewhere, and neither is needed.
      SST_SKIP_DEPENDENCY_CHECK: "1",
      SST_NO_BUN: "1",
      SST_TELEMETRY_DISABLED: "1",
      SST_STAGE: "test",
      XDG_CONFIG_HOME: join(ROOT, ".roger/sst-home"),
      // Its log would stay there for good.
      TMPDIR: join(ROOT, ".roger"),
    },
  });
  await writeFile(STAMP, wanted);
}

async function fingerprint(): Promise<string> {
  const files = ["sst.config.ts", "node_modules/sst/package.json"];
  const hash = createHash("sha256");
  for (const file of files) hash.update(await readFile(join(ROOT, file)));
  return hash.digest("hex");
}
