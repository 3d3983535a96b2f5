import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { appendFile } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { defineJob } from "../core/job/define-job.ts";

/** Reads a file, computes its SHA-256, and writes `<digest>  <path>` as one line to `out`. */
export const hashFile = defineJob({
  name: "hash-file",
  args: z.object({
    path: z.string().meta({ examples: ["package.json"] }),
    /** The file that the result is appended to; without it the digest is only logged. */
    out: z.string().optional(),
  }),
  retry: { levels: [1, 5, 30] },
  async perform({ path, out }, ctx) {
    const hash = createHash("sha256");
    await pipeline(createReadStream(path), hash, { signal: ctx.signal });
    const line = `${hash.digest("hex")}  ${path}\n`;
    if (out === undefined) ctx.log.info("hashed", { line });
    // One write of a short line to a file opened for appending is not torn by other tasks that do the same.
    else await appendFile(out, line);
  },
});
