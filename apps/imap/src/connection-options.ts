import type { SecureContext } from "node:tls";
import type { AccountSession } from "@restante/engine";
import { HANDSHAKE_MS } from "@restante/host";
import type { Backlog } from "./backlog.ts";
import type { Completion } from "./commands/command.ts";
import { DRAIN_MS, IDLE_TIMEOUT_MS } from "./limits.ts";

/** The server's part in each of its connections. */
export interface ConnectionOptions {
  readonly signIn: (user: string, password: string, address: string) => Promise<AccountSession>;
  /** Where passwords are taken without TLS: a proxy on this machine makes all who come through it look like loopback. */
  readonly plainLogin: "loopback" | "never";
  /** The certificate now in force; asked for each connection, so that it may be renewed. */
  readonly secureContext: () => SecureContext;
  readonly log: (event: ConnectionEvent) => void;
  /** The trace of this user, if an operator follows it: gets lines without secrets and contents. */
  readonly traceOf?: ((user: string) => Trace | undefined) | undefined;
  /** Octets that wait for slow readers, over all connections of the server. */
  readonly backlog: Backlog;
  readonly times?: Partial<ConnectionTimes>;
  /** Capabilities that are not announced, in capitals: to strangers, and to a user. */
  readonly hiddenFrom?: (user: string | undefined) => ReadonlySet<string>;
  /** LITERAL- in place of LITERAL+: literals that come unasked are short: RFC 7888 §5. */
  readonly literalMinus?: boolean;
  /** Messages that one command may work on: RFC 9738. */
  readonly messageLimit?: number | undefined;
  /** Where JMAP shows the same mail: RFC 9698. */
  readonly jmapUrl?: string | undefined;
}

/** Milliseconds. */
export interface ConnectionTimes {
  /** For a TLS handshake. */
  readonly handshakeMs: number;
  /** Without an octet of a client that has signed in. */
  readonly idleMs: number;
  /** For a client to take what waits for it. */
  readonly drainMs: number;
}

export const TIMES: ConnectionTimes = { handshakeMs: HANDSHAKE_MS, idleMs: IDLE_TIMEOUT_MS, drainMs: DRAIN_MS };

export type ConnectionEvent =
  | { readonly event: "failed"; readonly command: string; readonly error: unknown }
  /** A command was answered; `command` is its name, or "unknown". */
  | {
      readonly event: "command";
      readonly command: string;
      readonly status: Completion["status"];
      readonly ms: number;
      /** The address of the signed-in account. */
      readonly user: string | undefined;
      readonly address: string;
    }
  | {
      readonly event: "closed";
      readonly user: string | undefined;
      readonly address: string;
      readonly ms: number;
      /** How often each was answered, by name. */
      readonly commands: Readonly<Record<string, number>>;
    };

/** A dialogue that somebody follows: lines, redacted. */
export type Trace = (line: string) => void;
