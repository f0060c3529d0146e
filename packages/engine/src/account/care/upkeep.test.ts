import { describe, expect, test } from "vitest";
import { EngineError } from "../../errors.ts";
import { openView } from "../../mail/mailbox-view.ts";
import { asEmailRow } from "../../mail/numbers.ts";
import { LOG_VERSION } from "../../mail/ops/op.ts";
import { type Fault, MemoryPlace } from "../../storage/memory.ts";
import {
  clock,
  dropbox,
  mailText,
  makeAccount,
  open,
  platform,
  stream,
  textOf,
  textsOf,
  unlessConflict,
  visible,
} from "../../testing/account-kit.ts";
import { stride } from "../../testing/extent.ts";
import type { Account } from "../account.ts";
import { openLog } from "../open-log.ts";
import { AccountSession } from "../session.ts";
import { checkAccount } from "./check.ts";

const HOUR_MS = 3_600_000;
const LARGE = 10_000;
/** So large that the body is stored before the entry or note that names it. */
const STREAMED = 30_000;

/** Names of one kind in the store. */
const names = (place: MemoryPlace, kind: string): string[] =>
  [...place.objects.keys()].filter((name) => name.includes(`/${kind}/`)).sort();

async function findings(account: Account): Promise<unknown> {
  const { findings } = await checkAccount(new AccountSession({ address: "a@x" }, account, () => undefined));
  return findings;
}

async function append(account: Account, mailbox: string, text: string): Promise<void> {
  await account.append(
    account.mail.getMailbox(mailbox).id,
    await account.prepare(stream(text), { mailbox, flags: [] }),
  );
}

/** Days in which the account is looked after each so many hours. */
async function live(account: Account, hours: number, step = 1): Promise<void> {
  for (let hour = 0; hour < hours; hour += step) {
    clock.now += step * HOUR_MS;
    await account.upkeep.run();
  }
}

async function expungeAll(account: Account, mailbox: string, but: readonly number[] = []): Promise<void> {
  const view = openView(account.mail, account.mail.getMailbox(mailbox).id, { readOnly: false });
  const positions = Array.from({ length: view.length }, (_, at) => at).filter((at) => !but.includes(at));
  await view.setFlags(positions, { mode: "add", flags: ["\\Deleted"] });
  await view.expunge();
}

test("a checkpoint that is due too early is made when its time has come, though nothing is written then", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring } = await makeAccount(place);
  let now = 0;
  let pass: (() => void) | undefined;
  const account = await open(place, ring(), {
    monotonic: () => {
      now += 10;
      return now;
    },
    delay: (ms) =>
      new Promise((resolve) => {
        pass = () => {
          now += ms;
          resolve();
        };
      }),
  });
  const write = async (): Promise<void> => {
    for (let n = 0; n < 70; n++) await account.mail.subscribe(`${n}`, true);
    await new Promise((resolve) => setTimeout(resolve, 20));
  };
  await write();
  expect(names(place, "checkpoint")).toHaveLength(1);
  expect(pass).toBeUndefined();
  await write();
  expect(names(place, "checkpoint")).toHaveLength(1);
  pass!();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(names(place, "checkpoint")).toHaveLength(2);
  await account.dispose();
});

