import { HeaderBlock } from "@restante/mime";
import { expect, test } from "vitest";
import { hexText } from "../../bay/entry.ts";
import { messageIdKey, type Ring, utf8 } from "../../crypto/index.ts";
import { FACT_BYTES, threadFacts } from "../../mail/contents/thread-facts.ts";
import { type Message, openView } from "../../mail/mailbox-view.ts";
import { MemoryPlace } from "../../storage/memory.ts";
import { clock, crypto, makeAccount, open, stream, unlessConflict } from "../../testing/account-kit.ts";
import { extent } from "../../testing/extent.ts";
import { openEverything } from "../../testing/open-everything.ts";
import type { Account } from "../account.ts";
import { AccountSession } from "../session.ts";
import { checkAccount } from "./check.ts";

// An expunged mail is gone from the store within two days, in every form: with the owner's keys nothing of it is found.

const HOUR_MS = 3_600_000;
const LARGE_BYTES = 40_000;
/** Half a day until a checkpoint is made without it, a day until what that replaced is deleted, and an hour for each look. */
const GONE_HOURS = 38;

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
/** The hash of its id, as pages of ids have it. */
function hashOf(n: number, ring: Ring): string {
  const { hashes } = threadFacts(new HeaderBlock(utf8(mail(n, 10))), messageIdKey(ring));
  return Buffer.from(hashes.subarray(0, FACT_BYTES)).toString("latin1");
}
const wordsOf = (n: number): string[] => ["f", "a", "s", "i", "x", "b"].map((kind) => word(kind, n));

async function append(account: Account, mailbox: string, n: number, size = 10): Promise<void> {
  const flags = mailbox === "INBOX" && n < 1000 ? [word("k", n)] : [];
  await account.append(
    account.mail.getMailbox(mailbox).id,
    await account.prepare(stream(mail(n, size)), { mailbox, flags }),
  );
}

async function live(account: Account, hours: number): Promise<void> {
  for (let hour = 0; hour < hours; hour++) {
    clock.now += HOUR_MS;
    await account.upkeep.run();
  }
}

async function expunge(account: Account, mailbox: string, positions: readonly number[]): Promise<void> {
  const view = openView(account.mail, account.mail.getMailbox(mailbox).id, { readOnly: false });
  await view.setFlags(positions, { mode: "add", flags: ["\\Deleted"] });
  await view.expunge(positions);
}

/** Which of these words stand in the store, and in what. */
async function found(place: MemoryPlace, prefix: string, ring: Ring, words: readonly string[]): Promise<string[]> {
  const objects = [...place.objects].map(([name, { bytes }]) => [name.slice(prefix.length), bytes] as const);
  const texts = [...(await openEverything(crypto, ring, objects))].map(
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
  await account.mail.delete(account.mail.getMailbox("Mailbox-nobodysees").id);
  await account.mail.subscribe("Mailbox-nobodysees", false);
  const words = [...gone, 200, 201, 202, 203, 204, 205, 206].flatMap((n) => [...wordsOf(n), word("k", n)]);
  words.push(...gone.map((n) => hashOf(n, ring())));
  const left = [0, 1, 2, 63, 66, 129, 198, 207, 208];
  const stays = [...left.flatMap(wordsOf), ...left.map((n) => hashOf(n, ring()))];
  // The measure measures: now all of it is there.
  expect(new Set((await found(place, prefix, ring(), words)).map((one) => one.split(" ")[0])).size).toBeGreaterThan(88);

  await live(account, 50);
  expect(await found(place, prefix, ring(), [...words, "nobodysees"])).toEqual([]);
  expect(new Set((await found(place, prefix, ring(), stays)).map((one) => one.split(" ")[0])).size).toBe(stays.length);
  expect(account.mail.state.numbering).toBeGreaterThan(0);
  const reopened = await open(place, ring());
  const { findings } = await checkAccount(new AccountSession({ address: "a@x" }, reopened, () => undefined));
  expect(findings).toEqual([]);
  await Promise.all([account.dispose(), reopened.dispose()]);
});

