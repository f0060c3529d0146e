import type { Server } from "node:net";

/** A service that `restante serve` runs: its listeners, by the names in the log. */
export interface Service {
  readonly listeners: readonly {
    readonly name: string;
    /** Where its addresses come from, if not `name.listen`. */
    readonly setting?: string;
    readonly server: Server;
    readonly addresses: readonly string[];
  }[];
  stop(): Promise<void>;
}
