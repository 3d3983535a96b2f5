import { BaseSequencer, type TestSpecification } from "vitest/node";

/** What takes longest, mostly in waiting: begun last, it would run alone in the end. */
const SLOW = [
  "faults/dynamodb-gone",
  "faults/chaos",
  "faults/dynamodb-silent",
  "faults/long-jobs",
  "faults/tasks",
  "integration/tour",
  "integration/worker",
  "integration/readme",
  "contract/client-outages",
  "contract/lambda-events",
  "contract/store-dynalite",
  "contract/store-faults",
  "contract/client-crash",
  "contract/broker-twin",
];

/** Vitest's own order goes by the durations of earlier runs, which CI does not have. */
export class SlowestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = SLOW.findIndex((name) => moduleId.endsWith(`test/${name}.test.ts`));
      return at === -1 ? SLOW.length : at;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}
