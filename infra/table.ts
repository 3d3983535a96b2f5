import { DUE_INDEX, TABLE } from "../core/contract/table.ts";
import type { Stage } from "./host.ts";

/** The one table, as core/contract/table.ts says. On demand, with point-in-time recovery. */
export function makeTable({ protect, host }: Stage) {
  const { hash, range } = TABLE.key;
  const due = TABLE.indexes[DUE_INDEX];
  const table = new sst.aws.Dynamo(host.name("State"), {
    fields: TABLE.fields,
    primaryIndex: { hashKey: hash, rangeKey: range },
    globalIndexes: { [DUE_INDEX]: { hashKey: due.hash, rangeKey: due.range, projection: due.projection } },
    ttl: TABLE.ttl,
    deletionProtection: protect,
  });
  return { name: table.name, arn: table.arn, dueIndexArn: $interpolate`${table.arn}/index/${DUE_INDEX}` };
}

export type Table = ReturnType<typeof makeTable>;
