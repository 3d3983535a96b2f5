import { InvalidInput } from "../core/contract/errors.ts";
import type { Service } from "../core/contract/service.ts";
import { checkArgs } from "../core/job/define-job.ts";
import type { Registry } from "../core/job/registry.ts";
import type { Threads } from "../worker/perform.ts";

/** Runs jobs that ask for a thread where the test runs: their handlers may use what the test has set up. They can't be killed. */
export function inlineThreads(registry: Registry): Threads & Service {
  return {
    start: async () => undefined,
    stop: async () => undefined,
    perform: async (run, name, args, _, onStarted) => {
      const definition = registry.get(name);
      if (definition === undefined) throw new Error(`there is no job "${name}"`);
      const checked = await checkArgs(definition, args);
      if (!checked.ok) throw new InvalidInput("args", checked.problem);
      onStarted();
      return definition.perform(checked.value, run);
    },
  };
}
