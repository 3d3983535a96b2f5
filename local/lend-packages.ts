import { registerHooks } from "node:module";

/**
 * Jobs outside of this repository (`npm start -- --jobs /elsewhere/jobs.ts`) may import what every job needs without a
 * package.json of their own: where a package is not installed beside them, it is this repository's. Imported by the process
 * that reads the jobs, and preloaded (`--import`) by the workers, whose threads do the same.
 *
 * Roger itself is lent as the sources that run here: `package.json` names what `npm pack` builds of them, which need not be there.
 */
const ROGER: Readonly<Record<string, string>> = {
  "roger-serverless": new URL("../client/index.ts", import.meta.url).href,
  "roger-serverless/testing": new URL("../testing/index.ts", import.meta.url).href,
  "roger-serverless/worker": new URL("../worker/run-worker.ts", import.meta.url).href,
};
const LENT = /^zod(\/|$)/;
const HERE = new URL("..", import.meta.url).href;

registerHooks({
  resolve(specifier, context, nextResolve) {
    const source = ROGER[specifier];
    if (source !== undefined && context.parentURL?.startsWith(HERE)) return nextResolve(source, context);
    try {
      return nextResolve(specifier, context);
    } catch (error) {
      if (source !== undefined) return nextResolve(source, context);
      if (!LENT.test(specifier) || context.parentURL === import.meta.url) throw error;
      return nextResolve(specifier, { ...context, parentURL: import.meta.url });
    }
  },
});
