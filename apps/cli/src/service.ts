import type { Server } from "node:net";

/** What `restante serve` runs: listeners by the names that it tells them by. */
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
