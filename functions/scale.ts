import { functionsEnvironment } from "../client/environment.ts";
import type { Deps } from "./deps.ts";
import { lambdaDeps } from "./lambda.ts";

let opened: Deps | undefined;

/**
 * The scaling pass as a Lambda: invoked by the clock every minute, and by ECS when a task changes its state.
 * Only the clock's passes may shrink a pool. A failed pass is logged; the next minute tries again.
 */
export async function handler(event: { readonly "detail-type"?: string }): Promise<void> {
  opened ??= lambdaDeps(functionsEnvironment());
  if (opened.scaler === undefined) {
    opened.log.error("nothing to scale: ROGER_CLUSTER and ROGER_SERVICES are not set");
    return;
  }
  if (event["detail-type"] === "ECS Task State Change") await opened.scaler.request();
  else await opened.scaler.tick();
}
