import { hexText } from "../../bay/entry.ts";
import { type Prefetched, prefetchLog } from "../../bay/log-objects.ts";
import {
  type Argon2Lane,
  copyRing,
  equalBytes,
  keyedHash,
  parseAppPassword,
  parseToken,
  type Ring,
  type SlotSecret,
  type Token,
  type TokenTerms,
  utf8,
} from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import { Account, type AccountPlace, type OpenFrom, SlotUnlisted } from "../account.ts";
import { appSlotName } from "../keys/app-passwords.ts";
import { rehash } from "../keys/passwords.ts";
import { NewKeys } from "../keys/sealer.ts";
import { isStillListed, type OpenedSlot, openSlots, passwordSecret, trySlot, unlessNewKeys } from "../keys/slots.ts";
import { tokenSlotName } from "../keys/tokens.ts";
import { AccountSession } from "../session.ts";
import { Attendances, type Attendant } from "./attendances.ts";
import { settleRecord } from "./settle-record.ts";
import { Throttle } from "./throttle.ts";
import { accountPrefix, normalizeAddress, type User, type UserDirectory } from "./users.ts";

/** Keys are wiped this long after an account's last session. */
export const KEEP_OPEN_MS: number = 10 * 60_000;

export interface AccountsOptions extends AccountPlace {
  readonly users: UserDirectory;
  readonly pepper: Uint8Array | undefined;
}

interface Open {
  readonly prefix: string;
  readonly account: Promise<Account>;
  /** Slot by slot, what opened it: the next sign-in needs no slow function. */
  readonly accepted: Map<string, Accepted>;
  /** Somebody was let in: from then on it lives only while one of their slots does. */
  entered: boolean;
  sessions: number;
  /** When its last use is known to have ended, on the monotonic clock. */
  usedAt: number;
  closing: number;
}

interface Accepted {
  /** The secret's keyed hash. */
  readonly digest: Uint8Array;
  /** Of a token. */
  readonly terms: TokenTerms | undefined;
}

/** A credential to sign in by. */
type Credential =
  | { readonly kind: "password"; readonly text: string }
  | { readonly kind: "token"; readonly text: string; readonly token: Token };

/** A sign-in under way. */
interface Attempt {
  readonly user: User;
  /** The digest by which a sign-in is known once it has succeeded. */
  readonly digest: Uint8Array;
  readonly lane: Argon2Lane;
  readonly prefetched: Promise<Prefetched | undefined> | undefined;
}

/** An account and the slot by which its owner came in. */
interface Entered {
  readonly open: Open;
  readonly slot: string;
  readonly terms: TokenTerms | undefined;
}

type KeySlot = Pick<OpenedSlot, "ring" | "slot" | "terms">;

/**
 * Signs users in and keeps their accounts open while they are used. Opening a key slot that the account's log lists is
 * the authentication; the store alone can't do it, nor can it bring an old slot back.
 */
export class Accounts {
  readonly #options: AccountsOptions;
  readonly #open = new Map<string, Open>();
  readonly #attendances: Attendances;
  readonly #throttle: Throttle;
  readonly #cacheKey: Uint8Array;
  #generation = 0;

  constructor(options: AccountsOptions) {
    this.#options = options;
    this.#attendances = new Attendances(options);
    this.#throttle = new Throttle(options.platform);
    this.#cacheKey = options.platform.crypto.random(32);
  }

  /**
   * A session for the owner of `name` (an address, or its part before the @ where that is unique). Errors:
   * `not-permitted` for an unknown user and a wrong password alike, `unavailable` when too many wait.
   */
  async login(name: string, password: string, clientAddress: string): Promise<AccountSession> {
    const user = await this.#findUser(name);
    const credential = { kind: "password", text: password } as const;
    return this.#enter(user, user?.address ?? normalizeAddress(name), credential, clientAddress);
  }

  /** The same for a user who was looked up before. */
  loginAs(user: User, password: string, clientAddress: string): Promise<AccountSession> {
    return this.#enter(user, user.address, { kind: "password", text: password }, clientAddress);
  }

  /** A session for whoever has the token. Errors: `not-permitted`, also for one that was ended or has expired. */
  async loginByToken(text: string, clientAddress: string): Promise<AccountSession> {
    const token = parseToken(text);
    if (!token) throw new EngineError("not-permitted", "that is no token");
    const address = normalizeAddress(token.address);
    const user = await this.#options.users.find(address);
    return this.#enter(user, address, { kind: "token", text, token }, clientAddress);
  }

  /** Tells `attendant` what becomes of the session's account, as long as its owner may use it, until the returned function
   * is called. That holds no keys: once they are wiped, what came is known by its names alone. */
  attend(session: AccountSession, attendant: Attendant): () => void {
    const prefix = `${session.account}/`;
    const leave = this.#attendances.attend(prefix, session, attendant);
    const open = this.#open.get(prefix);
    if (open) this.#join(open);
    return leave;
  }

