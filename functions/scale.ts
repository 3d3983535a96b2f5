import { functionsEnvironment } from "../client/environment.ts";
import type { Deps } from "./deps.ts";
import { lambdaDeps } from "./lambda.ts";
import { openLog } from "./log.ts";
import { passMetrics } from "./metrics.ts";

let opened: Deps | undefined;

/**
 * The scaling pass as a Lambda: invoked by the clock every minute, and by ECS when a task changes its state.
 * Only the clock's passes may shrink a pool. A failed pass is logged; the next minute tries again. Each pass is one
 * line of metrics: alarms see by it that passes are made.
 */
export async function handler(event: { readonly "detail-type"?: string }): Promise<void> {
  opened ??= open();
  if (opened.scaler === undefined) {
    opened.log.error("nothing to scale: ROGER_CLUSTER and ROGER_SERVICES are not set");
    return;
  }
  if (event["detail-type"] === "ECS Task State Change") await opened.scaler.request();
  else await opened.scaler.tick();
}

function open(): Deps {
  const environment = functionsEnvironment();
  // Metrics are no chatter: they are written whatever the level is.
  const metrics = openLog("info");
  return lambdaDeps(environment, { onPass: (facts) => metrics.info("scaling pass", passMetrics(environment.table, facts)) });
}
