import { asStoreFailure } from "../../bay/store-failure.ts";
import { type AccountFacts, makeAccountFacts, type Ring } from "../../crypto/index.ts";
import type { ReadState } from "../../mail/state/read-state.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import type { Platform } from "../platform.ts";
import { isLimited, limitsOf, type QuotaLimits } from "../quota.ts";
import { accountOf } from "../sign-in/users.ts";
import { FACTS_NAME } from "./facts-reader.ts";
import type { Vacation } from "./vacation.ts";

/** How often delivering processes are told how full an account is. */
export const FACTS_WRITE_MS = 60_000;
const MEBIBYTE: number = 2 ** 20;

export interface FactsOptions {
  readonly store: ObjectStore;
  readonly prefix: string;
  readonly platform: Platform;
  readonly ring: Ring;
  readonly state: () => ReadState;
  readonly vacation: () => Promise<Vacation>;
}

/** Tells delivering processes what they may know of an open account. Where there is no quota they need not know how full it is. */
export class Facts {
  readonly #options: FactsOptions;
  /** The facts that were written last, without their time. */
  #written = "";
  #isWaiting = false;
  #ended = false;

  constructor(options: FactsOptions) {
    this.#options = options;
  }

  /** Durable when it resolves. Errors: `unavailable`. */
  async write(vacation: Vacation): Promise<void> {
    const { store, prefix, platform, ring } = this.#options;
    const facts = { madeMs: platform.now(), ...this.#usage(), away: awayOf(vacation) };
    await asStoreFailure(store.put(prefix + FACTS_NAME, makeAccountFacts(ring, facts), { essential: true }));
    this.#written = textOf(facts);
  }

  /** Something changed: it is told after a while, if it makes a difference. */
  noteChange(): void {
    const { platform } = this.#options;
    if (!isLimited(this.#limits) || this.#isWaiting || this.#ended) return;
    this.#isWaiting = true;
    void platform.delay(FACTS_WRITE_MS).then(async () => {
      this.#isWaiting = false;
      if (this.#ended) return;
      try {
        const vacation = await this.#options.vacation();
        if (this.#written !== textOf({ ...this.#usage(), away: awayOf(vacation) })) await this.write(vacation);
      } catch (error) {
        platform.log({ level: "warn", event: "how full an account is can't be told", error });
      }
    });
  }

  get #limits(): QuotaLimits {
    const { platform, prefix } = this.#options;
    return limitsOf(platform, accountOf(prefix));
  }

  end(): void {
    this.#ended = true;
  }

  #usage(): Omit<AccountFacts, "madeMs" | "away"> {
    const { state } = this.#options;
    const limits = this.#limits;
    const { bytesMax, messagesMax } = limits;
    if (!isLimited(limits)) return { mebibytes: 0, messages: 0, mebibytesMax: undefined, messagesMax: undefined };
    const { bytes, count } = state().heldEmails;
    return {
      mebibytes: Math.ceil(bytes / MEBIBYTE),
      messages: count,
      mebibytesMax: bytesMax === undefined ? undefined : Math.ceil(bytesMax / MEBIBYTE),
      messagesMax,
    };
  }
}

function awayOf({ isEnabled, fromMs, untilMs }: Vacation): AccountFacts["away"] {
  return isEnabled ? { fromMs, untilMs } : undefined;
}

function textOf({ mebibytes, messages, mebibytesMax, messagesMax, away }: Omit<AccountFacts, "madeMs">): string {
  return JSON.stringify([
    mebibytes,
    messages,
    mebibytesMax,
    messagesMax,
    away?.fromMs,
    away?.untilMs,
    away !== undefined,
  ]);
}
