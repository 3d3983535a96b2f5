import { DUE_INDEX, TABLE } from "../core/contract/table.ts";
import type { StageSettings } from "./settings.ts";

/** The one table, as core/contract/table.ts says. On demand, with point-in-time recovery. */
export function makeTable({ protect }: StageSettings) {
  const { hash, range } = TABLE.key;
  const due = TABLE.indexes[DUE_INDEX];
  const table = new sst.aws.Dynamo("State", {
    fields: TABLE.fields,
    primaryIndex: { hashKey: hash, rangeKey: range },
    globalIndexes: { [DUE_INDEX]: { hashKey: due.hash, rangeKey: due.range, projection: due.projection } },
    ttl: TABLE.ttl,
    deletionProtection: protect,
  });
  return { name: table.name, arn: table.arn, dueIndexArn: $interpolate`${table.arn}/index/${DUE_INDEX}` };
}

export type Table = ReturnType<typeof makeTable>;