describe("trimming", () => {
  test("a day after a checkpoint entries and notes are gone; all is read from pages and packs, and goes on", async () => {
    const place = new MemoryPlace(() => clock.now++);
    const { ring, user } = await makeAccount(place);
    const box = dropbox(place, user);
    for (let n = 0; n < 90; n++) await box.deliver(new Uint8Array(0), stream(mailText(n, n % 30 === 7 ? LARGE : 10)));
    const account = await open(place, ring());
    await account.refresh();
    for (let n = 90; n < 100; n++) await append(account, "Sent", mailText(n));
    const before = [visible(account.mail.state), await textsOf(account, "INBOX"), await textsOf(account, "Sent")];
    await account.upkeep.checkpoint();
    await live(account, 30);
    expect(names(place, "note")).toEqual([]);
    expect(names(place, "checkpoint")).toHaveLength(1);
    expect(names(place, "log").length).toBeLessThan(6);
    expect(names(place, "pack").length).toBeGreaterThan(0);
    expect(account.mail.state.takenNotes.size).toBe(0);
    const reopened = await open(place, ring());
    await reopened.refresh();
    for (const one of [account, reopened]) {
      expect([visible(one.mail.state), await textsOf(one, "INBOX"), await textsOf(one, "Sent")]).toEqual(before);
      expect(await findings(one)).toEqual([]);
    }
    await append(reopened, "Sent", mailText(100));
    await account.refresh();
    expect(visible(account.mail.state)).toEqual(visible(reopened.mail.state));
    // A reply finds the thread of a mail whose entry is gone.
    const threadsOf = (one: Account): string[] =>
      [one.mail.state.emails.rows - 1, 5].map((row) => one.mail.state.threadOf(asEmailRow(row)).join());
    await append(account, "Sent", "Subject: Re: mail 5\r\nMessage-ID: <r@x>\r\nIn-Reply-To: <5@x>\r\n\r\nyes\r\n");
    const [reply, first] = threadsOf(account);
    expect(reply).toBe(first);
    await Promise.all([account.dispose(), reopened.dispose()]);
  });

  test.each(["a store that refuses names below the log's beginning", "a store that forgets what it held"])(
    "a frozen writer wakes up behind a trimmed log: what it is told is true (%s)",
    async (kind) => {
      const place = new MemoryPlace(() => clock.now++);
      if (kind.includes("forgets")) place.floors.set = () => place.floors;
      const { ring } = await makeAccount(place);
      const deaf = place.open();
      deaf.watch = () => () => undefined;
      const [frozen, sleeper] = [await open({ open: () => deaf }, ring()), await open({ open: () => deaf }, ring())];
      const other = await open(place, ring());
      // Nobody tells the frozen one.
      for (let n = 0; n < 9; n++) await append(other, "Sent", mailText(n));
      await other.upkeep.checkpoint();
      await live(other, 26);
      expect(names(place, "log").length).toBeLessThan(5);
      await append(frozen, "Drafts", mailText(50));
      expect(await textsOf(frozen, "Sent")).toHaveLength(9);
      await other.refresh();
      expect(await textsOf(other, "Drafts")).toEqual([mailText(50)]);
      expect(visible(other.mail.state)).toEqual(visible(frozen.mail.state));
      // Entries that the frozen process may have left in the place of the trimmed log are not read by another that slept.
      await sleeper.refresh();
      const fresh = await open(place, ring());
      await fresh.refresh();
      for (const one of [sleeper, fresh]) expect(visible(one.mail.state)).toEqual(visible(frozen.mail.state));
      await Promise.all([frozen, sleeper, other, fresh].map((one) => one.dispose()));
    },
  );

  test("a process that holds an old checkpoint's pages for a day reads on", async () => {
    const place = new MemoryPlace(() => clock.now++);
    const { ring } = await makeAccount(place);
    const writer = await open(place, ring());
    for (let n = 0; n < 70; n++) await append(writer, "Sent", mailText(n));
    await writer.upkeep.checkpoint();
    const reader = await open(place, ring());
    await reader.refresh();
    await expungeAll(writer, "Sent", [3, 40]);
    await live(writer, 26);
    await writer.upkeep.checkpoint();
    await live(writer, 60);
    expect(await textOf(reader, "Sent", 0)).toBe(mailText(3));
    await reader.refresh();
    expect(await textsOf(reader, "Sent")).toEqual([mailText(3), mailText(40)]);
    await Promise.all([reader.dispose(), writer.dispose()]);
  });
});

test.each([0, LOG_VERSION - 1])(
  "who knows no checkpoints of this format, but %i, is told before the first is announced, once",
  async (version) => {
    const place = new MemoryPlace(() => clock.now++);
    const { ring } = await makeAccount(place);
    const account = await open(place, ring());
    if (version > 0) await account.mail.push({ kind: "requires", version });
    expect(account.mail.state.requires).toBe(version);
    await account.upkeep.checkpoint();
    expect(account.mail.state.requires).toBe(LOG_VERSION);
    const entries = names(place, "log").length;
    await append(account, "Sent", mailText(1));
    await account.upkeep.checkpoint();
    // The mail and the announcement.
    expect(names(place, "log").length).toBe(entries + 2);
    await account.dispose();
  },
);

