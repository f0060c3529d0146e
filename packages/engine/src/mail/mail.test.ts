import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LinearBay } from "../bay/linear-bay.ts";
import type { Sealer } from "../bay/machine.ts";
import type { PageStore } from "../bay/snapshots.ts";
import type { WriterId } from "../bay/writer.ts";
import { hash, ready } from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import { MemoryPlace } from "../storage/memory.ts";
import { bareEmail } from "../testing/email-kit.ts";
import type { EmailSource } from "./checkpoint/email-capture.ts";
import { captureMail, loadMail } from "./checkpoint/snapshot.ts";
import { type Copied, Mail, mailMachine } from "./mail.ts";
import { MailboxView } from "./mailbox-view.ts";
import type { FlagChange, NewEmail, Op } from "./ops/op.ts";
import type { Outcome } from "./ops/outcome.ts";
import { DELETED, SEEN } from "./state/flags.ts";
import type { Mailbox } from "./state/mailbox.ts";
import type { MailState } from "./state/state.ts";

await ready;

/**
 * Two writers on one account in linear mode, each on a state as old as it likes. Whatever they do at once, both come to
 * one state, its counts are those of a recount, and no client of either is ever told a number that means something else.
 */
const sealer: Sealer = { seal: (_kind, _id, content) => content.slice(), open: (_kind, _id, bytes) => bytes, hash };

interface Writer {
  readonly bay: LinearBay<MailState, Op, Outcome>;
  readonly mail: Mail;
}

class Place {
  readonly #place = new MemoryPlace();
  readonly #pages = new Map<string, Uint8Array>();
  #writers = 0;
  #emails = 0;

