import { expect, test } from "vitest";
import { type CryptoPlatform, encapsulate, hostId, makeNote, type Ring, signingKeyPair } from "../../crypto/index.ts";
import { MemoryPlace } from "../../storage/memory.ts";
import { RecentStore } from "../../storage/recent-store.ts";
import {
  bytes,
  clock,
  crypto,
  dropbox,
  mailText,
  makeAccount,
  open,
  signer,
  stream,
  textsOf,
} from "../../testing/account-kit.ts";
import { checkAccount } from "../care/check.ts";
import type { LogEvent } from "../platform.ts";
import { AccountSession } from "../session.ts";
import { UNREADABLE, UNVERIFIED } from "./note-reader.ts";
import { IDS_AT_ONCE } from "./take-in.ts";

const HOUR_MS = 3_600_000;
const notes = (place: MemoryPlace): string[] => [...place.objects.keys()].filter((name) => name.includes("/note/"));

test("a note that can't be opened is tried again, told to its owner once, and never deleted; it is taken in when it can be", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, user } = await makeAccount(place);
  const box = dropbox(place, user);
  await box.deliver(new Uint8Array(0), stream(mailText(1)));
  const [name] = notes(place);
  const good = place.objects.get(name!)!;
  place.write(
    name!,
    good.bytes.map((byte, at) => (at === 300 ? byte ^ 1 : byte)),
  );
  await box.deliver(new Uint8Array(0), stream(mailText(2)));
  const account = await open(place, ring());
  await account.refresh();
  expect(account.mail.state.findPath(UNREADABLE)).toBeUndefined();
  for (let half = 0; half < 6; half++) {
    clock.now += HOUR_MS / 2;
    await account.refresh();
  }
  await account.upkeep.checkpoint();
  for (let hour = 0; hour < 60; hour += 6) {
    clock.now += 6 * HOUR_MS;
    await account.upkeep.run();
    await account.refresh();
  }
  expect(await textsOf(account, "INBOX")).toContain(mailText(2));
  const told = await textsOf(account, UNREADABLE);
  expect(told).toHaveLength(1);
  expect(told[0]).toContain(`about ${good.bytes.length} bytes`);
  expect(notes(place)).toContain(name);
  // Another opening, from the checkpoint, tells it no second time.
  const reopened = await open(place, ring());
  for (let half = 0; half < 4; half++) {
    clock.now += HOUR_MS / 2;
    await reopened.refresh();
  }
  expect(await textsOf(reopened, UNREADABLE)).toHaveLength(1);
  place.write(name!, good.bytes);
  clock.now += HOUR_MS;
  await reopened.refresh();
  expect(await textsOf(reopened, "INBOX")).toContain(mailText(1));
  await Promise.all([account.dispose(), reopened.dispose()]);
});

test("the owner's check tells of notes that can't be opened, and tries them again", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, user } = await makeAccount(place);
  const box = dropbox(place, user);
  for (const n of [1, 2]) await box.deliver(new Uint8Array(0), stream(mailText(n)));
  const [name] = notes(place);
  const good = place.objects.get(name!)!;
  place.write(name!, good.bytes.slice(0, 500));
  const account = await open(place, ring());
  const session = new AccountSession({ address: "a@x" }, account, () => undefined);
  const note = name!.slice(name!.indexOf("note/"));
  expect((await checkAccount(session)).findings).toEqual([{ mailbox: "", problem: `${note} can't be opened` }]);
  expect(await textsOf(account, "INBOX")).toEqual([mailText(2)]);
  place.write(name!, good.bytes);
  expect(await session.retryNotes()).toEqual([]);
  expect((await checkAccount(session)).findings).toEqual([]);
  expect((await textsOf(account, "INBOX")).toSorted()).toEqual([mailText(1), mailText(2)]);
  await account.dispose();
});

