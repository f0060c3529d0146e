import { encode } from "cborg";
import { expect, test } from "vitest";
import { encapsulate, hostId, makeNote, openNote } from "../../crypto/index.ts";
import { decodeDelivered, encodeDelivered } from "../../mail/contents/delivered.ts";
import type { Summary } from "../../mail/contents/summary.ts";
import { openView } from "../../mail/mailbox-view.ts";
import { MemoryPlace } from "../../storage/memory.ts";
import {
  clock,
  crypto,
  dropbox,
  mailText,
  makeAccount,
  open,
  platform,
  signer,
  stream,
  textsOf,
  visible,
} from "../../testing/account-kit.ts";
import { toFirstSummary } from "../../testing/first-summary.ts";
import type { Account } from "../account.ts";
import { openLog } from "../open-log.ts";
import { AccountSession } from "../session.ts";
import { accountPrefix } from "../sign-in/users.ts";
import { checkAccount } from "./check.ts";
import { fillSummaries, type StepLimits } from "./fill-summaries.ts";

const LARGE = 10_000;
const EMAILS = 150;
const text = (n: number): string => mailText(n, n % 40 === 7 ? LARGE : 10);

/** An account whose messages came with summaries of format 1, all in pages; every fifth is of today. */
async function filled(place: MemoryPlace, emails = EMAILS, isFull = (n: number) => n % 5 === 0) {
  const { ring, prefix } = await makeAccount(place);
  const account = await open(place, ring());
  await append(account, 0, emails, isFull);
  // The first may be one that is under way, and cover less.
  await account.upkeep.checkpoint();
  await account.upkeep.checkpoint();
  await account.dispose();
  return { ring, prefix };
}

async function append(account: Account, from: number, to: number, isFull: (n: number) => boolean): Promise<void> {
  for (let n = from; n < to; n++) {
    const prepared = await account.prepare(stream(text(n)), { mailbox: "INBOX", flags: n % 2 === 0 ? ["\\Seen"] : [] });
    const summary = isFull(n) ? prepared.email.summary : toFirstSummary(prepared.email.summary);
    await account.append(account.mail.getMailbox("INBOX").id, { ...prepared, email: { ...prepared.email, summary } });
  }
}

const messagesOf = ({ mail }: Account, mailbox = "INBOX") => {
  const view = openView(mail, mail.getMailbox(mailbox).id, { readOnly: true });
  return Array.from({ length: view.length }, (_, position) => view.message(position));
};
const formats = (summaries: readonly Summary[]): string => summaries.map(({ format }) => format).join("");
const stored = async (account: Account): Promise<string> =>
  formats(await account.contents.readSummaries(messagesOf(account)));
const objects = (place: MemoryPlace, kind: string): string[] =>
  [...place.objects.keys()].filter((name) => name.includes(`/${kind}/`));

async function assertSound(account: Account): Promise<void> {
  const { findings } = await checkAccount(new AccountSession({ address: "a@x" }, account, () => undefined));
  expect(findings).toEqual([]);
  expect(await textsOf(account, "INBOX")).toEqual(Array.from({ length: EMAILS }, (_, n) => text(n)));
}

/** Tells of each read of a body or pack. */
function countReads(place: MemoryPlace): () => number {
  let reads = 0;
  place.fault = (operation, name) => {
    if (operation === "get" && /\/(body|pack)\//.test(name)) reads++;
    return undefined;
  };
  return () => reads;
}

test("a summary of format 1 is full at first need, from the body; the next need finds it", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring } = await filled(place, 10);
  const account = await open(place, ring());
  const messages = messagesOf(account);
  const before = await account.contents.readSummaries(messages);
  expect(formats(before)).toBe("2111121111");
  const reads = countReads(place);
  const full = await account.contents.readFullSummaries(messages);
  expect(formats(full)).toBe("2".repeat(10));
  for (const [n, summary] of full.entries()) {
    if (summary.format !== 2) throw new Error("not full");
    const { envelope, bodyStructure, offsets, headerWhole } = before[n]!;
    expect(summary).toMatchObject({ envelope, bodyStructure, offsets, headerWhole, hasAttachment: false });
    const body = text(n).slice(text(n).indexOf("\r\n\r\n") + 4);
    const start = body.slice(0, 1024);
    expect(summary.text).toEqual({ start, isWhole: start === body, octets: body.length, isHtml: false });
  }
  const once = reads();
  // Bodies that lie together are read together.
  expect(once).toBeGreaterThan(0);
  expect(once).toBeLessThanOrEqual(8);
  expect(await account.contents.readFullSummaries(messages)).toEqual(full);
  expect(reads()).toBe(once);
  // A need writes nothing.
  expect(account.contents.improvedPages().size).toBe(0);
  await account.dispose();
});

