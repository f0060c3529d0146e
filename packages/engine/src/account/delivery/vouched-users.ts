import { fingerprintOf, follows, isSameRecord, type RecipientRecord } from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import type { LogEvent } from "../platform.ts";
import type { User, UserDirectory } from "../sign-in/users.ts";

type Lookup = Pick<UserDirectory, "find">;

/** The recipient records that a host saw last, kept out of reach of anybody who can change the directory. */
export type SeenRecords = Pick<UserDirectory, "find" | "add" | "update" | "remove">;

/**
 * Users as they are delivered to. A record is believed where the one that this host saw last leads to it by its owner's
 * signatures; of an address that it never saw, the first one is. All else is refused until the host's operator trusts
 * it: the old key is not sealed to either, since the owner may have lost it for good reason.
 */
export class VouchedUsers implements Lookup {
  readonly #users: Lookup;
  readonly #seen: SeenRecords;
  readonly #log: (event: LogEvent) => void;
  /** By address, what was believed last. */
  readonly #believed = new Map<string, RecipientRecord>();

  constructor(users: Lookup, seen: SeenRecords, log: (event: LogEvent) => void) {
    this.#users = users;
    this.#seen = seen;
    this.#log = log;
  }

  /** Errors: those of the directory; `unavailable` for a record that nobody vouches for. */
  async find(address: string): Promise<User | undefined> {
    const user = await this.#users.find(address);
    if (!user) return undefined;
    // Asked for each recipient: a directory that read nothing new gives the same record.
    if (this.#believed.get(user.address) === user.record) return user;
    await this.#believe(user);
    this.#believed.set(user.address, user.record);
    return user;
  }

  async #believe(user: User): Promise<void> {
    const { address, record } = user;
    const last = (await this.#seen.find(address))?.record;
    if (last && isSameRecord(last, record)) return;
    if (!follows(record, last ?? record)) {
      this.#log({ level: "error", event: "recipient record refused", address, key: fingerprintOf(record) });
      throw new EngineError("unavailable", "the owner of the mailbox did not sign the key that is shown for it");
    }
    if (last) return this.#seen.update(user);
    this.#log({ level: "info", event: "recipient record seen first", address, key: fingerprintOf(record) });
    await this.#seen.add(user).catch(async (error: unknown) => {
      // Another process saw it at the same time: what that one keeps is judged by.
      if (!(error instanceof EngineError && error.code === "already-exists")) throw error;
      await this.#believe(user);
    });
  }
}

/** Believes this record from now on, whatever was seen before. Resolves with whether that was another. Errors: `invalid`
 * for one whose own signature is bad. */
export async function trustRecord(seen: SeenRecords, user: User): Promise<boolean> {
  if (!follows(user.record, user.record))
    throw new EngineError("invalid", "the key that is shown is not even signed by itself");
  const last = (await seen.find(user.address))?.record;
  if (last && isSameRecord(last, user.record)) return false;
  await seen.remove(user.address);
  await seen.add(user);
  return last !== undefined;
}