test("a note that the store drops is told to the owner after a day, once; one given up by its host never is", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, user } = await makeAccount(place);
  const box = dropbox(place, user);
  await box.deliver(new Uint8Array(0), stream(mailText(1)));
  place.fault = () => ({ kind: "unavailable" });
  await expect(box.deliver(new Uint8Array(0), stream(mailText(2)))).rejects.toMatchObject({ code: "unavailable" });
  place.fault = () => undefined;
  await box.deliver(new Uint8Array(0), stream(mailText(3)));
  await box.deliver(new Uint8Array(0), stream(mailText(4)));
  place.objects.delete(notes(place).at(-1)!);
  await box.deliver(new Uint8Array(0), stream(mailText(5)));
  const account = await open(place, ring());
  await account.refresh();
  expect(await textsOf(account, "INBOX")).toEqual([mailText(1), mailText(3), mailText(5)]);
  for (let hours = 0; hours < 60; hours += 5) {
    clock.now += 5 * HOUR_MS;
    await account.refresh();
    const texts = await textsOf(account, "INBOX");
    expect(texts.length).toBe(hours < 20 ? 3 : 4);
    if (hours >= 20) expect(texts[3]).toContain("Subject: A delivery is missing");
  }
  await account.dispose();
});

test("a note that opens and holds nonsense is told to its owner, and holds no other mail up", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, user, prefix } = await makeAccount(place);
  const origin = { host: hostId(signer.publicKey), stream: new Uint8Array(16), counter: 1, givenUp: [] };
  for (const [at, summary] of [bytes("no CBOR"), Uint8Array.of(0x80), Uint8Array.of(0x9b)].entries()) {
    const name = `note/${(clock.now + at).toString(16).padStart(12, "0")}0000000000000000`;
    const note = { name, kem: encapsulate(crypto, user.record), origin, summary };
    place.write(prefix + name, makeNote(crypto, user.record, note, signer));
  }
  await dropbox(place, user).deliver(new Uint8Array(0), stream(mailText(1)));
  const account = await open(place, ring());
  for (let half = 0; half < 6; half++) {
    await account.refresh();
    clock.now += HOUR_MS / 2;
  }
  expect(await textsOf(account, "INBOX")).toEqual([mailText(1)]);
  expect(await textsOf(account, UNREADABLE)).toHaveLength(3);
  await account.dispose();
});

test("a note that does not open and is much older than the newest one is told to its owner too", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, user, prefix } = await makeAccount(place);
  place.write(
    `${prefix}note/${(clock.now - 9 * HOUR_MS).toString(16).padStart(12, "0")}0000000000000000`,
    bytes("damaged"),
  );
  await dropbox(place, user).deliver(new Uint8Array(0), stream(mailText(1)));
  const account = await open(place, ring());
  for (let half = 0; half < 6; half++) {
    await account.refresh();
    clock.now += HOUR_MS / 2;
  }
  expect(await textsOf(account, UNREADABLE)).toHaveLength(1);
  await account.dispose();
});

test("a note that this process put is taken in once, however late it is told of it: others did, and forgot it a day later", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, user } = await makeAccount(place);
  const store = new RecentStore(place.open());
  // The process is told of nothing until it wakes up.
  let tellOf: (name: string) => void = () => undefined;
  store.watch = (under, tell) => {
    if (under.endsWith("note/")) tellOf = tell;
    return () => undefined;
  };
  const asleep = await open({ open: () => store }, ring());
  await asleep.takeIn();
  // No number of a trusted host's says that it was taken in.
  const stranger = signingKeyPair(new Uint8Array(32).fill(3));
  await dropbox({ open: () => store }, user, stranger).deliver(new Uint8Array(0), stream(mailText(1)));
  const [note] = notes(place);
  const awake = await open(place, ring());
  await awake.refresh();
  await awake.upkeep.checkpoint();
  for (let hours = 0; hours < 30; hours++) {
    clock.now += HOUR_MS;
    await awake.upkeep.run();
  }
  expect(notes(place)).toEqual([]);
  expect(awake.mail.state.takenNotes.size).toBe(0);
  await asleep.mail.ensure("Elsewhere");
  expect(asleep.mail.state.takenNotes.size).toBe(0);
  tellOf(note!);
  await asleep.refresh();
  await awake.refresh();
  for (const account of [asleep, awake]) expect(await textsOf(account, UNVERIFIED)).toEqual([mailText(1)]);
  await Promise.all([asleep.dispose(), awake.dispose()]);
});

