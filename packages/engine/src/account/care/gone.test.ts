import { expect, test } from "vitest";
import { hexText } from "../../bay/entry.ts";
import type { Ring } from "../../crypto/index.ts";
import { type Message, openView } from "../../mail/mailbox-view.ts";
import { MemoryPlace } from "../../storage/memory.ts";
import { clock, crypto, makeAccount, open, stream } from "../../testing/account-kit.ts";
import { openEverything } from "../../testing/open-everything.ts";
import type { Account } from "../account.ts";
import { AccountSession } from "../session.ts";
import { checkAccount } from "./check.ts";

// What is expunged is gone from the store within two days, in every form: with the owner's keys nothing of it is found.

const HOUR_MS = 3_600_000;
const LARGE_BYTES = 40_000;

/** Six letters that stand in this mail alone, in every part of it: `kind` says of which. */
const word = (kind: string, n: number): string => kind + [...String(n).padStart(5, "0")].map(letter).join("");
const letter = (digit: string): string => String.fromCharCode(112 + Number(digit));

function mail(n: number, size: number): string {
  const lines = [
    `From: ${word("f", n)} <${word("a", n)}@example.org>`,
    `Subject: ${word("s", n)}`,
    `Message-ID: <${word("i", n)}@example.org>`,
    `X-Other: ${word("x", n)}`,
    "",
    `${word("b", n)} `.repeat(Math.ceil(size / 7)),
  ];
  return lines.join("\r\n");
}
const wordsOf = (n: number): string[] => ["f", "a", "s", "i", "x", "b"].map((kind) => word(kind, n));

async function append(account: Account, mailbox: string, n: number, size = 10): Promise<void> {
  const flags = mailbox === "INBOX" && n < 1000 ? [word("k", n)] : [];
  await account.append(mailbox, await account.prepare(stream(mail(n, size)), { mailbox, flags }));
}

async function live(account: Account, hours: number): Promise<void> {
  for (let hour = 0; hour < hours; hour++) {
    clock.now += HOUR_MS;
    await account.upkeep.run();
  }
}

async function expunge(account: Account, mailbox: string, positions: readonly number[]): Promise<void> {
  const view = openView(account.mail, mailbox, { readOnly: false });
  await view.setFlags(positions, { mode: "add", flags: ["\\Deleted"] });
  await view.expunge(positions);
}

/** Which of these words stand in the store, and in what. */
function found(place: MemoryPlace, prefix: string, ring: Ring, words: readonly string[]): string[] {
  const objects = [...place.objects].map(([name, { bytes }]) => [name.slice(prefix.length), bytes] as const);
  const texts = [...openEverything(crypto, ring, objects)].map(
    ([name, pieces]) => [name, pieces.map((piece) => Buffer.from(piece).toString("latin1")).join("\n")] as const,
  );
  return texts.flatMap(([name, text]) => words.filter((one) => text.includes(one)).map((one) => `${one} in ${name}`));
}

test("messages of every kind, drafts that were replaced and a mailbox", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, prefix } = await makeAccount(place);
  const account = await open(place, ring());
  await account.mail.create("Mailbox-nobodysees");
  for (let n = 0; n < 200; n++) await append(account, "INBOX", n, n % 9 === 0 ? LARGE_BYTES : 10);
  for (let n = 200; n < 205; n++) await append(account, "Mailbox-nobodysees", n);
  await account.upkeep.checkpoint();
  // Some come, and some go, between two checkpoints.
  await append(account, "Drafts", 208);
  for (let n = 205; n < 208; n++) await append(account, "Drafts", n);
  const gone = [3, 9, 64, 65, 100, 127, 128, 199];
  await expunge(account, "INBOX", gone);
  await expunge(account, "Drafts", [1, 2]);
  await account.mail.delete("Mailbox-nobodysees");
  await account.mail.subscribe("Mailbox-nobodysees", false);
  const words = [...gone, 200, 201, 202, 203, 204, 205, 206].flatMap((n) => [...wordsOf(n), word("k", n)]);
  const stays = [0, 1, 2, 63, 66, 129, 198, 207, 208].flatMap(wordsOf);
  // The measure measures: now all of it is there.
  expect(new Set(found(place, prefix, ring(), words).map((one) => one.split(" ")[0])).size).toBeGreaterThan(80);

  await live(account, 50);
  expect(found(place, prefix, ring(), [...words, "nobodysees"])).toEqual([]);
  expect(new Set(found(place, prefix, ring(), stays).map((one) => one.split(" ")[0])).size).toBe(stays.length);
  expect(account.mail.state.numbering).toBeGreaterThan(0);
  const reopened = await open(place, ring());
  const { findings } = await checkAccount(new AccountSession({ address: "a@x" }, reopened, () => undefined));
  expect(findings).toEqual([]);
  await Promise.all([account.dispose(), reopened.dispose()]);
});

