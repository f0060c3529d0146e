import { hexText } from "../../bay/entry.ts";
import { keyedHash, utf8 } from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import type { Platform } from "../platform.ts";
import type { AccountSession } from "../session.ts";
import type { Accounts } from "./accounts.ts";
import type { Attendant } from "./attendances.ts";

/** Milliseconds after a session's last request in which the next one finds it. */
export const SESSION_KEPT_MS = 60_000;
/** Milliseconds after which a password, an app password or a token is judged anew, and the directory asked. */
export const JUDGE_AGAIN_MS: number = 5 * 60_000;

/** The credential of a request. */
export type RequestCredential =
  | { readonly kind: "password"; readonly name: string; readonly password: string }
  | { readonly kind: "token"; readonly token: string };

/** A session for the length of a request. */
export interface RequestSession extends Disposable {
  readonly session: AccountSession;
  /** For what goes on when the request is over, and holds no keys: see `Accounts.attend`. */
  attend(attendant: Attendant): () => void;
}

export interface RequestSessionsOptions {
  readonly accounts: Accounts;
  /** `Accounts.login`, or that of a directory. */
  readonly login: (name: string, password: string, clientAddress: string) => Promise<AccountSession>;
  /** `Accounts.loginByToken`. */
  readonly loginByToken: (token: string, clientAddress: string) => Promise<AccountSession>;
  readonly platform: Platform;
  /** Told of each session that is closed, once. */
  readonly onClose?: (session: AccountSession) => void;
}

interface Kept {
  readonly session: Promise<AccountSession>;
  readonly judgedAt: number;
  uses: number;
  usedAt: number;
  isClosed: boolean;
}

/**
 * Sign-in for protocols whose every request brings its credentials. The session of the last request is found again by a
 * keyed hash of them, so that neither the slow function nor a directory is asked each time; whether the way in is still
 * good is asked each time. Invariant: a request is answered only by a session that was seen to be good after it arrived.
 */
export class RequestSessions {
  readonly #options: RequestSessionsOptions;
  readonly #hashKey: Uint8Array;
  readonly #kept = new Map<string, Kept>();
  #isSweeping = false;

  constructor(options: RequestSessionsOptions) {
    this.#options = options;
    this.#hashKey = options.platform.crypto.random(32);
  }

  /** How many sessions are kept. */
  get size(): number {
    return this.#kept.size;
  }

  /** `arrivedAt` is on the monotonic clock. Errors: those of the login. */
  async enter(credential: RequestCredential, clientAddress: string, arrivedAt: number): Promise<RequestSession> {
    const key = this.#keyOf(credential);
    const known = this.#kept.get(key);
    if (known && this.#now - known.judgedAt <= JUDGE_AGAIN_MS) {
      try {
        return await this.#use(known, arrivedAt);
      } catch (error) {
        this.#drop(key, known);
        // The same password may open another slot by now, or the account of other keys.
        if (!(error instanceof EngineError) || error.code === "unavailable") throw error;
      }
    } else if (known) this.#drop(key, known);
    const kept = this.#kept.get(key) ?? this.#begin(key, credential, clientAddress);
    try {
      return await this.#use(kept, arrivedAt);
    } catch (error) {
      this.#drop(key, kept);
      throw error;
    }
  }

  /** Ends all of them. */
  dispose(): void {
    for (const [key, kept] of this.#kept) this.#drop(key, kept);
  }

  get #now(): number {
    return this.#options.platform.monotonic();
  }

  #keyOf(credential: RequestCredential): string {
    const parts = credential.kind === "token" ? [credential.token] : [credential.name, credential.password];
    return hexText(keyedHash(this.#hashKey, utf8(JSON.stringify([credential.kind, ...parts]))));
  }

  #begin(key: string, credential: RequestCredential, clientAddress: string): Kept {
    const { login, loginByToken } = this.#options;
    const session =
      credential.kind === "token"
        ? loginByToken(credential.token, clientAddress)
        : login(credential.name, credential.password, clientAddress);
    const kept: Kept = { session, judgedAt: this.#now, uses: 0, usedAt: this.#now, isClosed: false };
    this.#kept.set(key, kept);
    this.#sweepLater();
    return kept;
  }

  async #use(kept: Kept, arrivedAt: number): Promise<RequestSession> {
    kept.uses++;
    const release = (): void => {
      kept.uses--;
      kept.usedAt = this.#now;
    };
    try {
      const session = await kept.session;
      await session.refresh(arrivedAt);
      // The refresh may have seen an end of the session.
      session.ended.throwIfAborted();
      let isHeld = true;
      return {
        session,
        attend: (attendant) => this.#options.accounts.attend(session, attendant),
        [Symbol.dispose]: () => {
          if (isHeld) release();
          isHeld = false;
        },
      };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Lets go of a session: no request finds it, and it is closed when none uses it. */
  #drop(key: string, kept: Kept): void {
    if (this.#kept.get(key) === kept) this.#kept.delete(key);
    kept.session.then(
      (session) => this.#closeUnused(session, kept),
      () => undefined,
    );
  }

  #closeUnused(session: AccountSession, kept: Kept): void {
    if (kept.isClosed) return;
    if (kept.uses > 0) {
      void this.#options.platform.delay(SESSION_KEPT_MS).then(() => this.#closeUnused(session, kept));
      return;
    }
    kept.isClosed = true;
    session.close(this.#now - kept.usedAt);
    this.#options.onClose?.(session);
  }

  #sweepLater(): void {
    if (this.#isSweeping) return;
    this.#isSweeping = true;
    void this.#options.platform.delay(SESSION_KEPT_MS).then(() => {
      this.#isSweeping = false;
      for (const [key, kept] of this.#kept)
        if (kept.uses === 0 && this.#now - kept.usedAt >= SESSION_KEPT_MS) this.#drop(key, kept);
      if (this.#kept.size > 0) this.#sweepLater();
    });
  }
}