test("upon a checkpoint that was never announced no note is deleted", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, user } = await makeAccount(place);
  const box = dropbox(place, user);
  for (let n = 0; n < 3; n++) await box.deliver(new Uint8Array(0), stream(mailText(n)));
  const account = await open(place, ring());
  await account.refresh();
  const { length } = names(place, "checkpoint");
  // Its process dies when the manifest is there: the checkpoint never ends.
  place.fault = (operation, name) =>
    operation === "putIfAbsent" && name.includes("/log/") && names(place, "checkpoint").length > length
      ? { kind: "hang" }
      : undefined;
  void account.upkeep.checkpoint().catch(() => undefined);
  while (names(place, "checkpoint").length === length) await new Promise((resolve) => setTimeout(resolve, 1));
  await new Promise((resolve) => setTimeout(resolve, 10));
  place.fault = () => undefined;
  const opener = await open(place, ring());
  expect(opener.mail.state.pages.covers).toBeGreaterThan(0);
  expect(opener.mail.state.checkpoint).toBeUndefined();
  await opener.upkeep.run();
  expect(names(place, "note")).toHaveLength(3);
  // Pages of the checkpoint that a process opened by don't go either.
  const pages = names(place, "page");
  await live(opener, 40);
  expect(names(place, "page")).toEqual(expect.arrayContaining(pages));
  await opener.dispose();
});

test("hashes of entries that a checkpoint keeps are kept", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, prefix } = await makeAccount(place);
  const account = await open(place, ring());
  for (let n = 0; n < 1_100; n++) await account.mail.subscribe("Somewhere", n % 2 === 0);
  await account.upkeep.checkpoint().catch(unlessConflict);
  await live(account, 50, 2);
  const { bay } = await openLog(place.open(), prefix, platform, ring());
  const { manifest } = (await bay.readManifest(account.mail.state.checkpoint!.covers))!;
  expect(manifest.hashes.pages.length).toBeGreaterThan(0);
  const kept = names(place, "page").map((name) => name.slice(prefix.length));
  expect(kept).toEqual(expect.arrayContaining([...manifest.hashes.pages]));
  await Promise.all([account.dispose(), bay.dispose()]);
});