  async open(): Promise<Writer> {
    const store = this.#place.open();
    // Nobody tells a writer what others do: it learns by syncing, and by losing races.
    store.watch = () => () => undefined;
    const pages: PageStore = {
      write: async (_kind, content) => {
        const name = String(this.#pages.size);
        this.#pages.set(name, content);
        return name;
      },
      read: async (_kind, name) => this.#pages.get(name)!,
      packName: () => "pack/0",
      putPack: async () => undefined,
    };
    const source: EmailSource = {
      readRecord: async () => ({ ...this.email([], 1), object: { name: "body/0", offset: 0, length: 1 } }),
      readHeader: async () => new Uint8Array(1),
      readObject: async () => new Uint8Array(1),
    };
    const bay: Writer["bay"] = await LinearBay.open({
      store,
      prefix: "a/",
      machine: mailMachine,
      sealer,
      snapshots: { capture: (state) => captureMail(state, source), load: loadMail },
      pages,
      isCurrent: (state, covers) => state.checkpoint?.covers === covers,
      openEnd: () => undefined,
      writer: (++this.#writers).toString(16).padStart(16, "0") as WriterId,
      delay: async () => undefined,
      monotonic: () => 0,
    });
    return { bay, mail: new Mail(bay, () => 1_700_000_000_000) };
  }

  email(flags: readonly string[], size: number): NewEmail {
    const id = new Uint8Array(16);
    new DataView(id.buffer).setUint32(0, ++this.#emails);
    return { ...bareEmail([...id], flags), size, place: { in: "object", length: size } };
  }
}

async function begin(): Promise<{ readonly place: Place; readonly writers: readonly [Writer, Writer] }> {
  const place = new Place();
  const first = await place.open();
  const folders = [{ path: "INBOX" }, { path: "Sent", specialUse: "\\Sent" }] as const;
  await first.mail.push({ kind: "begin", seconds: 1_700_000_000, folders });
  return { place, writers: [first, await place.open()] };
}

const rowsOf = ({ messages }: Mailbox): number[] => Array.from({ length: messages.length }, (_, at) => messages.at(at));

/** All that clients can see of a state. */
function visible(state: MailState): unknown {
  const { uid, modSeq } = state.memberships.columns;
  const mailboxes = state.liveMailboxes().map((mailbox) => ({
    id: mailbox.id,
    path: mailbox.path,
    numbers: [mailbox.uidValidity, mailbox.uidNext, mailbox.highestModSeq],
    counts: [mailbox.messages.length, mailbox.unseen, mailbox.deleted, mailbox.bytes],
    vanished: mailbox.vanished.ranges,
    messages: rowsOf(mailbox).map((row) => [
      uid.get(row),
      modSeq.get(row),
      state.flagNames(row),
      state.nameOf(row),
      state.sizeOf(row),
    ]),
  }));
  return { mailboxes, modSeq: state.modSeq, bytes: state.bytes, subscriptions: [...state.subscriptions] };
}

/** What is kept as counts, counted again. */
function checkCounts(state: MailState): void {
  const { uid, flags } = state.memberships.columns;
  const held = new Set<number>();
  for (const mailbox of state.liveMailboxes()) {
    const rows = rowsOf(mailbox);
    const uids = rows.map((row) => uid.get(row));
    const count = (bit: number): number => rows.filter((row) => (flags.get(row) & bit) !== 0).length;
    expect(uids).toEqual([...new Set(uids)].sort((a, b) => a - b));
    expect(uids.at(-1) ?? 0).toBeLessThan(mailbox.uidNext);
    expect(rows.every((row) => state.isLive(row) && state.mailboxOf(row) === mailbox)).toBe(true);
    expect({ unseen: mailbox.unseen, deleted: mailbox.deleted, bytes: mailbox.bytes }).toEqual({
      unseen: rows.length - count(SEEN),
      deleted: count(DELETED),
      bytes: rows.reduce((sum, row) => sum + state.sizeOf(row), 0),
    });
    for (const row of rows) held.add(state.emailOf(row));
  }
  const bytes = [...held].reduce((sum, email) => sum + state.emails.columns.size.get(email), 0);
  expect(state.bytes).toBe(bytes);
  const paths = state.liveMailboxes().map(({ path }) => path);
  const validities = state.liveMailboxes().map(({ uidValidity }) => uidValidity);
  expect([new Set(paths).size, new Set(validities).size]).toEqual([paths.length, validities.length]);
}

/** What a client of one process remembers of each mailbox by its UIDVALIDITY, which is held against what comes. */
class Client {
  readonly #messages: Map<string, string>;
  #seen = new Map<
    number,
    { readonly highest: number; readonly uidNext: number; readonly flags: ReadonlyMap<number, string> }
  >();

  /** `messages`: what each (UIDVALIDITY, uid) means, shared by all clients. */
  constructor(messages: Map<string, string>) {
    this.#messages = messages;
  }

  look(state: MailState): void {
    const { uid, modSeq } = state.memberships.columns;
    const seen = new Map<number, { highest: number; uidNext: number; flags: Map<number, string> }>();
    for (const mailbox of state.liveMailboxes()) {
      const { uidValidity, uidNext, highestModSeq: highest } = mailbox;
      const before = this.#seen.get(uidValidity) ?? { highest: 0, uidNext: 1, flags: new Map<number, string>() };
      expect(highest).toBeGreaterThanOrEqual(before.highest);
      expect(uidNext).toBeGreaterThanOrEqual(before.uidNext);
      expect(highest).toBeGreaterThan(0);
      const flags = new Map<number, string>();
      const changed = mailbox.changes.since(before.highest);
      for (const row of rowsOf(mailbox)) {
        const number = uid.get(row);
        this.#check(`${uidValidity} ${number}`, JSON.stringify([mailbox.id, state.nameOf(row)]));
        flags.set(number, state.flagNames(row).join());
        const known = before.flags.get(number);
        if (known === undefined) expect(number).toBeGreaterThanOrEqual(before.uidNext);
        if (known !== flags.get(number)) expect(modSeq.get(row)).toBeGreaterThan(before.highest);
        if (known !== undefined && known !== flags.get(number) && changed) expect(changed.has(row)).toBe(true);
        expect(modSeq.get(row)).toBeLessThanOrEqual(highest);
      }
      const isVanished = (number: number): boolean =>
        mailbox.vanished.since(before.highest)!.some(({ first, last }) => first <= number && number <= last);
      for (const number of before.flags.keys()) expect(isVanished(number)).toBe(!flags.has(number));
      for (const number of flags.keys()) expect(isVanished(number)).toBe(false);
      seen.set(uidValidity, { highest, uidNext, flags });
    }
    this.#seen = seen;
  }

  #check(key: string, message: string): void {
    expect(this.#messages.get(key) ?? message).toBe(message);
    this.#messages.set(key, message);
  }
}

const PATHS = ["INBOX", "Sent", "A", "B", "A/x", "B/y", "A/x/z"] as const;
const FLAGS = ["\\Seen", "\\Deleted", "\\Flagged", "$one", "Two"] as const;
const MODES = ["add", "remove", "replace"] as const;
const KINDS = [
  "append",
  "append",
  "append",
  "flags",
  "flags",
  "copy",
  "move",
  "expunge",
  "create",
  "rename",
  "delete",
  "sync",
  "checkpoint",
] as const;

interface Command {
  readonly who: 0 | 1;
  readonly kind: (typeof KINDS)[number];
  readonly path: string;
  readonly to: string;
  /** Bits choose messages, flags and the change. */
  readonly choice: number;
  /** Whether it is over before the next command is given. */
  readonly waits: boolean;
}

const command: fc.Arbitrary<Command> = fc.record({
  who: fc.constantFrom(0, 1),
  kind: fc.constantFrom(...KINDS),
  path: fc.constantFrom(...PATHS),
  to: fc.constantFrom(...PATHS),
  choice: fc.nat({ max: 2 ** 20 }),
  waits: fc.boolean(),
});

async function run(place: Place, { bay, mail }: Writer, { kind, path, to, choice }: Command): Promise<void> {
  const flags = FLAGS.filter((_, bit) => (choice >> bit) % 2 === 1);
  const view = (): MailboxView => new MailboxView(mail, mail.getMailbox(path), false);
  const some = ({ length }: MailboxView): number[] =>
    Array.from({ length }, (_, position) => position).filter((position) => (choice >> (5 + (position % 8))) % 2 === 1);
  switch (kind) {
    case "append": {
      const emails = Array.from({ length: 1 + (choice % 3) }, (_, at) => place.email(flags, (choice % 900) + at));
      await mail.append(path, emails, bay.position, {});
      return;
    }
    case "flags": {
      const opened = view();
      const change: FlagChange = { mode: MODES[choice % 3]!, flags };
      await opened.setFlags(some(opened), change, choice % 7 === 0 ? mail.state.modSeq - 2 : undefined);
      return;
    }
    case "copy":
    case "move": {
      const opened = view();
      await opened[kind](some(opened), to);
      return;
    }
    case "expunge": {
      const opened = view();
      await opened.expunge(choice % 2 === 0 ? undefined : some(opened));
      return;
    }
    case "create":
      await mail.create(path);
      return;
    case "rename":
      await mail.rename(path, to);
      return;
    case "delete":
      await mail.delete(path);
      return;
    case "sync":
      return bay.sync();
    case "checkpoint":
      return bay.checkpoint(async ({ covers, manifest, emails }) => {
        const outcome = await bay.push({
          op: { kind: "checkpoint", covers, manifest, emailRows: emails, startedAt: covers },
        });
        if (outcome.refusal) throw new EngineError("conflict", outcome.refusal);
      });
  }
}

/** What a command may be refused for; anything else is a fault of ours. */
const REFUSALS: readonly string[] = ["not-found", "already-exists", "not-permitted", "conflict"];
function unlessRefused(error: unknown): void {
  if (!(error instanceof EngineError && REFUSALS.includes(error.code))) throw error;
}

describe("two writers on one account", () => {
  test("end in one state, through which no number ever meant two things, and which an opener finds", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 40 }), async (commands) => {
        const { place, writers } = await begin();
        const meanings = new Map<string, string>();
        const clients = writers.map(() => new Client(meanings));
        const look = (): void => {
          for (const [who, { bay }] of writers.entries()) {
            checkCounts(bay.state);
            clients[who]!.look(bay.state);
          }
        };
        let underWay: Promise<void>[] = [];
        for (const given of commands) {
          underWay.push(run(place, writers[given.who], given).catch(unlessRefused));
          if (!given.waits) continue;
          await Promise.all(underWay);
          underWay = [];
          look();
        }
        await Promise.all(underWay);
        for (const { bay } of writers) await bay.sync();
        look();
        const [one, two] = writers.map(({ bay }) => visible(bay.state));
        expect(two).toEqual(one);
        const opener = await place.open();
        expect(visible(opener.bay.state)).toEqual(one);
        checkCounts(opener.bay.state);
      }),
      { numRuns: 150 },
    );
  });

  test("a command on what the other expunged, moved or renamed does what is left to do", async () => {
    const { place, writers } = await begin();
    const [one, two] = writers;
    await one.mail.append(
      "INBOX",
      [1, 2, 3].map((size) => place.email([], size)),
      one.bay.position,
      {},
    );
    await two.bay.sync();
    const stale = new MailboxView(two.mail, two.mail.getMailbox("INBOX"), false);
    const view = new MailboxView(one.mail, one.mail.getMailbox("INBOX"), false);
    await view.setFlags([0], { mode: "add", flags: ["\\Deleted"] });
    await view.expunge();
    await view.move([1], "Sent");
    // Two names three: one is expunged and one is moved, and neither comes back.
    const moved: Copied[] = [];
    await stale.move([0, 1, 2], "Sent", (part) => moved.push(part));
    expect(moved).toMatchObject([{ sourceUids: [3], uids: [2] }]);
    await one.bay.sync();
    const uids = (path: string): number[] => {
      const { uid } = one.mail.state.memberships.columns;
      return rowsOf(one.mail.getMailbox(path)).map((row) => uid.get(row));
    };
    expect([uids("INBOX"), uids("Sent")]).toEqual([[], [1, 2]]);
  });

  test("of two who create one path one is told that it exists; a mailbox made anew has a greater UIDVALIDITY", async () => {
    const { writers } = await begin();
    const [one, two] = writers;
    const made = await Promise.allSettled([one.mail.create("New"), two.mail.create("New")]);
    expect(made.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(made.find((result) => result.status === "rejected")).toMatchObject({ reason: { code: "already-exists" } });
    await one.bay.sync();
    const before = one.mail.getMailbox("New").uidValidity;
    await one.mail.delete("New");
    await one.mail.create("New");
    expect(one.mail.getMailbox("New").uidValidity).toBeGreaterThan(before);
  });
});
