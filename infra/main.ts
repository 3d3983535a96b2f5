import { makeAlarms } from "./alarms.ts";
import { makeApi } from "./api.ts";
import { makeBroker } from "./broker.ts";
import { makeDashboard } from "./dashboard.ts";
import { makeNetwork } from "./network.ts";
import { makePools } from "./pools.ts";
import { makeScaler } from "./scaler.ts";
import type { StageSettings } from "./settings.ts";
import { makeTable } from "./table.ts";

/** Everything that one stage is made of. @returns what `sst deploy` prints at its end */
export function makeStage(settings: StageSettings) {
  const table = makeTable(settings);
  const network = makeNetwork(settings);
  const broker = makeBroker(settings, network);
  const pools = makePools(settings, { network, table, broker });
  const api = makeApi(settings, { network, table, broker, pools });
  const scaler = makeScaler({ table, pools });
  const watched = { table, pools, functions: [...api.functions, scaler], apiId: api.id };
  makeAlarms(settings, watched);
  makeDashboard(watched);
  return { api: api.url, table: table.name, cluster: pools.cluster.name };
}