describe("collection", () => {
  test("what is expunged is gone from the store after a day or two; the rest stays", async () => {
    const place = new MemoryPlace(() => clock.now++);
    const { ring } = await makeAccount(place);
    const account = await open(place, ring());
    for (let n = 0; n < 40; n++) await append(account, "Sent", mailText(n, n % 4 === 0 ? LARGE : 10));
    await account.upkeep.checkpoint();
    expect(names(place, "body")).toHaveLength(10);
    const [pack] = names(place, "pack");
    await expungeAll(account, "Sent", [4, 5, 7]);
    await live(account, 30);
    await account.upkeep.checkpoint();
    await live(account, 60);
    expect(names(place, "body")).toHaveLength(1);
    expect(names(place, "pack")).toHaveLength(1);
    // Less than half of it was alive.
    expect(names(place, "pack")).not.toContain(pack);
    expect(await textsOf(account, "Sent")).toEqual([mailText(4, LARGE), mailText(5), mailText(7)]);
    expect(account.mail.state.condemned.size).toBe(0);
    const reopened = await open(place, ring());
    await reopened.refresh();
    expect(await findings(reopened)).toEqual([]);
    await Promise.all([account.dispose(), reopened.dispose()]);
  });

  test("what is more than one op may condemn goes all the same day", async () => {
    const place = new MemoryPlace(() => clock.now++);
    const { ring } = await makeAccount(place);
    const account = await open(place, ring());
    const { id } = account.mail.state.inbox;
    const count = 1_050;
    for (let n = 0; n < count; n += 50) {
      const texts = Array.from({ length: 50 }, (_, at) => mailText(n + at, 3_000));
      const prepared = await Promise.all(
        texts.map((text) => account.prepare(stream(text), { mailbox: "INBOX", flags: [] })),
      );
      await account.addMany(prepared.map((one) => ({ prepared: one, mailboxes: [id] })));
    }
    expect(names(place, "body")).toHaveLength(count);
    await live(account, 3);
    await expungeAll(account, "INBOX");
    await live(account, 38);
    expect(names(place, "body")).toEqual([]);
    await live(account, 2);
    expect(account.mail.state.condemned.size).toBe(0);
    await account.dispose();
  });

  test("the body of a note that can't be opened for days is there when it can", async () => {
    const place = new MemoryPlace(() => clock.now++);
    const { ring, user } = await makeAccount(place);
    const text = mailText(1, STREAMED);
    await dropbox(place, user).deliver(new Uint8Array(0), stream(text));
    const [note] = names(place, "note");
    const good = place.objects.get(note!)!.bytes;
    place.write(note!, good.subarray(0, 300));
    expect(names(place, "body")).toHaveLength(1);
    const account = await open(place, ring());
    await account.refresh();
    await live(account, 90);
    expect(names(place, "body")).toHaveLength(1);
    place.write(note!, good);
    clock.now += HOUR_MS;
    await account.refresh();
    expect(await textsOf(account, "INBOX")).toEqual([text]);
    await account.dispose();
  });

  test("an upload that took two days is stored anew, whether its body is condemned or gone", async () => {
    const place = new MemoryPlace(() => clock.now++);
    const { ring } = await makeAccount(place);
    const [slow, collector] = [await open(place, ring()), await open(place, ring())];
    const condemned = await slow.prepare(stream(mailText(1, STREAMED)), { mailbox: "Sent", flags: ["\\Seen"] });
    await live(collector, 2);
    await append(collector, "Drafts", mailText(8));
    await live(collector, 25);
    expect(collector.mail.state.condemned.size).toBe(1);
    await slow.append(slow.mail.getMailbox("Sent").id, condemned);
    const gone = await slow.prepare(stream(mailText(2, STREAMED)), { mailbox: "Sent", flags: [] });
    await append(collector, "Drafts", mailText(9));
    await live(collector, 80);
    await expect(slow.append(slow.mail.getMailbox("Sent").id, gone)).rejects.toMatchObject({ code: "unavailable" });
    await live(collector, 60);
    await collector.refresh();
    expect(await textsOf(collector, "Sent")).toEqual([mailText(1, STREAMED)]);
    expect(await textsOf(slow, "Sent")).toEqual([mailText(1, STREAMED)]);
    await Promise.all([slow.dispose(), collector.dispose()]);
  });

  test("a delivery whose note comes when its body is condemned already is stored anew", async () => {
    const place = new MemoryPlace(() => clock.now++);
    const { ring, user } = await makeAccount(place);
    const account = await open(place, ring());
    let release: () => void = () => undefined;
    const waiting = new Promise<void>((resolve) => {
      release = resolve;
    });
    const late = place.open();
    const box = dropbox({ open: () => late }, user);
    const { put } = late;
    late.put = async (name, content) => {
      if (name.includes("/note/")) await waiting;
      return put.call(late, name, content);
    };
    const delivered = box.deliver(new Uint8Array(0), stream(mailText(1, STREAMED)));
    while (names(place, "body").length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await live(account, 2);
    await append(account, "Drafts", mailText(8));
    await live(account, 25);
    expect(account.mail.state.condemned.size).toBe(1);
    release();
    await delivered;
    await account.refresh();
    await live(account, 60);
    expect(await textsOf(account, "INBOX")).toEqual([mailText(1, STREAMED)]);
    await account.dispose();
  });

  test("two who collect, copy and expunge at once lose nothing", async () => {
    const place = new MemoryPlace(() => clock.now++);
    const { ring, user } = await makeAccount(place);
    const box = dropbox(place, user);
    const both = [await open(place, ring()), await open(place, ring())] as const;
    for (let round = 0; round < 12; round++) {
      await box.deliver(new Uint8Array(0), stream(mailText(round, round % 3 === 0 ? LARGE : 10)));
      const [one, two] = round % 2 === 0 ? both : [both[1], both[0]];
      clock.now += 9 * HOUR_MS;
      await Promise.all([
        one
          .refresh()
          .then(() =>
            openView(one.mail, one.mail.getMailbox("INBOX").id, { readOnly: false }).copy(
              [0],
              one.mail.getMailbox("Archive").id,
            ),
          ),
        two.upkeep.run(),
        append(two, "Sent", mailText(100 + round, LARGE)),
        round % 4 === 3 ? one.upkeep.checkpoint().catch(unlessConflict) : two.upkeep.run(),
      ]);
      if (round % 5 === 4) await expungeAll(two, "INBOX", [0]);
    }
    await Promise.all(both.map((one) => one.refresh()));
    expect(visible(both[0].mail.state)).toEqual(visible(both[1].mail.state));
    for (const one of both) {
      expect(await findings(one)).toEqual([]);
      expect(await textsOf(one, "Sent")).toEqual(Array.from({ length: 12 }, (_, n) => mailText(100 + n, LARGE)));
    }
    await Promise.all(both.map((one) => one.dispose()));
  });
});

test("an account whose checkpoint fails while it is closed is closed all the same", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring } = await makeAccount(place);
  const own = ring();
  const account = await open(place, own);
  await append(account, "Sent", mailText(1));
  place.fault = (operation) => (operation === "put" ? { kind: "unavailable" } : undefined);
  const checkpoint = account.upkeep.checkpoint();
  const disposed = account.dispose();
  await expect(checkpoint).rejects.toMatchObject({ code: "unavailable" });
  await disposed;
  expect(() => own.versions[0]!.root.bytes).toThrow("wiped");
});

