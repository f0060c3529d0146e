import { type AccountFacts, CryptoError, type RecipientRecord, readAccountFacts } from "../../crypto/index.ts";
import { type ObjectStore, StoreError } from "../../storage/object-store.ts";
import type { Platform } from "../platform.ts";
import { accountOf, accountPrefix } from "../sign-in/users.ts";

/** Where the facts of an account lie: `crypto/account-facts.ts`. */
export const FACTS_NAME = "public/record";
/** Milliseconds after which a delivering process asks again. */
export const FACTS_MS = 60_000;

/** The facts of one account, as a delivering process reads them. */
export class FactsReader {
  readonly #store: ObjectStore;
  readonly #platform: Platform;
  readonly #record: RecipientRecord;
  #readAt = Number.NEGATIVE_INFINITY;
  #facts: Promise<AccountFacts | undefined> = Promise.resolve(undefined);

  constructor(
    { store, platform }: { readonly store: ObjectStore; readonly platform: Platform },
    record: RecipientRecord,
  ) {
    this.#store = store;
    this.#platform = platform;
    this.#record = record;
  }

  /** As they were within {@link FACTS_MS}. Undefined where its owner says nothing, or that can't be known now: mail is taken
   * all the same. */
  read(): Promise<AccountFacts | undefined> {
    const now = this.#platform.monotonic();
    if (now - this.#readAt >= FACTS_MS) {
      this.#readAt = now;
      this.#facts = this.#read();
    }
    return this.#facts;
  }

  async #read(): Promise<AccountFacts | undefined> {
    try {
      const got = await this.#store.get(accountPrefix(this.#record) + FACTS_NAME);
      return got.found ? readAccountFacts(this.#record, got.bytes) : undefined;
    } catch (error) {
      if (!(error instanceof CryptoError || error instanceof StoreError)) throw error;
      const account = accountOf(accountPrefix(this.#record));
      if (error instanceof CryptoError)
        this.#platform.log({ level: "warn", event: "an account's facts are not its owner's", account, error });
      // A key that only writes may not read them.
      else this.#platform.log({ level: "debug", event: "an account's facts can't be read", error });
      return undefined;
    }
  }
}