/** A mail of one of some kinds, with its words in every part. */
function mailOfKind(n: number): string {
  const plain = mail(n, n % 23 === 0 ? LARGE_BYTES : 10 + (n % 400));
  if (n % 4 > 0) return plain;
  const [head, body] = plain.split("\r\n\r\n");
  const parts = [
    `Content-Type: text/html\r\n\r\n<p>${body}</p>`,
    `Content-Type: text/plain; name="${word("x", n)}.txt"\r\nContent-Disposition: attachment\r\n\r\n${body}`,
  ];
  const type = 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="="';
  return `${head}\r\n${type}\r\n\r\n--=\r\n${parts.join("\r\n--=\r\n")}\r\n--=--\r\n`;
}

/** All words of ours that stand in the store, of whatever kind. */
async function wordsFound(place: MemoryPlace, prefix: string, ring: Ring): Promise<Set<string>> {
  const objects = [...place.objects].map(([name, { bytes }]) => [name.slice(prefix.length), bytes] as const);
  const words = new Set<string>();
  for (const pieces of (await openEverything(crypto, ring, objects)).values())
    for (const piece of pieces)
      for (const [one] of Buffer.from(piece)
        .toString("latin1")
        .matchAll(/[faskixb][p-y]{5}/g))
        words.add(one);
  return words;
}

test("a hundred of 10,000 mails here and there, a draft that was replaced 1,000 times, and a mailbox with all that was in it", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, prefix } = await makeAccount(place);
  const account = await open(place, ring());
  const count = Number(process.env.RESTANTE_GONE_MAILS ?? extent(10_000, 2000));
  await account.mail.create("Lists");
  const addMany = async (mailbox: string, numbers: readonly number[]): Promise<void> => {
    const { id } = account.mail.getMailbox(mailbox);
    const prepared = numbers.map((n) => account.prepare(stream(mailOfKind(n)), { mailbox, flags: [] }));
    await account.addMany((await Promise.all(prepared)).map((one) => ({ prepared: one, mailboxes: [id] })));
  };
  for (let n = 0; n < count; n += 50)
    await addMany(
      "INBOX",
      Array.from({ length: 50 }, (_, at) => n + at),
    );
  const ofList = Array.from({ length: 40 }, (_, at) => 20_000 + at);
  await addMany("Lists", ofList);
  await account.upkeep.checkpoint().catch(unlessConflict);
  const drafts = Array.from({ length: 1_001 }, (_, at) => 30_000 + at);
  await append(account, "Drafts", drafts[0]!);
  for (const n of drafts.slice(1)) {
    const { of } = openView(account.mail, account.mail.getMailbox("Drafts").id, { readOnly: false }).targetOf(0);
    const prepared = await account.prepare(stream(mail(n, 10)), { mailbox: "Drafts", flags: [] });
    const { email, carried, since } = prepared;
    const replace = { mailbox: of.mailbox, target: of.targets, add: [], remove: [], seconds: 1 };
    await account.mail.push(
      { kind: "replace", ...replace, email: { ...email, thread: new Uint8Array(8) }, since },
      carried,
    );
  }
  const gone = Array.from({ length: 100 }, (_, at) => Math.floor((((at * 2_654_435_761) % 2 ** 32) / 2 ** 32) * count));
  await expunge(
    account,
    "INBOX",
    [...new Set(gone)].sort((one, other) => one - other),
  );
  await account.mail.delete(account.mail.getMailbox("Lists").id);
  const words = [...gone, ...ofList, ...drafts.slice(0, -1)].flatMap(wordsOf);
  const before = await wordsFound(place, prefix, ring());
  expect(words.filter((one) => before.has(one)).length).toBeGreaterThan(words.length * 0.8);
  await live(account, GONE_HOURS);
  const after = await wordsFound(place, prefix, ring());
  expect(words.filter((one) => after.has(one))).toEqual([]);
  const isGone = new Set(gone);
  const stay = Array.from({ length: count }, (_, n) => n).filter((n) => !isGone.has(n));
  expect([...stay, drafts.at(-1)!].flatMap(wordsOf).filter((one) => !after.has(one))).toEqual([]);
  const { findings } = await checkAccount(new AccountSession({ address: "a@x" }, account, () => undefined));
  expect(findings).toEqual([]);
  await account.dispose();
}, 600_000);

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
    const { row } = openView(account.mail, account.mail.getMailbox("INBOX").id, { readOnly: true }).message(position);
    return hexText(state.emails.columns.id.getId(state.emailOf(row)));
  };
  const said = (n: number, bytes: number): Uint8Array => Buffer.from(`${word("z", n)} `.repeat(bytes / 7));
  // A value that is kept in memory, and one that lies in a page.
  const records = [0, 1, 2].map((n) => ({ type: "phone-marks", id: idAt(n), value: said(n, n === 1 ? 4_000 : 70) }));
  await account.mail.writeRecords(records);
  await account.upkeep.checkpoint();
  const words = [0, 1, 2].map((n) => word("z", n));
  expect(new Set((await found(place, prefix, ring(), words)).map((one) => one.split(" ")[0])).size).toBe(3);
  await expunge(account, "INBOX", [0, 1]);
  for (let time = 0; time < times; time++) {
    clock.now += (hours - 1) * HOUR_MS;
    await live(account, 1);
  }
  expect(new Set((await found(place, prefix, ring(), words)).map((one) => one.split(" ")[0]))).toEqual(
    new Set([word("z", 2)]),
  );
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
    const view = openView(account.mail, account.mail.getMailbox("INBOX").id, { readOnly: true });
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
    // An email that stays is found at its present place.
    const texts = async (message: Message): Promise<unknown> => [
      await contents.readSummaries([message]),
      (await contents.readHeaders([message])).map((block) => block.fields().length),
      (await contents.openBody(message)).size,
    ];
    expect(await texts(stays)).toEqual(
      await texts(openView(kept.mail, kept.mail.getMailbox("INBOX").id, { readOnly: true }).message(1)),
    );
    expect(view.sync({ expunges: true }).expunged).toEqual([2]);
    await Promise.all([kept.dispose(), account.dispose()]);
  },
);