describe("faults at any request of upkeep", () => {
  test.each(["unavailable", "lost-answer", "hang"] as const)(
    "%s: nothing is lost, and the next run ends it",
    async (kind) => {
      for (let at = 1, reached = true; reached; at += stride(17)) {
        const place = new MemoryPlace(() => clock.now++);
        const { ring, user } = await makeAccount(place);
        const account = await open(place, ring());
        const box = dropbox(place, user);
        for (let n = 0; n < 4; n++) await box.deliver(new Uint8Array(0), stream(mailText(n, n === 2 ? LARGE : 10)));
        await account.refresh();
        await append(account, "Sent", mailText(5, LARGE));
        await expungeAll(account, "INBOX", [1, 2]);
        const expected = visible(account.mail.state);
        let count = 0;
        const fault: Fault = { kind };
        place.fault = () => (++count === at ? fault : undefined);
        const work = (async () => {
          await account.upkeep.checkpoint();
          await live(account, 26, 4);
          await account.upkeep.checkpoint();
          await live(account, 26, 4);
        })();
        // One that hangs is as good as killed.
        await Promise.race([work.catch(unlessRefused), untilQuiet(place)]);
        reached = count >= at;
        place.fault = () => undefined;
        const after = await open(place, ring());
        await after.refresh();
        // A checkpoint that was never announced holds its name: the next one is of a later entry.
        await after.mail.subscribe("Somewhere", true);
        await after.upkeep.checkpoint().catch(unlessConflict);
        await live(after, 60, 4);
        expect(await findings(after)).toEqual([]);
        expect(visible(after.mail.state)).toEqual(expected);
        expect(await textsOf(after, "INBOX")).toEqual([mailText(1), mailText(2, LARGE)]);
        expect(names(place, "note")).toEqual([]);
        expect(names(place, "body").length).toBeLessThanOrEqual(2);
        await after.dispose();
      }
    },
  );
});

/** Passes over requests that the fault made fail, or whose outcome is unknown: they are made again below. */
function unlessRefused(error: unknown): void {
  if (!(error instanceof EngineError && error.code !== "corrupt")) throw error;
}

/** Resolves when no request was made for a while. */
async function untilQuiet(place: MemoryPlace): Promise<void> {
  const total = (): number => Object.values(place.counts).reduce((sum, count) => sum + count, 0);
  for (let before = -1; before !== total(); ) {
    before = total();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
