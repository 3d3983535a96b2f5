/**
 * Whatever runs until it is told to stop.
 *
 * - `start` resolves once the service does its work; a failed start has unwound what it had begun.
 * - `stop` resolves once nothing of it runs any more; it may be called twice, and before `start`.
 */
export interface Service {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts services in order; if one fails, stops those that had started, last first, and throws its error. */
export async function startAll(services: readonly Service[]): Promise<void> {
  const started: Service[] = [];
  try {
    for (const service of services) {
      started.push(service);
      await service.start();
    }
  } catch (error) {
    await stopAll(started);
    throw error;
  }
}

/** Stops services side by side: none waits for another. The errors are thrown together, once all have ended. */
export async function stopTogether(services: readonly Service[]): Promise<void> {
  const results = await Promise.allSettled(services.map((service) => service.stop()));
  throwAll(results.flatMap((result) => (result.status === "rejected" ? [result.reason] : [])));
}

/** Stops services, last first. One that fails to stop does not keep the others running; the errors are thrown together. */
export async function stopAll(services: readonly Service[]): Promise<void> {
  const errors: unknown[] = [];
  for (const service of services.toReversed()) {
    try {
      await service.stop();
    } catch (error) {
      errors.push(error);
    }
  }
  throwAll(errors);
}

function throwAll(errors: readonly unknown[]): void {
  if (errors.length > 0) throw new AggregateError(errors, "not everything could be stopped");
}