test("upkeep makes all summaries full, and nothing else changes; what is done is not looked at again", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring } = await filled(place);
  const account = await open(place, ring());
  const before = visible(account.mail.state);
  const { modSeq } = account.mail.state;
  expect(await stored(account)).toContain("1");
  await account.upkeep.run();
  expect(await stored(account)).toBe("2".repeat(EMAILS));
  await account.upkeep.run();
  expect(account.contents.improvedPages().size).toBe(0);
  expect(visible(account.mail.state)).toEqual(before);
  expect(account.mail.state.inbox.highestModSeq).toBeLessThanOrEqual(modSeq);
  const { position } = account;
  const pages = objects(place, "page");
  await account.upkeep.run();
  expect([account.position, objects(place, "page")]).toEqual([position, pages]);
  await account.dispose();
  const again = await open(place, ring());
  expect(await stored(again)).toBe("2".repeat(EMAILS));
  expect(visible(again.mail.state)).toEqual(before);
  await assertSound(again);
  await again.dispose();
});

test("a body that is damaged keeps its summary, and is tried once", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring } = await filled(place);
  const [name] = objects(place, "body");
  const { bytes } = place.objects.get(name!)!;
  place.write(name!, bytes.with(bytes.length - 9, bytes.at(-9)! ^ 1));
  const account = await open(place, ring());
  let tries = 0;
  place.fault = (operation, read) => {
    if (operation === "get" && read === name) tries++;
    return undefined;
  };
  for (let hour = 0; hour < 3; hour++) await account.upkeep.run();
  expect((await stored(account)).match(/1/g)).toHaveLength(1);
  const once = tries;
  expect(once).toBeGreaterThan(0);
  // The one that asks gets what there is.
  expect(formats(await account.contents.readFullSummaries(messagesOf(account))).match(/1/g)).toHaveLength(1);
  expect(tries).toBe(once);
  await account.dispose();
  // It is behind what is done: no later process tries it again. The last page, which more may come to, is looked at.
  const again = await open(place, ring());
  await again.upkeep.run();
  expect(tries).toBe(once);
  await again.dispose();
});

test("a lost row page stops nothing", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring } = await filled(place);
  const account = await open(place, ring());
  const [lost] = account.mail.state.pages.rows;
  place.objects.delete(objects(place, "page").find((name) => name.endsWith(lost!))!);
  await account.upkeep.run();
  const rest = messagesOf(account).slice(64);
  expect(formats(await account.contents.readSummaries(rest))).toBe("2".repeat(EMAILS - 64));
  await account.dispose();
});

test("a note that an older host delivered is taken in, and its summary is made full like any other", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, user } = await makeAccount(place);
  await dropbox(place, user).deliver(new Uint8Array(0), stream(mailText(1, LARGE)));
  const [name] = objects(place, "note");
  const short = name!.slice(name!.indexOf("note/"));
  const note = await openNote(crypto, ring(), short, place.objects.get(name!)!.bytes, [signer.publicKey]);
  const delivered = decodeDelivered(note.summary);
  const summary = encodeDelivered({ ...delivered, summary: toFirstSummary(delivered.summary) });
  const origin = { host: hostId(signer.publicKey), stream: new Uint8Array(16), counter: 1, givenUp: [] };
  place.write(
    name!,
    makeNote(crypto, user.record, { name: short, kem: encapsulate(crypto, user.record), origin, summary }, signer),
  );
  const account = await open(place, ring());
  await account.refresh();
  expect(await stored(account)).toBe("1");
  expect(formats(await account.contents.readFullSummaries(messagesOf(account)))).toBe("2");
  await account.upkeep.checkpoint();
  await account.upkeep.run();
  expect(await stored(account)).toBe("2");
  expect(await textsOf(account, "INBOX")).toEqual([mailText(1, LARGE)]);
  await account.dispose();
});