test.each([1, 7, 13, 19])("it is gone however lately something else was collected: %i hours before", async (hours) => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, prefix } = await makeAccount(place);
  const account = await open(place, ring());
  for (let n = 0; n < 70; n++) await append(account, "INBOX", 1000 + n, n === 3 ? LARGE_BYTES : 10);
  await account.upkeep.checkpoint();
  // Pages of which nobody will ever hear: their process died. Until they are a day old they may be another's, under way.
  const last = [...place.objects].filter(([name]) => name.includes("/page/"));
  await append(account, "INBOX", 2000);
  await account.upkeep.checkpoint();
  await live(account, 30);
  await append(account, "INBOX", 2001);
  await live(account, 21 - hours);
  for (const [name, { bytes }] of last) place.write(name, bytes);
  await expunge(account, "INBOX", [0, 3, 69]);
  await live(account, GONE_HOURS + 4);
  expect(
    await found(
      place,
      prefix,
      ring(),
      [0, 3, 69].flatMap((n) => wordsOf(1000 + n)),
    ),
  ).toEqual([]);
  await account.dispose();
});

test("rows get new numbers once a day at most, however often something is removed", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring } = await makeAccount(place);
  const account = await open(place, ring());
  const numberings = new Set<number>();
  const covered = new Set<number | undefined>();
  for (let hour = 0; hour < 96; hour++) {
    // A keyword that nobody else has goes with it.
    await append(account, "INBOX", hour);
    await expunge(account, "INBOX", [0]);
    await live(account, 1);
    numberings.add(account.mail.state.numbering);
    covered.add(account.mail.state.checkpoint?.covers);
  }
  // The first is that of rows as they came.
  expect(numberings.size - 1).toBeGreaterThanOrEqual(3);
  expect(numberings.size - 1).toBeLessThanOrEqual(4);
  expect(covered.size).toBeGreaterThan(numberings.size + 1);
  await account.dispose();
});

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
  expect(await found(place, prefix, ring(), [...wordsOf(2), word("k", 2)])).toEqual([]);
  // It is done once.
  expect(other.mail.state.sweep.due).toBeUndefined();
  const { checkpoint } = other.mail.state;
  await live(other, 30);
  expect(other.mail.state.checkpoint).toEqual(checkpoint);
  await other.dispose();
});