test("a note that came damaged is asked for again", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, user } = await makeAccount(place);
  await dropbox(place, user).deliver(new Uint8Array(0), stream(mailText(1)));
  const [name] = notes(place);
  const good = place.objects.get(name!)!.bytes;
  const store = new RecentStore(place.open());
  place.write(
    name!,
    good.map((byte, at) => (at === 300 ? byte ^ 1 : byte)),
  );
  const account = await open({ open: () => store }, ring());
  await account.refresh();
  expect(await textsOf(account, "INBOX")).toEqual([]);
  place.write(name!, good);
  expect(await account.retryNotes()).toEqual([]);
  expect(await textsOf(account, "INBOX")).toEqual([mailText(1)]);
  await account.dispose();
});

test("mail that comes while nobody is signed in is taken in by one op when no more comes; else it is at once", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, user } = await makeAccount(place);
  const box = dropbox(place, user);
  let pass: () => void = () => undefined;
  const delay = (): Promise<void> =>
    new Promise((resolve) => {
      pass = resolve;
    });
  const account = await open(place, ring(), { delay });
  await account.refresh();
  const entries = (): number => [...place.objects.keys()].filter((name) => name.includes("/log/")).length;
  const before = entries();
  const arrive = async (n: number): Promise<void> => {
    await box.deliver(new Uint8Array(0), stream(mailText(n)));
    await new Promise((resolve) => setImmediate(resolve));
  };
  await arrive(1);
  await arrive(2);
  pass();
  await arrive(3);
  pass();
  await new Promise((resolve) => setImmediate(resolve));
  expect(entries()).toBe(before);
  const isTaken = new Promise<void>((resolve) => account.onApplied(resolve));
  pass();
  await isTaken;
  expect(entries()).toBe(before + 1);
  expect(await textsOf(account, "INBOX")).toEqual([1, 2, 3].map((n) => mailText(n)));
  const session = new AccountSession({ address: "a@x" }, account, () => undefined);
  const isTakenNow = new Promise<void>((resolve) => account.onApplied(resolve));
  await arrive(4);
  await isTakenNow;
  expect(await textsOf(account, "INBOX")).toHaveLength(4);
  session.close();
  await account.dispose();
});

test.each([
  [200, 21],
  [15, 16],
])(
  "mails that refer to %i others are taken in by several ops, in their order, and others have a turn before each is opened",
  async (references, known) => {
    const place = new MemoryPlace(() => clock.now++);
    const { ring, user } = await makeAccount(place);
    const box = dropbox(place, user);
    const count = 100;
    // Each bears its own id and the nearest twenty of those that it refers to.
    const texts = Array.from({ length: count }, (_, n) => {
      const ids = Array.from({ length: references }, (_, at) => `<${n}.${at}@x>`);
      return `Subject: mail ${n}\r\nMessage-ID: <${n}@x>\r\nReferences: ${ids.join("\r\n ")}\r\n\r\nbody\r\n`;
    });
    for (const text of texts) await box.deliver(new Uint8Array(0), stream(text));
    let turns = 0;
    let waiting = 0;
    let waitingMost = 0;
    const breathe = async (): Promise<void> => {
      turns++;
      waitingMost = Math.max(waitingMost, ++waiting);
      await new Promise((resolve) => setImmediate(resolve));
      waiting--;
    };
    const account = await open(place, ring(), { breathe, delay: () => new Promise(() => undefined) });
    const { state } = account.mail;
    const steps: number[] = [];
    let before = 0;
    account.onApplied(() => {
      steps.push(state.inbox.messages.length - before);
      before = state.inbox.messages.length;
    });
    turns = 0;
    await account.refresh();
    expect(turns).toBeGreaterThanOrEqual(count);
    expect(waitingMost).toBe(1);
    const most = Math.floor(IDS_AT_ONCE / known);
    expect(steps).toEqual([...Array.from({ length: Math.floor(count / most) }, () => most), count % most]);
    expect(await textsOf(account, "INBOX")).toEqual(texts);
    await account.dispose();
  },
);

