/**
 * What belongs to a partition besides its row and its RabbitMQ queues. `waiting`: what may become a message again, that
 * is queue keys (a job may be inside) and parked jobs. `rest`: buried jobs, locks and their waiters, cancel markers,
 * counts of suspects.
 */
export type Belonging = "waiting" | "rest";

/** For the end of a partition, once nothing of it is held any more. */
export interface Belongings {
  /**
   * Removes some items, at most `limit`, as they are found: of a partition that is being deleted nobody needs a `rev`.
   * @returns whether there were any: ask again until there are none
   */
  removeSome(partition: string, what: Belonging, limit: number): Promise<boolean>;
}
