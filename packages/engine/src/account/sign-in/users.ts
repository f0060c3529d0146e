import { composed } from "@restante/mime";
import { hexText } from "../../bay/entry.ts";
import { equalBytes, follows, isSameRecord, type RecipientRecord } from "../../crypto/index.ts";

/** A user of this server: public facts alone. A process that only delivers needs no more. */
export interface User {
  /** Lower case. */
  readonly address: string;
  readonly record: RecipientRecord;
}

/** Where users are looked up. Throws EngineError `unavailable` when that can't be told now. */
export interface UserDirectory {
  find(address: string): Promise<User | undefined>;
  /** The user of this part before the @, if it is unique. */
  findLocal(local: string): Promise<User | undefined>;
  list(): Promise<readonly User[]>;
  /** Called before the first object of a new account is stored; absent where it makes no difference. */
  prepare?(user: User): Promise<void>;
  /** Throws EngineError `already-exists`. */
  add(user: User): Promise<void>;
  /** Puts the record in the place of one of the same account, unless that one is it already or follows it
   * (`crypto/record.ts`): a forged one goes, another host's newer one stays. */
  update(user: User): Promise<void>;
  remove(address: string): Promise<void>;
  /** True for an address that gets an account at its first sign-in; absent where none does. */
  isExpected?(address: string): Promise<boolean>;
}

/** Somebody whom a directory knows; without a record until they first sign in. */
export interface Person {
  /** The directory's own name for them. */
  readonly entry: string;
  readonly address: string;
  readonly record: RecipientRecord | undefined;
}

/** A directory that judges passwords itself. Its errors: EngineError `unavailable`. */
export interface PasswordDirectory extends UserDirectory {
  /** The owner of this address or login name, if there is one and no other. */
  findPerson(name: string): Promise<Person | undefined>;
  isPassword(person: Person, password: string): Promise<boolean>;
}

/** A bucket that is one account's own. Keys that are not said are those of all. */
export interface OwnBucket {
  readonly bucket: string;
  readonly accessKey?: string | undefined;
  readonly secretKey?: string | undefined;
}

/** Octets of an address: RFC 5321 §4.5.3.1. */
export const ADDRESS_BYTES_MAX = 254;

/** An address as it is compared: lower case, NFC. */
export function normalizeAddress(address: string): string {
  return composed(address).toLowerCase();
}

/** The prefix of an account's objects: its id, which no name or address shows. */
export function accountPrefix({ account }: Pick<RecipientRecord, "account">): string {
  return `${hexText(account)}/`;
}

/** An account's id in hex, which its prefix is made of. */
export function accountOf(prefix: string): string {
  return prefix.slice(0, -1);
}

/** The rule of {@link UserDirectory.update}: true if `record` takes the place of the `known` one. */
export function replaces(record: RecipientRecord, known: RecipientRecord): boolean {
  if (!equalBytes(record.account, known.account) || isSameRecord(record, known)) return false;
  return !follows(known, record);
}
