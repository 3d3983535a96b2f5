import { registerHooks } from "node:module";

/**
 * Jobs outside of this repository (`npm start -- --jobs /elsewhere/jobs.ts`) may import what every job needs without a
 * package.json of their own: where a package is not installed beside them, it is this repository's. Imported by the process
 * that reads the jobs, and preloaded (`--import`) by the workers, whose threads do the same.
 */
const LENT = /^(roger-serverless|zod)(\/|$)/;

registerHooks({
  resolve(specifier, context, nextResolve) {
    try {
      return nextResolve(specifier, context);
    } catch (error) {
      if (!LENT.test(specifier) || context.parentURL === import.meta.url) throw error;
      return nextResolve(specifier, { ...context, parentURL: import.meta.url });
    }
  },
});