  /** How many are open: their keys are in memory. */
  get openCount(): number {
    return this.#open.size;
  }

  /** Deliveries that wait to be taken in, of all that are open, as far as is known. */
  async countWaitingNotes(): Promise<number> {
    // One that is being opened, from a store that is slow perhaps, is not waited for.
    const counts = [...this.#open.values()].map(({ account }) =>
      Promise.race([account, undefined]).then(
        (opened) => opened?.waitingNotes ?? 0,
        () => 0,
      ),
    );
    return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
  }

  /** Closes everything: the server stops. */
  async dispose(): Promise<void> {
    this.#attendances.dispose();
    const open = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(open.map(async ({ account }) => (await account).dispose()));
  }

  async #enter(
    user: User | undefined,
    who: string,
    credential: Credential,
    clientAddress: string,
  ): Promise<AccountSession> {
    using guess = this.#throttle.begin(who, clientAddress, credential.text);
    await guess.turn();
    const lane = guess.isKnown ? "known" : "stranger";
    // For an unknown user all is done that is done for a known one: neither the answer nor its time tells them apart.
    const entered = await this.#authenticate(user ?? this.#nobody(who), credential, lane);
    if (!user || !entered) {
      guess.failed();
      throw new EngineError("not-permitted", "wrong user name or password");
    }
    guess.succeeded();
    return this.#session(user, entered);
  }

  async #findUser(name: string): Promise<User | undefined> {
    const normalized = normalizeAddress(name);
    const { users } = this.#options;
    return normalized.includes("@") ? users.find(normalized) : users.findLocal(normalized);
  }

  /** A user whose account does not exist. */
  #nobody(address: string): User {
    const account = keyedHash(this.#cacheKey, utf8(address)).subarray(0, 16);
    return { address, record: { account, keyVersion: 1, kemPublicKey: new Uint8Array(0), proof: undefined } };
  }

  async #authenticate(user: User, credential: Credential, lane: Argon2Lane): Promise<Entered | undefined> {
    const prefix = accountPrefix(user.record);
    // A token is no password, wherever it is given as one.
    const digest = keyedHash(this.#cacheKey, user.record.account, utf8(`${credential.kind} ${credential.text}`));
    const open = await this.#refreshed(prefix);
    if (open) {
      const { slots } = (await open.account).mail.state;
      for (const [slot, accepted] of open.accepted)
        if (isStillListed(slot, slots.names) && equalBytes(accepted.digest, digest))
          return this.#hasExpired(accepted.terms) ? undefined : { open, slot, terms: accepted.terms };
    }
    const place = { store: this.#options.store, prefix };
    // The first requests of an opening need no key. Their failure is told by the opening, which asks again.
    const prefetched = this.#open.has(prefix) ? undefined : prefetchLog(place).catch(() => undefined);
    const attempt = { user, digest, lane, prefetched };
    if (credential.kind === "token") {
      const { id, secret } = credential.token;
      return this.#tryOneSlot(attempt, tokenSlotName(hexText(id)), { kind: "token", secret });
    }
    const app = parseAppPassword(credential.text);
    if (!app) return this.#tryPasswordSlots(attempt, passwordSecret(this.#options.pepper, credential.text));
    return this.#tryOneSlot(attempt, appSlotName(app.id), { kind: "app", secret: app.code });
  }

  #hasExpired(terms: TokenTerms | undefined): boolean {
    return terms !== undefined && terms.expiresMs <= this.#options.platform.now();
  }

  /** The account if it is open, with the list of slots as it is now: another process may have changed it. One that can't
   * read on, since its owner made new keys, is let go of. */
  async #refreshed(prefix: string): Promise<Open | undefined> {
    const open = this.#open.get(prefix);
    if (!open) return undefined;
    try {
      await (await open.account).refresh();
    } catch (error) {
      unlessNewKeys(error);
      this.#letGo(open);
    }
    return this.#open.get(prefix);
  }

  async #tryPasswordSlots(attempt: Attempt, secret: SlotSecret): Promise<Entered | undefined> {
    for await (const opened of openSlots(this.#options, accountPrefix(attempt.user.record), secret, attempt.lane)) {
      const entered = await this.#adopt(attempt, opened, opened.isWeak ? secret : undefined);
      if (entered) return entered;
    }
    return undefined;
  }

  async #tryOneSlot(attempt: Attempt, slot: string, secret: SlotSecret): Promise<Entered | undefined> {
    const tried = await trySlot(this.#options, accountPrefix(attempt.user.record), slot, secret);
    if (typeof tried !== "object") return undefined;
    if (!this.#hasExpired(tried.terms)) return this.#adopt(attempt, tried);
    tried.ring[Symbol.dispose]();
    return undefined;
  }

  /** Opens the account with the ring, or joins the one that is open. A slot that opens but is not listed is refused: one
   * that a crash left, or that was made anew meanwhile. `weak` is the secret of a slot that is to be made stronger. */
  async #adopt(attempt: Attempt, { ring, slot, terms }: KeySlot, weak?: SlotSecret): Promise<Entered | undefined> {
    const { user, digest } = attempt;
    const prefetched = await attempt.prefetched;
    const prefix = accountPrefix(user.record);
    using copy = copyRing(ring);
    let open = this.#open.get(prefix);
    const joins = open !== undefined;
    if (open) ring[Symbol.dispose]();
    else open = this.#start(prefix, ring, { slot, prefetched });
    try {
      const account = await open.account;
      await account.refresh();
      // Its owner made new keys meanwhile, and those who had the old ones let go of it.
      if (this.#open.get(prefix) !== open)
        return await this.#adopt(attempt, { ring: copyRing(copy), slot, terms }, weak);
      if (!account.mail.state.slots.names.includes(slot)) return undefined;
      open.accepted.set(slot, { digest, terms });
      open.entered = true;
      await this.#settle(user, copy, account, weak && { slot, secret: weak });
      return { open, slot, terms };
    } catch (error) {
      if (error instanceof SlotUnlisted) {
        this.#forget(open);
        // The slot was somebody else's.
        return joins ? await this.#adopt(attempt, { ring: copyRing(copy), slot, terms }, weak) : undefined;
      }
      if (open.sessions === 0 || error instanceof NewKeys) this.#letGo(open);
      return unlessNewKeys(error);
    } finally {
      this.#closeLater(open);
    }
  }

  #start(prefix: string, ring: Ring, from: OpenFrom): Open {
    const account = Account.open(this.#options, ring, from);
    const open: Open = {
      prefix,
      account,
      accepted: new Map(),
      entered: false,
      sessions: 0,
      usedAt: Number.NEGATIVE_INFINITY,
      closing: 0,
    };
    this.#open.set(prefix, open);
    account.then(
      (opened) => {
        opened.onApplied(() => this.#dropRevoked(open, opened));
        this.#join(open);
      },
      () => this.#forget(open),
    );
    return open;
  }

  /** Lets attendants hear of the account by the account itself, while that is open. */
  #join(open: Open): void {
    open.account.then(
      (account) => {
        if (this.#open.get(open.prefix) === open) this.#attendances.opened(open.prefix, account);
      },
      () => undefined,
    );
  }

  /** Ends what was accepted by slots that are listed no more; an account that nobody may use any more is let go of. */
  #dropRevoked(open: Open, { mail }: Account): void {
    const { names } = mail.state.slots;
    for (const slot of open.accepted.keys()) if (!isStillListed(slot, names)) open.accepted.delete(slot);
    if (open.accepted.size === 0 && open.entered) this.#letGo(open);
  }

  /** Puts things right by the way of a sign-in. A failure costs nothing but the next try. */
  async #settle(
    user: User,
    ring: Ring,
    account: Account,
    weak: { readonly slot: string; readonly secret: SlotSecret } | undefined,
  ): Promise<void> {
    const { store, platform } = this.#options;
    // An account that can't be written to can't take a notice for its owner either.
    if (account.barred) return;
    try {
      await settleRecord(this.#options, user, ring, account);
      if (weak)
        await rehash({ store, platform }, { prefix: account.prefix, ring, mail: account.mail }, weak.slot, weak.secret);
    } catch (error) {
      platform.log({ level: "warn", event: "keys can't be put right", error });
    }
  }

  async #session(user: User, { open, slot, terms }: Entered): Promise<AccountSession> {
    open.sessions++;
    open.closing = ++this.#generation;
    return new AccountSession({ address: user.address, slot, terms }, await open.account, (idleMs) => {
      open.sessions--;
      this.#closeLater(open, idleMs);
    });
  }

  /** Closes the account when nobody has used it for {@link KEEP_OPEN_MS}, of which so many milliseconds have passed. */
  #closeLater(open: Open, idleMs = 0): void {
    const { platform } = this.#options;
    const now = platform.monotonic();
    open.usedAt = Math.max(open.usedAt, now - idleMs);
    if (open.sessions > 0) return;
    const mark = ++this.#generation;
    open.closing = mark;
    void platform.delay(Math.max(0, open.usedAt + KEEP_OPEN_MS - now)).then(() => {
      if (open.closing === mark && open.sessions === 0) this.#letGo(open);
    });
  }

  /** Forgets an open account. False if it was forgotten before. */
  #forget(open: Open): boolean {
    if (this.#open.get(open.prefix) !== open) return false;
    this.#attendances.closed(open.prefix);
    return this.#open.delete(open.prefix);
  }

  #letGo(open: Open): void {
    if (!this.#forget(open)) return;
    open.account
      .then((account) => account.dispose())
      .catch((error: unknown) => this.#options.platform.log({ level: "warn", event: "account closed badly", error }));
  }
}
