import { type World, waitFor } from "./world.ts";

/** Stopped tenants are deleted, and with them all that they had: the tour leaves nothing, in somebody else's RabbitMQ either. */
export async function deletePartitions(world: World): Promise<void> {
  const { api, progress, checks } = world;
  for (const partition of ["acme", "globex"]) {
    await waitFor(world, { what: `${partition} to be deleted`, deadlineMs: 30_000 }, async () => {
      const { status } = await api.delete(partition, { force: true });
      return status === "deleted" ? status : undefined;
    });
  }
  const left = (await api.partitions()).partitions.map(({ id }) => id).filter((id) => id === "acme" || id === "globex");
  checks.that(left.length === 0, "deleted partitions are gone", left);
  progress.line("  deleted acme and globex, with their queues and the buried job");
}