test.each([
  ["upkeep looks each hour", 50, 1],
  ["the account is opened now and then", 5, 13],
])("what phones said of a mail goes with it, and stays with one that is there: %s", async (_, times, hours) => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, prefix } = await makeAccount(place);
  const account = await open(place, ring());
  for (let n = 0; n < 3; n++) await append(account, "INBOX", n);
  const { state } = account.mail;
  const idAt = (position: number): string => {
    const { row } = openView(account.mail, "INBOX", { readOnly: true }).message(position);
    return hexText(state.emails.columns.id.getId(state.emailOf(row)));
  };
  const said = (n: number, bytes: number): Uint8Array => Buffer.from(`${word("z", n)} `.repeat(bytes / 7));
  // A value that is kept in memory, and one that lies in a page.
  const records = [0, 1, 2].map((n) => ({ type: "phone-marks", id: idAt(n), value: said(n, n === 1 ? 4_000 : 70) }));
  await account.mail.writeRecords(records);
  await account.upkeep.checkpoint();
  const words = [0, 1, 2].map((n) => word("z", n));
  expect(new Set(found(place, prefix, ring(), words).map((one) => one.split(" ")[0])).size).toBe(3);
  await expunge(account, "INBOX", [0, 1]);
  for (let time = 0; time < times; time++) {
    clock.now += (hours - 1) * HOUR_MS;
    await live(account, 1);
  }
  expect(new Set(found(place, prefix, ring(), words).map((one) => one.split(" ")[0]))).toEqual(new Set([word("z", 2)]));
  expect(account.mail.state.records.list("phone-marks").map(({ id }) => id)).toEqual([idAt(0)]);
  await account.dispose();
});

test.each([
  ["rows keep their numbers", 1000],
  ["rows get new numbers, since a keyword is in no use any more", 0],
])(
  "who still shows a message that went reads it for some hours, and is then told that it is gone: %s",
  async (_, first) => {
    const place = new MemoryPlace(() => clock.now++);
    const { ring } = await makeAccount(place);
    const account = await open(place, ring());
    for (let n = 0; n < 70; n++) await append(account, "INBOX", first + n);
    await account.upkeep.checkpoint();
    const view = openView(account.mail, "INBOX", { readOnly: true });
    const stays = view.message(2);
    const { state } = account.mail;
    await expunge(account, "INBOX", [1]);
    await live(account, 9);
    expect((await account.contents.readSummaries(view.messages([1]))).length).toBe(1);
    await live(account, 50);
    expect(account.mail.state === state).toBe(first > 0);
    // Nothing that is kept open answers for the store.
    const kept = await open(place, ring());
    const gone = { ...view.message(1) };
    const { contents } = kept;
    await expect(contents.readSummaries([gone])).rejects.toMatchObject({ code: "expunged" });
    await expect(contents.readHeaders([gone])).rejects.toMatchObject({ code: "expunged" });
    await expect(contents.openBody(gone)).rejects.toMatchObject({ code: "expunged" });
    // What stays is found where it lies now.
    const texts = async (message: Message): Promise<unknown> => [
      await contents.readSummaries([message]),
      (await contents.readHeaders([message])).map((block) => block.fields().length),
      (await contents.openBody(message)).size,
    ];
    expect(await texts(stays)).toEqual(await texts(openView(kept.mail, "INBOX", { readOnly: true }).message(1)));
    expect(view.sync({ expunges: true }).expunged).toEqual([2]);
    await Promise.all([kept.dispose(), account.dispose()]);
  },
);

test("a log that nobody writes to is swept too, by another process than the one that expunged", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, prefix } = await makeAccount(place);
  const account = await open(place, ring());
  for (let n = 0; n < 4; n++) await append(account, "INBOX", n);
  await account.upkeep.checkpoint();
  await expunge(account, "INBOX", [2]);
  await account.dispose();
  const other = await open(place, ring());
  await live(other, 50);
  expect(found(place, prefix, ring(), [...wordsOf(2), word("k", 2)])).toEqual([]);
  // It is done once.
  expect(other.mail.state.sweep.due).toBeUndefined();
  const { checkpoint } = other.mail.state;
  await live(other, 30);
  expect(other.mail.state.checkpoint).toEqual(checkpoint);
  await other.dispose();
});
