import { expect, test, vi } from "vitest";
import { BARRED } from "../../bay/bay.ts";
import { entryNumber } from "../../bay/entry.ts";
import { manifestNumber } from "../../bay/manifest.ts";
import type { Ring } from "../../crypto/index.ts";
import { pagesOf as pagesNamed } from "../../mail/checkpoint/snapshot.ts";
import { asEmailRow, type EmailRow } from "../../mail/numbers.ts";
import { MemoryPlace } from "../../storage/memory.ts";
import {
  clock,
  dropbox,
  mailText,
  makeAccount,
  open,
  platform,
  stream,
  textsOf,
  visible,
} from "../../testing/account-kit.ts";
import type { Account } from "../account.ts";
import { openLog } from "../open-log.ts";
import type { WitnessKeeper } from "../platform.ts";
import { AccountSession } from "../session.ts";
import { checkAccount } from "./check.ts";
import { DAMAGED, RECOVERED } from "./repair.ts";

const LARGE = 10_000;

const findings = async (account: Account) =>
  (await checkAccount(new AccountSession({ address: "a@x" }, account, () => undefined))).findings;

/** An account of 130 messages, some large, all in pages, some flagged and some gone. */
async function filled(place: MemoryPlace) {
  const { ring, user, prefix } = await makeAccount(place);
  const box = dropbox(place, user);
  const account = await open(place, ring());
  const texts = Array.from({ length: 130 }, (_, n) => mailText(n, n % 20 === 7 ? LARGE : 10));
  for (const text of texts.slice(0, 66)) {
    await box.deliver(new Uint8Array(0), stream(text));
    await account.refresh();
  }
  for (const text of texts.slice(66))
    await account.append(
      account.mail.getMailbox("INBOX").id,
      await account.prepare(stream(text), { mailbox: "INBOX", flags: ["\\Seen"] }),
    );
  // The first may be one that is under way, and cover less.
  await account.upkeep.checkpoint();
  await account.upkeep.checkpoint();
  await account.dispose();
  return { ring, prefix, texts };
}
const pagesOf = (place: MemoryPlace): string[] => [...place.objects.keys()].filter((name) => name.includes("/page/"));

test("whichever page of rows or headers is lost or damaged, it is made anew, and nothing that is shown changes", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, texts } = await filled(place);
  const whole = place.snapshot();
  const sound = await open(place, ring());
  const expected = visible(sound.mail.state);
  await sound.dispose();
  let mended = 0;
  for (const [at, page] of pagesOf(place).entries()) {
    place.rollback(whole);
    const { bytes } = place.objects.get(page)!;
    if (at % 2 === 0) place.objects.delete(page);
    else place.write(page, bytes.subarray(0, bytes.length >> 1));
    const account = await open(place, ring());
    // Lost columns have a test of their own.
    if (account.barred) {
      await account.dispose();
      continue;
    }
    const isHurt = (await findings(account)).length > 0;
    const { rebuilt, lost } = await account.repair();
    expect(lost).toEqual([]);
    if (isHurt) expect(rebuilt).toBeGreaterThan(0);
    mended += rebuilt > 0 ? 1 : 0;
    await account.dispose();
    const again = await open(place, ring());
    expect(await findings(again)).toEqual([]);
    expect(visible(again.mail.state)).toEqual(expected);
    expect(await textsOf(again, "INBOX")).toEqual(texts);
    // Message ids are looked up for whatever comes.
    await again.append(
      again.mail.getMailbox("Sent").id,
      await again.prepare(stream("Subject: Re: mail 7\r\nIn-Reply-To: <7@x>\r\n\r\n"), { mailbox: "Sent", flags: [] }),
    );
    const { state } = again.mail;
    const thread = (email: EmailRow) => Buffer.from(state.threadOf(email)).toString("hex");
    expect(thread(asEmailRow(130))).toBe(thread(asEmailRow(7)));
    await again.dispose();
  }
  // Three pages of rows, three of headers, one that message ids are looked up in, one of texts, one of ids.
  expect(mended).toBe(9);
});

test.each([{ groups: ["texts"] }, { groups: ["ids"] }, { groups: ["texts", "ids"] }] as const)(
  "a damaged page of $groups is told, and made anew though no mail comes",
  async ({ groups }) => {
    const place = new MemoryPlace(() => clock.now++);
    const { ring } = await filled(place);
    const account = await open(place, ring());
    for (const group of groups) {
      const [name] = account.mail.state.pages[group];
      const stored = [...place.objects.keys()].find((one) => one.endsWith(name!))!;
      place.write(stored, place.objects.get(stored)!.bytes.subarray(0, 100));
    }
    expect((await findings(account)).map(({ problem }) => problem)).toEqual([
      "a page of what searches and lists show can't be read",
    ]);
    expect(await account.repair()).toEqual({ recovered: 0, rebuilt: 130, lost: [] });
    expect(await findings(account)).toEqual([]);
    await account.dispose();
  },
);

