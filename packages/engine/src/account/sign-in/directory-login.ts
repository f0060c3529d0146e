import { parseAppPassword } from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import type { AccountSession } from "../session.ts";
import type { Accounts } from "./accounts.ts";
import { type SignUp, signUpUnseen } from "./sign-up.ts";
import { Throttle } from "./throttle.ts";
import { normalizeAddress, type PasswordDirectory, type Person, type User } from "./users.ts";

/** A refusal takes this long at least, and as long as the directory takes to judge a password: so that it does not tell
 * who is known. */
const REFUSAL_MS = 250;

export interface DirectoryLoginOptions extends Omit<SignUp, "users"> {
  readonly accounts: Accounts;
  readonly users: PasswordDirectory;
}

/**
 * Sign-in where a directory judges passwords. It lets people in; the key slot still is what opens their mail: a password
 * that the directory changed meets a slot that is shut (`locked`). A person who comes for the first time gets keys then. App
 * passwords are ours alone: the directory says who the person is, and is asked for no password.
 */
export class DirectoryLogin {
  readonly #options: DirectoryLoginOptions;
  readonly #throttle: Throttle;
  /** Mail programs open several connections at once: one of them makes the account. */
  readonly #beginning = new Map<string, Promise<void>>();
  #refusalMs = REFUSAL_MS;

  constructor(options: DirectoryLoginOptions) {
    this.#options = options;
    this.#throttle = new Throttle(options.platform);
  }

  /** Errors: `not-permitted`; `locked`; `unavailable` when the directory does not answer; `invalid` for a first password
   * that won't do. */
  async login(name: string, password: string, clientAddress: string): Promise<AccountSession> {
    const { accounts, users } = this.#options;
    if (parseAppPassword(password)) return accounts.login(name, password, clientAddress);
    const person = await users.findPerson(name);
    // A directory takes a name in many spellings, which must not be counted one by one.
    const who = person?.address ?? normalizeAddress(name);
    if (!(await this.#judge(who, person, password, clientAddress)))
      throw new EngineError("not-permitted", "wrong user name or password");
    const user = await this.#userOf(person!, password);
    try {
      return await accounts.loginAs(user, password, clientAddress);
    } catch (error) {
      if (!(error instanceof EngineError && error.code === "not-permitted")) throw error;
      throw new EngineError(
        "locked",
        "Your mail is locked with your former password: `restante account recover` opens it with that or the recovery code",
        { cause: error },
      );
    }
  }

  async #judge(who: string, person: Person | undefined, password: string, clientAddress: string): Promise<boolean> {
    const { platform, users } = this.#options;
    using guess = this.#throttle.begin(who, clientAddress, password);
    await guess.turn();
    const begun = platform.monotonic();
    const right = person !== undefined && (await users.isPassword(person, password));
    const took = platform.monotonic() - begun;
    if (person) this.#refusalMs = Math.max(REFUSAL_MS, (this.#refusalMs * 3 + took) / 4);
    if (right) guess.succeeded();
    else {
      guess.failed();
      await platform.delay(Math.max(0, this.#refusalMs - took));
    }
    return right;
  }

  async #userOf(person: Person, password: string): Promise<User> {
    const { address, record } = person;
    if (record) return { address, record };
    await this.#begin(address, password);
    const user = await this.#options.users.find(address);
    // One of several directories that follow each other.
    if (!user) throw new EngineError("unavailable", "the directory does not show your keys yet, try again");
    return user;
  }

  async #begin(address: string, password: string): Promise<void> {
    const running = this.#beginning.get(address) ?? this.#make(address, password);
    this.#beginning.set(address, running);
    try {
      await running;
    } finally {
      if (this.#beginning.get(address) === running) this.#beginning.delete(address);
    }
  }

  async #make(address: string, password: string): Promise<void> {
    try {
      await signUpUnseen(this.#options, address, password);
    } catch (error) {
      // Another process was first: its keys are the ones that the directory shows.
      if (!(error instanceof EngineError && error.code === "already-exists")) throw error;
    }
  }
}
