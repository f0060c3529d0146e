import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type AccountSession, type Body, formatEmailId, parseMailboxId } from "@restante/engine";
import { FIRST, setUpAda } from "@restante/engine/testing";
import type { SetError } from "../core/errors.ts";
import type { Blobs } from "./blobs.ts";
import { composeEmail, readNewEmail } from "./compose.ts";
import { getEmails } from "./get.ts";
import type { PlaceTools } from "./new-place.ts";
import { type PlanArguments, planOfGet } from "./properties.ts";
import { prepareEmail, tellCreated } from "./store.ts";

/** For tests of emails: an account in memory whose reads of the store are counted, and mail in it. */

export const pace = { isOver: () => false, take: async (): Promise<void> => undefined };
export const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
/** One octet a character. */
export const binary = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));
export type Told = Readonly<Record<string, unknown>>;

export interface Account {
  readonly session: AccountSession;
  /** Reads of the store so far. */
  readonly reads: () => number;
  /** Puts a message into mailboxes; resolves with the email's id as JMAP has it. */
  add(message: Uint8Array | string, paths?: readonly string[], flags?: readonly string[]): Promise<string>;
  /** Email/get of one email that is there. */
  get(id: string, given?: PlanArguments): Promise<Told>;
}

export async function openAccount(): Promise<Account> {
  const { place, accounts } = await setUpAda();
  let count = 0;
  const store = place.open();
  const counted = new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== "function") return value;
      return (...given: unknown[]) => {
        if (name === "get" || name === "list") count++;
        return Reflect.apply(value, target, given) as unknown;
      };
    },
  });
  const session = await accounts(counted).login("ada@example.org", FIRST, "127.0.0.1");
  return {
    session,
    reads: () => count,
    async add(message, paths = ["INBOX"], flags = []) {
      const bytes = typeof message === "string" ? encode(message) : message;
      const prepared = await session.prepare(pieces(bytes), { mailbox: paths[0]!, flags, received: RECEIVED });
      const mailboxes = paths.map((path) => session.getMailbox(path).id);
      const [added] = await session.addMany([{ prepared, mailboxes }]);
      return formatEmailId(added!.id);
    },
    async get(id, given = {}) {
      const { list, notFound } = await getEmails(session, [id], planOfGet(given), { pace });
      if (notFound.length > 0) throw new Error("not there");
      return list[0]!;
    },
  };
}

const RECEIVED = { timeMs: Date.UTC(2024, 1, 29, 12, 30, 15, 999), zoneMinutes: 60 };

export async function* pieces(bytes: Uint8Array, size = 7000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export function bodyOf(bytes: Uint8Array): Body {
  return { size: bytes.length, read: (start, end) => pieces(bytes.subarray(start, end), 1000) };
}

export function blobsOf(blobs: Readonly<Record<string, Uint8Array | string>>): Blobs {
  const known = new Map(Object.entries(blobs));
  return {
    async open(id) {
      const bytes = known.get(id);
      return bytes === undefined ? undefined : bodyOf(typeof bytes === "string" ? encode(bytes) : bytes);
    },
  };
}

export const INBOX = "p0000000000000000-0-0";
export const ARCHIVE = "p0000000000000000-0-5";
/** Mailboxes that an account begins with. */
export const places: PlaceTools = {
  mailbox: (id) => (/^p0{16}-0-[0-5]$/.test(id) ? parseMailboxId(id) : undefined),
};

/** The octets of an email as it is created, or why it is not. */
export async function composed(given: unknown, blobs: Blobs = blobsOf({})): Promise<Uint8Array | SetError> {
  const email = readNewEmail(given, places);
  if ("type" in email) return email;
  let next = 0;
  const message = await composeEmail(email, blobs, {
    now: () => ({ timeMs: Date.UTC(2024, 0, 2, 3, 4, 5), zoneMinutes: 0 }),
    random: (bytes) => new Uint8Array(bytes).fill(++next),
    domain: "x.test",
  });
  if ("type" in message) return message;
  const octets = new Uint8Array(message.length);
  let at = 0;
  for await (const piece of message.read()) {
    octets.set(piece, at);
    at += piece.length;
  }
  if (at !== message.length) throw new Error("not as long as it said");
  return octets;
}

/** Creates an email as Email/set does; resolves with what `created` tells. */
export async function create(
  { session }: Account,
  given: unknown,
  blobs: Blobs = blobsOf({}),
): Promise<Readonly<Record<string, unknown>>> {
  const email = readNewEmail(given, places);
  if ("type" in email) throw new Error(JSON.stringify(email));
  const octets = await composed(given, blobs);
  if (!(octets instanceof Uint8Array)) throw new Error(JSON.stringify(octets));
  const [added] = await session.addMany([await prepareEmail(session, pieces(octets), email.place)]);
  return tellCreated(added!);
}

const folder = join(import.meta.dirname, "../../../../packages/mime/testdata/bodystructure");
/** The corpus of packages/mime. */
export const corpus: readonly (readonly [name: string, bytes: Uint8Array])[] = [
  ...["dxflrs", "rfc", "thirdparty", "malformed"],
].flatMap((group) =>
  readdirSync(join(folder, group))
    .filter((file) => file.endsWith(".eml"))
    .map((file) => [`${group}/${file}`, new Uint8Array(readFileSync(join(folder, group, file)))] as const),
);
