import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { AccountSession } from "@restante/engine";
import { formatEmailId } from "@restante/engine";
import { FIRST, setUpAda } from "@restante/engine/testing";
import { getEmails } from "./get.ts";
import { type PlanArguments, planOfGet } from "./properties.ts";

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

const folder = join(import.meta.dirname, "../../../../packages/mime/testdata/bodystructure");
/** The corpus of packages/mime. */
export const corpus: readonly (readonly [name: string, bytes: Uint8Array])[] = [
  ...["dxflrs", "rfc", "thirdparty", "malformed"],
].flatMap((group) =>
  readdirSync(join(folder, group))
    .filter((file) => file.endsWith(".eml"))
    .map((file) => [`${group}/${file}`, new Uint8Array(readFileSync(join(folder, group, file)))] as const),
);