test("a message whose body is lost makes room for one that says so, once; the rest stays as it is", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, texts } = await filled(place);
  const body = [...place.objects.keys()].find((name) => name.includes("/body/"))!;
  const kept = place.objects.get(body)!;
  place.objects.delete(body);
  const account = await open(place, ring());
  const looked = vi.fn();
  const { rebuilt, lost } = await account.repair(looked);
  expect(looked).toHaveBeenCalledTimes(texts.length);
  expect(rebuilt).toBe(0);
  expect(lost).toHaveLength(1);
  expect(await account.repair()).toEqual({ recovered: 0, rebuilt: 0, lost: [] });
  const now = await textsOf(account, "INBOX");
  const [notice] = now.splice(-1);
  expect(notice).toContain("Subject: A message is lost");
  const missing = texts.filter((text) => !now.includes(text));
  expect(missing).toHaveLength(1);
  expect(notice).toContain(`Message-ID: ${/<\d+@x>/.exec(missing[0]!)![0]}`);
  // A body that comes back from a backup is whole again, in the mailbox of damaged mails.
  place.write(body, kept.bytes);
  expect(await textsOf(account, DAMAGED)).toEqual(missing);
  await account.dispose();
});

test("what is lost with its page and its body too leaves the others of that page whole", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, texts } = await filled(place);
  for (const name of [...place.objects.keys()]) if (name.includes("/body/")) place.objects.delete(name);
  const account = await open(place, ring());
  const hurt = new Set<string>();
  for (const page of pagesOf(place)) {
    const { bytes } = place.objects.get(page)!;
    place.objects.delete(page);
    const probe = await open(place, ring());
    if (probe.barred) place.write(page, bytes);
    else hurt.add(page);
    await probe.dispose();
  }
  expect(hurt.size).toBeGreaterThanOrEqual(7);
  await account.dispose();
  const reopened = await open(place, ring());
  const { lost } = await reopened.repair();
  const large = texts.filter((_, n) => n % 20 === 7);
  expect(lost).toHaveLength(large.length);
  const left = (await textsOf(reopened, "INBOX")).filter((text) => !text.includes("A message is lost"));
  expect(left).toEqual(texts.filter((text) => !large.includes(text)));
  await reopened.dispose();
});

test("where columns are lost and the log behind them is gone, what is left is read under other numbers, and repair finds each body", async () => {
  // A young account, whatever the clock of this process was moved to before: see AHEAD in lost-chunks.ts.
  clock.now = 1_700_000_000_000;
  const place = new MemoryPlace(() => clock.now++);
  const { ring, prefix, texts } = await filled(place);
  const sound = await open(place, ring());
  await sound.append(
    sound.mail.getMailbox("Sent").id,
    await sound.prepare(stream(mailText(500)), { mailbox: "Sent", flags: [] }),
  );
  await sound.mail.ensure("Folders stay");
  const validities = sound.mail.state.liveMailboxes().map(({ uidValidity }) => uidValidity);
  await sound.dispose();
  const { columns, covered } = await columnsOf(place, ring(), prefix);
  await place.open().delete(covered);
  const whole = place.snapshot();
  expect(columns).toHaveLength(2);
  for (const [at, page] of columns.entries()) {
    place.rollback(whole);
    const { bytes } = place.objects.get(page)!;
    if (at === 0) place.objects.delete(page);
    else place.write(page, bytes.subarray(0, bytes.length >> 1));
    // The witness of the whole account is no reason to refuse it.
    for (let opening = 0; opening < 2; opening++) {
      const account = await open(place, ring());
      expect(account.barred).toBe("partial");
      await expect(account.mail.ensure("More")).rejects.toThrow(BARRED.partial);
      expect(await textsOf(account, "INBOX")).toEqual([]);
      expect(await textsOf(account, "Sent")).toEqual([mailText(500)]);
      for (const { uidValidity } of account.mail.state.liveMailboxes()) expect(validities).not.toContain(uidValidity);
      await account.dispose();
    }
    // The page comes back: nothing was changed.
    place.write(page, bytes);
    const back = await open(place, ring());
    expect([back.barred, await textsOf(back, "INBOX")]).toEqual([undefined, texts]);
    // Less than was seen is an older history, also where a part is lost: that is told first, and not repaired.
    place.objects.delete(page);
    const witness = { entry: 1, hash: new Uint8Array(32) };
    const witnesses = { read: async () => witness, isRestored: async () => false } as unknown as WitnessKeeper;
    const other = await open(place, ring(), { witnesses });
    expect(other.barred).toBe("rolled-back");
    await other.dispose();
    place.write(page, bytes);
    // A gap in what comes after it is damage besides.
    const [tail] = [...place.objects.keys()].filter((name) => name.includes("/log/")).sort();
    const entry = place.objects.get(tail!)!;
    place.objects.delete(tail!);
    place.objects.delete(page);
    const gap = await open(place, ring());
    expect(gap.barred).toBe("damaged");
    await gap.dispose();
    place.write(tail!, entry.bytes);
    place.write(page, bytes);
    const { epoch } = back.mail.state;
    // It stays open, with all that is lost to others.
    place.objects.delete(page);
    const account = await open(place, ring());
    expect((await account.repair()).recovered).toBe(texts.length);
    expect(account.barred).toBeUndefined();
    await account.dispose();
    await back.refresh();
    for (const one of [back, await open(place, ring())]) {
      expect((await textsOf(one, RECOVERED)).sort()).toEqual([...texts].sort());
      expect([one.barred, await textsOf(one, "INBOX"), await textsOf(one, "Sent")]).toEqual([
        undefined,
        [],
        [mailText(500)],
      ]);
      expect(one.mail.state.findPath("Folders stay")).toBeDefined();
      expect(one.mail.state.epoch).toBe(epoch + 1);
      expect(await findings(one)).toEqual([]);
      expect((await one.repair()).recovered).toBe(0);
      await one.dispose();
    }
  }
});