test("what was refused, since something was forgotten after the list was made, is listed and taken in again", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, user } = await makeAccount(place);
  const other = await open(place, ring());
  let between: (() => Promise<unknown>) | undefined;
  const breathe = async (): Promise<void> => {
    const work = between;
    between = undefined;
    await work?.();
  };
  const account = await open(place, ring(), { breathe, delay: () => new Promise(() => undefined) });
  await dropbox(place, user).deliver(new Uint8Array(0), stream(mailText(1)));
  const { trimmed } = account.mail.state;
  between = () => other.mail.push({ kind: "forget", names: [], notes: [], trimmed });
  await account.refresh();
  expect(await textsOf(account, "INBOX")).toEqual([mailText(1)]);
  await Promise.all([account.dispose(), other.dispose()]);
});

test("a note whose name was told is not forgotten where its taking-in fails", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, user } = await makeAccount(place);
  const account = await open(place, ring(), { delay: () => new Promise(() => undefined) });
  await account.refresh();
  await dropbox(place, user).deliver(new Uint8Array(0), stream(mailText(1)));
  await new Promise((resolve) => setImmediate(resolve));
  place.fault = (operation) => (operation === "putIfAbsent" ? { kind: "unavailable" } : undefined);
  await expect(account.refresh()).rejects.toMatchObject({ code: "unavailable" });
  expect(await textsOf(account, "INBOX")).toEqual([]);
  place.fault = () => undefined;
  await account.refresh();
  expect(await textsOf(account, "INBOX")).toEqual([mailText(1)]);
  await account.dispose();
});

/** An account at which nothing is opened until `goOn`; `opening` resolves when something is about to be. */
async function openHeld(place: MemoryPlace, ring: Ring) {
  const events: string[] = [];
  const [held, opening] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const { kem } = crypto;
  const slow: CryptoPlatform = {
    ...crypto,
    kem: {
      ...kem,
      async decapsulate(...of) {
        opening.resolve();
        await held.promise;
        return kem.decapsulate(...of);
      },
    },
  };
  const log = ({ event }: LogEvent): void => void events.push(event);
  const account = await open(place, ring, { crypto: slow, log, delay: () => new Promise(() => undefined) });
  return { account, events, opening: opening.promise, goOn: held.resolve };
}

const turns = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 10));

test("an account is not ended while notes are still opened, though one of them could not be fetched", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, user } = await makeAccount(place);
  const { account, events, opening, goOn } = await openHeld(place, ring());
  await account.refresh();
  for (const n of [1, 2]) await dropbox(place, user).deliver(new Uint8Array(0), stream(mailText(n)));
  const [, second] = notes(place);
  place.fault = (operation, name) => (operation === "get" && name === second ? { kind: "unavailable" } : undefined);
  const taken = account.takeIn().catch((error: Error) => error);
  await opening;
  await turns();
  const ended = account.dispose();
  await turns();
  goOn();
  await ended;
  expect(await taken).toMatchObject({ code: "unavailable" });
  await turns();
  expect(events).not.toContain("note can't be opened");
});

test("whoever waits to take notes in when the account ends looks for none", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, user } = await makeAccount(place);
  const { account, opening, goOn } = await openHeld(place, ring());
  await account.refresh();
  await dropbox(place, user).deliver(new Uint8Array(0), stream(mailText(1)));
  const takings = [account.takeIn()];
  await opening;
  takings.push(account.refresh());
  await turns();
  let looks = 0;
  place.fault = (operation, name) => {
    if (operation === "list" && name.includes("/note/")) looks++;
    return undefined;
  };
  const ended = account.dispose();
  takings.push(account.takeIn());
  goOn();
  await ended;
  await Promise.all(takings);
  expect(looks).toBe(0);
  expect(notes(place)).toHaveLength(1);
});
