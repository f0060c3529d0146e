import { expect, test } from "vitest";
import { makeRing, type PublicRecord, publicRecord } from "../../crypto/index.ts";
import { bytes, clock, dropbox, mailText, stream, textsOf } from "../../testing/account-kit.ts";
import { FIRST, setUpAda } from "../../testing/ways-in-kit.ts";
import { Account } from "../account.ts";
import { rotateAccount } from "../keys/rotate.ts";
import { openSlots, passwordSecret } from "../keys/slots.ts";
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

function show(ada: Ada, record: PublicRecord): void {
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
  const forged = { ...publicRecord(makeRing(ada.tools.platform.crypto)), account: record.account };
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
  const forged = { ...publicRecord(makeRing(ada.tools.platform.crypto)), account: record.account };
  show(ada, forged);
  ada.place.fault = (operation) => (operation.startsWith("put") ? { kind: "unavailable" } : undefined);
  await signIn(ada);
  ada.place.fault = () => undefined;
  expect(ada.user().record).toBe(forged);
  expect(await signIn(ada)).toHaveLength(1);
  expect(ada.user().record).toEqual(record);
});
