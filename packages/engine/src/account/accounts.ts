import { type Prefetched, prefetchLog } from "../bay/log-objects.ts";
import { asStoreFailure } from "../bay/store-failure.ts";
import { CryptoError, equalBytes, keyedHash, openSlot, parseCode, type Ring, utf8 } from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import { Account, type AccountPlace } from "./account.ts";
import { AccountSession } from "./session.ts";
import { Throttle } from "./throttle.ts";
import { accountPrefix, normalizeAddress, type User, type UserDirectory } from "./users.ts";

/** Keys are wiped this long after an account's last session. */
export const KEEP_OPEN_MS: number = 10 * 60_000;
/** What an unknown user's sign-in takes before any real one was measured. */
const TYPICAL_KDF_MS = 250;

export interface AccountsOptions extends AccountPlace {
  readonly users: UserDirectory;
  readonly pepper: Uint8Array | undefined;
}

interface Open {
  readonly account: Promise<Account>;
  /** Slot by slot, the keyed hash of a secret that opened it: the next sign-in needs no slow function. */
  readonly accepted: Map<string, Uint8Array>;
  sessions: number;
  closing: number;
}

/**
 * Signs users in and keeps their accounts open while they are used. Opening a key slot that the account's log lists is
 * the authentication; the store alone can't do it, nor can it bring an old slot back.
 */
export class Accounts {
  readonly #options: AccountsOptions;
  readonly #open = new Map<string, Open>();
  readonly #throttle: Throttle;
  readonly #cacheKey: Uint8Array;
  #kdfMs = TYPICAL_KDF_MS;
  #generation = 0;

  constructor(options: AccountsOptions) {
    this.#options = options;
    this.#throttle = new Throttle(options.platform.monotonic);
    this.#cacheKey = options.platform.crypto.random(32);
  }

  /**
   * A session for the owner of `name` (an address, or its part before the @ where that is unique). Errors:
   * `not-permitted` for an unknown user and a wrong password alike, `unavailable` when too many wait.
   */
  async login(name: string, password: string, clientAddress: string): Promise<AccountSession> {
    const { platform } = this.#options;
    const user = await this.#findUser(name);
    const who = user?.address ?? normalizeAddress(name);
    const delay = this.#throttle.delay(who, clientAddress);
    if (delay > 0) await platform.delay(delay);
    const opened = user ? await this.#authenticate(user, password) : await this.#pretend();
    if (!opened) {
      this.#throttle.failed(who, clientAddress);
      throw new EngineError("not-permitted", "wrong user name or password");
    }
    this.#throttle.succeeded(who, clientAddress);
    return this.#session(user!, opened);
  }

  /** Closes everything: the server stops. */
  async dispose(): Promise<void> {
    const open = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(open.map(async ({ account }) => (await account).dispose()));
  }

  async #findUser(name: string): Promise<User | undefined> {
    const normalized = normalizeAddress(name);
    const { users } = this.#options;
    return normalized.includes("@") ? users.find(normalized) : users.findLocal(normalized);
  }

  /** An unknown user waits as a known one does, and nothing is computed. */
  async #pretend(): Promise<undefined> {
    await this.#options.platform.delay(this.#kdfMs);
    return undefined;
  }

  async #authenticate(user: User, password: string): Promise<Open | undefined> {
    const prefix = accountPrefix(user.record);
    const known = this.#open.get(prefix);
    const digest = keyedHash(this.#cacheKey, user.record.account, utf8(password));
    if (known) {
      // The list of slots as it is now: another process may have changed the password.
      const account = await known.account;
      await account.refresh();
      const { slots } = account.mail.state;
      for (const [slot, accepted] of known.accepted)
        if (slots.names.includes(slot) && equalBytes(accepted, digest)) return known;
    }
    // What an opening asks for first needs no key. A failure of it is told by the opening, which asks again.
    const prefetched = known ? undefined : prefetchLog({ store: this.#options.store, prefix }).catch(() => undefined);
    const found = await this.#openAnySlot(prefix, password);
    if (!found) return undefined;
    return this.#adopt(prefix, found.ring, found.slot, digest, await prefetched);
  }

  /** Tries the slots that exist, newest password first. */
  async #openAnySlot(
    prefix: string,
    password: string,
  ): Promise<{ readonly ring: Ring; readonly slot: string } | undefined> {
    const { store, platform, pepper } = this.#options;
    const { objects } = await asStoreFailure(store.list(`${prefix}slot/`));
    const code = parseCode(password);
    for (const { name } of [...objects].reverse()) {
      const slot = name.slice(prefix.length);
      const secret = slot.startsWith("slot/password-")
        ? ({ kind: "password", secret: utf8(password), ...(pepper ? { pepper } : {}) } as const)
        : slot.startsWith("slot/app-") && code
          ? ({ kind: "app", secret: code } as const)
          : undefined;
      if (!secret) continue;
      const got = await asStoreFailure(store.get(name));
      if (!got.found) continue;
      const begun = platform.monotonic();
      const ring = await openSlot(platform.crypto, slot, got.bytes, secret).catch(busyIsUnavailable);
      if (secret.kind === "password") this.#kdfMs = (this.#kdfMs * 3 + (platform.monotonic() - begun)) / 4;
      if (ring) return { ring, slot };
    }
    return undefined;
  }

  /** Opens the account with the ring, or joins the one that is open. A slot that opens but is not listed is refused. */
  async #adopt(
    prefix: string,
    ring: Ring,
    slot: string,
    digest: Uint8Array,
    prefetched: Prefetched | undefined,
  ): Promise<Open | undefined> {
    let open = this.#open.get(prefix);
    if (open) ring[Symbol.dispose]();
    else {
      open = { account: Account.open(this.#options, ring, prefetched), accepted: new Map(), sessions: 0, closing: 0 };
      this.#open.set(prefix, open);
    }
    try {
      const account = await open.account;
      await account.refresh();
      if (!account.mail.state.slots.names.includes(slot)) return undefined;
      open.accepted.set(slot, digest);
      return open;
    } catch (error) {
      if (open.sessions === 0) this.#open.delete(prefix);
      throw error;
    } finally {
      this.#closeLater(prefix, open);
    }
  }

  async #session(user: User, open: Open): Promise<AccountSession> {
    open.sessions++;
    open.closing = ++this.#generation;
    const prefix = accountPrefix(user.record);
    return new AccountSession(user.address, await open.account, () => {
      open.sessions--;
      this.#closeLater(prefix, open);
    });
  }

  /** Closes the account if nobody has used it for {@link KEEP_OPEN_MS}. */
  #closeLater(prefix: string, open: Open): void {
    if (open.sessions > 0) return;
    const mark = ++this.#generation;
    open.closing = mark;
    void this.#options.platform.delay(KEEP_OPEN_MS).then(async () => {
      if (open.closing !== mark || open.sessions > 0 || this.#open.get(prefix) !== open) return;
      this.#open.delete(prefix);
      const account = await open.account;
      await account.dispose();
    });
  }
}

function busyIsUnavailable(error: unknown): never {
  if (error instanceof CryptoError && error.code === "busy")
    throw new EngineError("unavailable", "too many are signing in, try again", { cause: error });
  throw error;
}
