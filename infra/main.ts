import { makeAlarms } from "./alarms.ts";
import { makeApi } from "./api.ts";
import { checkBrokerName, makeBroker } from "./broker.ts";
import { makeDashboard } from "./dashboard.ts";
import { type Host, SOURCES } from "./host.ts";
import { makeNetwork } from "./network.ts";
import { makePools } from "./pools.ts";
import { makeScaler } from "./scaler.ts";
import type { StageSettings } from "./settings.ts";
import { makeTable } from "./table.ts";

/** Everything that one stage is made of. @returns what `sst deploy` prints at its end */
export function makeStage(settings: StageSettings) {
  const { api, table, pools } = makeParts(settings, SOURCES);
  return { api: api.url, table: table.name, cluster: pools.cluster.name };
}

export function makeParts(settings: StageSettings, host: Host) {
  checkBrokerName(settings);
  const stage = { ...settings, host };
  const table = makeTable(stage);
  const network = makeNetwork(stage);
  const broker = makeBroker(stage, network);
  const pools = makePools(stage, { network, table, broker });
  const api = makeApi(stage, { network, table, broker, pools });
  const scaler = makeScaler(stage, { table, pools });
  const watched = { table, pools, functions: [...api.functions, scaler], apiId: api.id };
  makeAlarms(stage, watched);
  makeDashboard(stage, watched);
  return { api, table, pools };
}
