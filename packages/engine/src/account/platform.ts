import type { Witness } from "../bay/applied-log.ts";
import type { CryptoPlatform } from "../crypto/index.ts";
import type { QuietEntries } from "./care/quiet-entries.ts";
import type { MandateStore } from "./mandates/mandate-store.ts";
import type { Outbound } from "./outbound/submit.ts";
import type { QuotaLimits } from "./quota.ts";

/** The world around the engine: handed in, so that it runs anywhere and tests need not wait. */
export interface Platform {
  readonly crypto: CryptoPlatform;
  /** Milliseconds since 1970: shown, never compared. */
  readonly now: () => number;
  /** Milliseconds that only go forward: throttles and time-outs. */
  readonly monotonic: () => number;
  /** Resolves after so many milliseconds, or when `signal` aborts. */
  readonly delay: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Lets the event loop turn once: called in the midst of long work. Absent where nobody else waits. */
  readonly breathe?: () => Promise<void>;
  /** Calls `work` every so many milliseconds, until what it returns is called; absent where nothing is kept up. */
  readonly every?: (ms: number, work: () => void) => () => void;
  /** Keeper of the witnesses of this host, outside the store; absent where nothing is kept. */
  readonly witnesses?: WitnessKeeper;
  /** Public keys of the hosts that are believed: in what they deliver, and when they end an account. */
  readonly trustedHosts: readonly Uint8Array[];
  /** The queue and senders for outgoing mail; absent where none is sent. */
  readonly outbound?: Outbound;
  /** Quota of each account; absent for no limit. */
  readonly quota?: QuotaLimits;
  /** Quota of one account in place of that, by its id in hex; undefined for an account like all. */
  readonly quotaOf?: (account: string) => QuotaLimits | undefined;
  /** Mandates of owners for the server; absent where it has none. */
  readonly mandates?: MandateStore;
  /** Entries of this process that are nobody's news: the same for all who open accounts and all who hear of them; absent
   * where nobody hears of any. */
  readonly quietEntries?: QuietEntries;
  /** Takes an event for the operator: ids, counts and codes, never content. */
  readonly log: (event: LogEvent) => void;
}

/** Keeps a witness an account (by its id in hex), of all processes of a host: lost ones only mean that a rollback goes unseen
 * once. */
export interface WitnessKeeper {
  /** The furthest that any process of the host has seen. */
  read(account: string): Promise<Witness | undefined>;
  /** Called for all that is applied: it survives the process, and a power cut may cost the last ones. */
  write(account: string, witness: Witness): Promise<void>;
  /** Forgets what was further: the owner accepted another history. Durable when it resolves. */
  replace(account: string, witness: Witness): Promise<void>;
  /** True if the account's store was brought back from a backup, so that an older history is no surprise and every
   * UIDVALIDITY has to rise. This host's operator said so, or `restore` does: the store's mark of a restore, which this host
   * did not yet go along with. */
  isRestored(account: string, restore: string | undefined): Promise<boolean>;
  /** The log says so now. Durable when it resolves. */
  clearRestored(account: string, restore: string | undefined): Promise<void>;
}

export interface LogEvent {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly event: string;
  readonly error?: unknown;
  readonly [field: string]: unknown;
}
