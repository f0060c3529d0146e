import { expect, test } from "vitest";
import { makeRing, type RecipientRecord, type Ring, recipientRecord } from "../../crypto/index.ts";
import { bytes, clock, crypto, dropbox, mailText, platform, stream, textsOf } from "../../testing/account-kit.ts";
import { FIRST, setUpAda } from "../../testing/ways-in-kit.ts";
import { Account } from "../account.ts";
import { rotateAccount } from "../keys/rotate.ts";
import { openSlots, passwordSecret } from "../keys/slots.ts";
import { settleRecord } from "./settle-record.ts";
import { accountPrefix } from "./users.ts";

type Ada = Awaited<ReturnType<typeof setUpAda>>;

/** Signs in once, and resolves with what INBOX holds then. */
async function signIn(ada: Ada): Promise<string[]> {
  const server = ada.accounts();
  (await server.login("ada", FIRST, "192.0.2.1")).close();
  await server.dispose();
  const secret = passwordSecret(ada.tools.pepper, FIRST);
  for await (const { ring } of openSlots(ada.tools, accountPrefix(ada.user().record), secret, "known")) {
    const account = await Account.open({ store: ada.place.open(), platform: ada.tools.platform }, ring);
    try {
      return await textsOf(account, "INBOX");
    } finally {
      await account.dispose();
    }
  }
  throw new Error("nobody got in");
}

function show(ada: Ada, record: RecipientRecord): void {
  ada.users.users = [{ address: "ada@example.org", record }];
}

test("a record that is its owner's is left alone, one that nobody signed is signed, and neither is told", async () => {
  const ada = await setUpAda();
  const { record } = ada.user();
  expect(await signIn(ada)).toEqual([]);
  expect(ada.user().record).toBe(record);
  show(ada, { ...record, proof: undefined });
  expect(await signIn(ada)).toEqual([]);
  expect(ada.user().record).toEqual(record);
});

test("another's key is replaced at the next sign-in; its owner is told which it was and what came meanwhile, once", async () => {
  const ada = await setUpAda();
  const { record } = ada.user();
  const forged = { ...recipientRecord(makeRing(ada.tools.platform.crypto)), account: record.account };
  for (const shown of [forged, { ...forged, keyVersion: 7 }, { ...record, proof: forged.proof }]) {
    show(ada, shown);
    if (shown === forged) await dropbox(ada.place, ada.user()).deliver(bytes(""), stream(mailText(1)));
    clock.now += 25 * 3_600_000;
    const told = await signIn(ada);
    expect(ada.user().record).toEqual(record);
    expect(await signIn(ada)).toEqual(told);
    const last = told.at(-1)!;
    expect(last).toContain("Subject: Your address led to another key");
    expect(last).toContain(
      shown.kemPublicKey === record.kemPublicKey ? "a signature that is not yours" : "a key that is not yours",
    );
    expect(last).toMatch(/\n1 messages? .* don't open/);
  }
});

test("an old key that comes back is told as such", async () => {
  const ada = await setUpAda();
  const old = ada.user().record;
  await rotateAccount(ada.tools, ada.user(), FIRST);
  const fresh = ada.user().record;
  expect(fresh.keyVersion).toBe(2);
  show(ada, old);
  const told = await signIn(ada);
  expect(told).toHaveLength(1);
  expect(told[0]).toContain("an old key of yours");
  expect(ada.user().record).toEqual(fresh);
});

test("while its owner can't be told, the record is not put right in silence", async () => {
  const ada = await setUpAda();
  const { record } = ada.user();
  const forged = { ...recipientRecord(makeRing(ada.tools.platform.crypto)), account: record.account };
  show(ada, forged);
  ada.place.fault = (operation) => (operation.startsWith("put") ? { kind: "unavailable" } : undefined);
  await signIn(ada);
  ada.place.fault = () => undefined;
  expect(ada.user().record).toBe(forged);
  expect(await signIn(ada)).toHaveLength(1);
  expect(ada.user().record).toEqual(record);
});

/** Settles a directory that showed `seen` when it was looked up and shows `found` now; what was told, looked up and put there. */
async function settle(
  ring: Ring,
  seen: RecipientRecord,
  found: RecipientRecord | undefined,
  unreadable: string[] = [],
) {
  const told: { readonly about: string; readonly text: string }[] = [];
  const put: RecipientRecord[] = [];
  let lookups = 0;
  const account = {
    prefix: "0a/",
    tell: async (_path: string, about: string, _subject: string, lines: readonly string[]) => {
      told.push({ about, text: lines.join("\n") });
    },
    retryNotes: async () => unreadable,
  };
  const users = {
    find: async (address: string) => {
      lookups++;
      return found && { address, record: found };
    },
    update: async ({ record }: { readonly record: RecipientRecord }) => void put.push(record),
  };
  const user = { address: "a@x", record: seen };
  await settleRecord({ platform, users }, user, ring, account as unknown as Account);
  return { told, put, lookups };
}

test("what was put right meanwhile, is gone, or is another account's by now is let be; the owner's own costs no look", async () => {
  const ring = makeRing(crypto);
  const own = recipientRecord(ring);
  const other = recipientRecord(makeRing(crypto));
  expect(await settle(ring, own, other)).toEqual({ told: [], put: [], lookups: 0 });
  const forged = { ...other, account: own.account };
  for (const found of [own, other, undefined])
    expect(await settle(ring, forged, found)).toEqual({ told: [], put: [], lookups: 1 });
  expect((await settle(ring, own.proof ? { ...own, proof: undefined } : own, forged)).told).toHaveLength(1);
});

test("another key is told though nobody signed it; each of them, and on each day", async () => {
  const ring = makeRing(crypto);
  const own = recipientRecord(ring);
  const forged = [1, 2].map(() => ({
    ...own,
    kemPublicKey: recipientRecord(makeRing(crypto)).kemPublicKey,
    proof: undefined,
  }));
  const about = async (record: RecipientRecord): Promise<string> => {
    const { told, put } = await settle(ring, record, record);
    expect([told.length, put]).toEqual([1, [own]]);
    return told[0]!.about;
  };
  const first = [await about(forged[0]!), await about(forged[1]!)];
  expect(await about(forged[0]!)).toBe(first[0]);
  clock.now += 24 * 3_600_000;
  const later = await about(forged[0]!);
  expect(new Set([...first, later]).size).toBe(3);
});

test("of many deliveries that don't open twenty are named", async () => {
  const ring = makeRing(crypto);
  const own = recipientRecord(ring);
  const forged = { ...recipientRecord(makeRing(crypto)), account: own.account };
  for (const [count, more] of [
    [20, undefined],
    [21, "and 1 more"],
    [45, "and 25 more"],
  ] as const) {
    const names = Array.from(
      { length: count },
      (_, n) => `note/${(1_700_000_000_000 + n * 1000).toString(16).padStart(12, "0")}00`,
    );
    const { text } = (await settle(ring, forged, forged, names)).told[0]!;
    expect(text.match(/GMT$/gm)).toHaveLength(20);
    expect(/and \d+ more/.exec(text)?.[0]).toBe(more);
  }
});
