import type { Platform } from "../account/platform.ts";
import { Accounts } from "../account/sign-in/accounts.ts";
import { type SignUp, signUp } from "../account/sign-in/sign-up.ts";
import type { User } from "../account/sign-in/users.ts";
import {
  type CryptoPlatform,
  concat,
  hash,
  makeSlot,
  openSlot,
  sodiumKem,
  sodiumVerify,
  utf8,
} from "../crypto/index.ts";
import { MemoryPlace } from "../storage/memory.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { clock, crypto, MemoryUsers, platform } from "./account-kit.ts";

/** Kit of the tests of sign-in and of its changes: one account, by its real slots. */
export const FIRST = "first long sesame";
export const SECOND = "second long sesame";
/** The error of a sign-in with a wrong password. */
export const refused = { code: "not-permitted" } as const;
const pepper = new Uint8Array(32).fill(3);
/** Characters of an account's prefix. */
export const PREFIX_CHARS = 33;

/** Takes Argon2id's place: something quick that depends on all it is given. */
export const quickArgon2: CryptoPlatform["argon2id"] = async (password, salt, parameters, length) =>
  hash(concat(password, salt, utf8(JSON.stringify(parameters)))).subarray(0, length);

/** Done at once, and not in other threads: the tests count turns of the event loop. */
const AT_ONCE: Pick<CryptoPlatform, "kem" | "verify"> = { kem: sodiumKem(crypto.random), verify: sodiumVerify };

export interface Ada {
  readonly place: MemoryPlace;
  readonly users: MemoryUsers;
  readonly tools: SignUp;
  readonly recoveryCode: string;
  /** A server, or one upon another store. */
  readonly accounts: (store?: ObjectStore) => Accounts;
  readonly user: () => User;
}

export async function setUpAda(argon2id: CryptoPlatform["argon2id"] = quickArgon2): Promise<Ada> {
  const place = new MemoryPlace(() => clock.now++);
  const users = new MemoryUsers();
  const host: Platform = { ...platform, crypto: { ...crypto, ...AT_ONCE, argon2id } };
  const tools: SignUp = { store: place.open(), users, platform: host, pepper };
  const { recoveryCode } = await signUp(tools, "ada@example.org", FIRST);
  const accounts = (store = place.open()): Accounts => new Accounts({ ...tools, store });
  return { place, users, tools, recoveryCode, accounts, user: () => users.users[0]! };
}

/** The same, where an older release made the password's slot. */
export async function setUpWeakSlot(): Promise<Ada> {
  const made = await setUpAda();
  const { place, tools } = made;
  const [name, slot] = [...place.objects].find(([key]) => key.includes("slot/password-"))!;
  const short = name.slice(PREFIX_CHARS);
  const secret = { kind: "password", secret: utf8(FIRST), pepper } as const;
  const ring = (await openSlot(tools.platform.crypto, short, slot.bytes, secret))!;
  const parameters = { memoryKiB: 1024, passes: 1, parallelism: 1 };
  place.write(name, await makeSlot(tools.platform.crypto, short, secret, ring, { parameters }));
  return made;
}

/** Names of the password slots that a place holds. */
export function passwordSlots(place: MemoryPlace): string[] {
  return [...place.objects.keys()]
    .filter((name) => name.includes("slot/password-"))
    .map((name) => name.slice(PREFIX_CHARS));
}