/** The pages of columns that the newest checkpoint names, and all that covers less or is covered. */
async function columnsOf(place: MemoryPlace, ring: Ring, prefix: string) {
  const manifests = [...place.objects.keys()].filter((name) => name.includes("/checkpoint/")).sort();
  const covers = manifestNumber(manifests[0]!.slice(prefix.length));
  const entries = [...place.objects.keys()].filter((name) => name.includes("/log/"));
  const covered = entries.filter((name) => entryNumber(name.slice(prefix.length)) <= covers);
  const { bay } = await openLog(place.open(), prefix, platform, ring);
  const { memberships, emails } = pagesNamed((await bay.readManifest(covers))!.manifest.body, covers);
  await bay.dispose();
  return {
    columns: [...memberships, ...emails].map((name) => prefix + name),
    covered: [...covered, ...manifests.slice(1)],
  };
}

test("what is rebuilt of a pack that no checkpoint names is moved to another: that one is garbage", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, prefix, texts } = await filled(place);
  const account = await open(place, ring());
  const { rows, packs } = account.mail.state.pages;
  // Replaced objects stay for a day; names are random.
  const old = `${prefix}pack/${"0".repeat(32)}`;
  place.write(old, place.objects.get(prefix + packs[0]!.name)!.bytes);
  await place.open().delete([prefix + rows[0]!]);
  expect((await account.repair()).rebuilt).toBeGreaterThan(0);
  await place.open().delete([old]);
  expect(await textsOf(account, "INBOX")).toEqual(texts);
  await account.dispose();
  const again = await open(place, ring());
  expect(await textsOf(again, "INBOX")).toEqual(texts);
  expect(await findings(again)).toEqual([]);
  await again.dispose();
});

test.each([
  ["cut off", (bytes: Uint8Array) => bytes.subarray(0, 50)],
  ["of other keys", (bytes: Uint8Array) => bytes.map(() => 9)],
])(
  "where a checkpoint is %s, what notes brought is found in its packs, though they are deleted",
  async (_what, harm) => {
    const place = new MemoryPlace(() => clock.now++);
    const { ring, user } = await makeAccount(place);
    const account = await open(place, ring());
    const texts = [1, 2, 3].map((n) => mailText(n));
    const box = dropbox(place, user);
    for (const text of texts) {
      await box.deliver(new Uint8Array(0), stream(text));
      await account.refresh();
      if (text !== texts[1]) await account.upkeep.checkpoint();
    }
    await account.upkeep.run();
    await account.dispose();
    const names = (kind: string): string[] =>
      [...place.objects.keys()].filter((name) => name.includes(`/${kind}/`)).sort();
    expect(names("note")).toEqual([]);
    const [manifest] = names("checkpoint");
    place.write(manifest!, harm(place.objects.get(manifest!)!.bytes));
    const packs = names("pack");
    const again = await open(place, ring());
    expect(again.barred).toBeUndefined();
    expect(await again.repair()).toEqual({ recovered: 0, rebuilt: 2, lost: [] });
    // The packs that they were found in are garbage.
    expect(again.mail.state.pages.packs.length).toBe(2);
    await again.dispose();
    const named = new Set<string>();
    const whole = await open(place, ring());
    for (const { name } of whole.mail.state.pages.packs) named.add(name);
    await place.open().delete(packs.filter((name) => ![...named].some((one) => name.endsWith(one))));
    expect(await textsOf(whole, "INBOX")).toEqual(texts);
    expect(await findings(whole)).toEqual([]);
    await whole.dispose();
  },
);
