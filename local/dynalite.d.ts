/** dynalite ships no types: what local/dynamodb.ts uses of it. */
declare module "dynalite" {
  import type { Server } from "node:http";

  export default function dynalite(options: {
    /** Kept in LevelDB there; in memory when it is missing. */
    readonly path?: string;
    /** How long a table stays CREATING, UPDATING, DELETING, in ms. */
    readonly createTableMs: number;
    readonly updateTableMs: number;
    readonly deleteTableMs: number;
  }): Server;
}