test("two processes that do it at once lose nothing", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring } = await filled(place);
  const [one, two] = [await open(place, ring()), await open(place, ring())];
  const before = visible(one.mail.state);
  for (let hour = 0; hour < 3; hour++)
    await Promise.allSettled([one.upkeep.run(), two.upkeep.run(), one.mail.subscribe(`${hour}`, true)]);
  await Promise.all([one.refresh(), two.refresh()]);
  await one.upkeep.run();
  await two.upkeep.run();
  for (const account of [one, two]) {
    expect(await stored(account)).toBe("2".repeat(EMAILS));
    expect(visible(account.mail.state)).toEqual(before);
    await assertSound(account);
    await account.dispose();
  }
});

test("a process that dies between a step's checkpoint and what tells of it leaves the rest to the next", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring } = await filled(place);
  for (let puts = 0; puts < 12; puts++) {
    let left = puts;
    const account = await open(place, ring());
    place.fault = (operation) => (operation.startsWith("put") && left-- <= 0 ? { kind: "unavailable" } : undefined);
    await account.upkeep.run().catch((error: unknown) => expect(error).toMatchObject({ name: "EngineError" }));
    place.fault = () => undefined;
    await account.dispose();
  }
  const account = await open(place, ring());
  await account.upkeep.run();
  await account.upkeep.run();
  expect(await stored(account)).toBe("2".repeat(EMAILS));
  await assertSound(account);
  await account.dispose();
});

test("a step is bounded, and the next one goes on behind it", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring } = await filled(place, EMAILS, (n) => n >= 64 && n < 128);
  const { bay, contents } = await openLog(place.open(), accountPrefix(ring()), platform, ring());
  const steps: number[] = [];
  const step = async (limits: Partial<StepLimits>): Promise<void> => {
    const reads = countReads(place);
    await fillSummaries(bay, contents, {}, { pages: 1, emails: 1000, bodyBytes: 2 ** 30, ...limits });
    steps.push(contents.improvedPages().size, reads());
  };
  await step({ emails: 3 });
  await step({ bodyBytes: 1 });
  // Of three bodies two were read together. Bodies that wait for a checkpoint count too.
  expect(steps).toEqual([1, 2, 1, 0]);
  await step({});
  expect(contents.improvedPages()).toEqual(new Set([0]));
  // Page 1 is full, and does not count as done before page 0 is.
  await step({ pages: 2 });
  expect(bay.state.records.find("summaries", "full")).toBeUndefined();
  contents.dispose();
  await bay.dispose();
});

test("emails that come to the last page later are made full too", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring } = await filled(place, 10);
  const account = await open(place, ring());
  await account.upkeep.run();
  await account.upkeep.run();
  await append(account, 10, 20, () => false);
  await account.upkeep.checkpoint();
  expect(await stored(account)).toBe("2".repeat(10) + "1".repeat(10));
  await account.upkeep.run();
  expect(await stored(account)).toBe("2".repeat(20));
  await account.dispose();
});

test("what was done in another numbering or format counts for nothing", async () => {
  for (const value of [encode([2, 7, 3]), encode([3, 0, 3])]) {
    const place = new MemoryPlace(() => clock.now++);
    const { ring } = await filled(place, 10);
    const account = await open(place, ring());
    await account.mail.writeRecords([{ type: "summaries", id: "full", value }]);
    await account.upkeep.run();
    expect(await stored(account)).toBe("2".repeat(10));
    await account.dispose();
  }
});

test("what is expunged is let alone", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring } = await filled(place, 10);
  const account = await open(place, ring());
  const view = openView(account.mail, account.mail.getMailbox("INBOX").id, { readOnly: false });
  await view.setFlags([7], { mode: "add", flags: ["\\Deleted"] });
  await view.expunge();
  const [name] = objects(place, "body");
  let reads = 0;
  place.fault = (operation, read) => {
    if (operation === "get" && read === name) reads++;
    return undefined;
  };
  await account.upkeep.run();
  expect(await stored(account)).toBe("2".repeat(9));
  expect(reads).toBe(0);
  await account.dispose();
});
