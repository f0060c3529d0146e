import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { adoptCheckpoint } from "../account/open-log.ts";
import { LinearBay } from "../bay/linear-bay.ts";
import type { Sealer } from "../bay/machine.ts";
import { type Position, position } from "../bay/position.ts";
import type { Thorough } from "../bay/snapshots.ts";
import type { WriterId } from "../bay/writer.ts";
import { hash, ready } from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import { MemoryPlace } from "../storage/memory.ts";
import { captureSource, memoryPages } from "../testing/checkpoint-kit.ts";
import { adding, bareEmail } from "../testing/email-kit.ts";
import { extent } from "../testing/extent.ts";
import { applyBlock } from "./apply/apply.ts";
import { runsOf } from "./apply/target-rows.ts";
import { captureMail, loadMail } from "./checkpoint/snapshot.ts";
import { type Copied, Mail, mailMachine } from "./mail.ts";
import { MailboxView } from "./mailbox-view.ts";
import {
  asEmailRow,
  asModSeq,
  type EmailRow,
  FIRST_EMAIL_ROW,
  FIRST_ROW,
  FIRST_UID,
  type ModSeq,
  NO_MODSEQ,
  type Row,
  type Uid,
} from "./numbers.ts";
import type { NewEmail } from "./ops/email.ts";
import type { FlagChange, FolderStep, Op } from "./ops/op.ts";
import type { Outcome } from "./ops/outcome.ts";
import type { PlacedOp } from "./ops/placed-op.ts";
import { changedRows, mailboxChanges } from "./state/feed.ts";
import { DELETED, SEEN } from "./state/flags.ts";
import type { ReadMailbox } from "./state/read-state.ts";
import type { RecordValue } from "./state/records.ts";
import { MailState } from "./state/state.ts";

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
  /** The ops of the log, as the first writer applied them. */
  readonly applied: PlacedOp[] = [];
  readonly #place = new MemoryPlace();
  #writers = 0;
  #emails = 0;
  readonly #pageStore = memoryPages();

  /** Entries are applied anew where a log goes over to another checkpoint. */
  #isRestarting({ entry, place }: PlacedOp): boolean {
    const last = this.applied.at(-1);
    return last !== undefined && (entry < last.entry || (entry === last.entry && place <= last.place));
  }

  /** A state as it comes back from a checkpoint that leaves all out that may be. */
  async shrunk(state: MailState, covers: Position): Promise<MailState> {
    const capture = captureMail(state, captureSource, { covers, thorough: "anew", limits: SHRINK_LIMITS });
    return loadMail(await capture.write(this.#pageStore), this.#pageStore, covers);
  }

  async open(): Promise<Writer> {
    const isFirst = this.#writers === 0;
    const store = this.#place.open();
    // Nobody tells a writer what others do: it learns by syncing, and by losing races.
    store.watch = () => () => undefined;
    const bay: Writer["bay"] = await LinearBay.open({
      store,
      prefix: "a/",
      machine: {
        ...mailMachine,
        apply: (state, placed) => {
          if (isFirst && !this.#isRestarting(placed)) this.applied.push(placed);
          return mailMachine.apply(state, placed);
        },
      },
      sealer,
      load: loadMail,
      pages: this.#pageStore,
      openEnd: () => undefined,
      writer: (++this.#writers).toString(16).padStart(16, "0") as WriterId,
      delay: async () => undefined,
      monotonic: () => 0,
    });
    return { bay, mail: new Mail(bay, () => 1_700_000_000_000) };
  }

  email(size: number): NewEmail {
    const id = new Uint8Array(16);
    new DataView(id.buffer).setUint32(0, ++this.#emails);
    return { ...bareEmail([...id]), size, place: { in: "object", length: size } };
  }
}

/** An outcome with names in place of rows. */
function tell(state: MailState, { added, sources, removed, changed, refused, items, ...rest }: Outcome): unknown {
  const names = (rows: readonly Row[]): string[] => rows.map((row) => JSON.stringify(state.nameOf(row))).sort();
  const told = items.map((item) => ({ ...item, emails: item.emails.length, added: names(item.added) }));
  return { ...rest, lists: [added, sources, removed, changed, refused].map(names), items: told };
}

async function begin(): Promise<{ readonly place: Place; readonly writers: readonly [Writer, Writer] }> {
  const place = new Place();
  const first = await place.open();
  const folders = [{ path: "INBOX" }, { path: "Sent", specialUse: "\\Sent" }] as const;
  await first.mail.push({ kind: "begin", seconds: 1_700_000_000, folders });
  return { place, writers: [first, await place.open()] };
}

const rowsOf = ({ messages }: ReadMailbox): Row[] =>
  Array.from({ length: messages.length }, (_, at) => messages.at(at));

/** All that clients can see of a state. */
function visible(state: MailState, floor = NO_MODSEQ): unknown {
  const { uid, modSeq } = state.memberships.columns;
  const mailboxes = state.liveMailboxes().map((mailbox) => ({
    id: mailbox.id,
    path: mailbox.path,
    numbers: [mailbox.uidValidity, mailbox.uidNext, mailbox.highestModSeq],
    counts: [mailbox.messages.length, mailbox.unseen, mailbox.deleted, mailbox.bytes],
    props: [mailbox.specialUse, mailbox.sortOrder, mailbox.made, mailbox.propsModSeq],
    vanished: mailboxChanges(state, mailbox, floor)?.vanished,
    messages: rowsOf(mailbox).map((row) => [
      uid.get(row),
      modSeq.get(row),
      state.flagNames(row),
      state.nameOf(row),
      state.lastingNameOf(row),
      state.sizeOf(row),
    ]),
  }));
  const { made, returned, number } = state.emails.columns;
  const emails = Array.from({ length: state.emails.rows }, (_, row) => asEmailRow(row))
    .filter((row) => state.isHeld(row))
    .map((row) => [number.get(row), made.get(row), returned.get(row)]);
  const records = [state.records.types(), [...state.records.all()].map(({ value, ...rest }) => [rest, hashOf(value)])];
  const { modSeq: last, changed } = state;
  return {
    mailboxes,
    modSeq: last,
    held: [state.heldEmails.bytes, state.heldEmails.count],
    changed,
    emails,
    records,
    subscriptions: [...state.subscriptions].sort(),
  };
}

/** A record's value, wherever it lies. */
function hashOf(value: RecordValue | undefined): unknown {
  return value && ("bytes" in value ? value.bytes : value.hash);
}

/** Checks the state's counts against a recount. */
function checkCounts(state: MailState): void {
  const { uid, flags } = state.memberships.columns;
  const held = new Set<EmailRow>();
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
  const shown = new Set<number>();
  for (let row = FIRST_ROW; row < state.memberships.rows; row++)
    if (state.isLive(row) && (flags.get(row) & DELETED) === 0) shown.add(state.emailOf(row));
  for (let email = FIRST_EMAIL_ROW; email < state.emails.rows; email++) {
    expect(state.isShown(email)).toBe(shown.has(email));
    if (shown.has(email)) expect(state.emails.columns.made.get(email)).toBeGreaterThan(0);
  }
  const bytes = [...held].reduce((sum, email) => sum + state.emails.columns.size.get(email), 0);
  expect(state.heldEmails.bytes).toBe(bytes);
  const paths = state.liveMailboxes().map(({ path }) => path);
  const validities = state.liveMailboxes().map(({ uidValidity }) => uidValidity);
  expect([new Set(paths).size, new Set(validities).size]).toEqual([paths.length, validities.length]);
}

/** Of the dead a shrunk state keeps what tells that they went, and nothing of what they were. */
function checkDead(state: MailState): void {
  for (let row = FIRST_ROW; row < state.memberships.rows; row++)
    if (!state.isLive(row)) expect(state.flagNames(row)).toEqual([]);
  for (let email = FIRST_EMAIL_ROW; email < state.emails.rows; email++)
    if (!state.isHeld(email)) expect(state.emails.columns.size.get(email)).toBe(0);
}

/** A client of one process: the mailboxes as it saw them last, by UIDVALIDITY, against which each new look is checked. */
class Client {
  readonly #messages: Map<string, string>;
  #seen = new Map<
    number,
    { readonly highest: ModSeq; readonly uidNext: Uid; readonly flags: ReadonlyMap<number, string> }
  >();

  /** `messages`: what each (UIDVALIDITY, uid) means, shared by all clients. */
  constructor(messages: Map<string, string>) {
    this.#messages = messages;
  }

  look(state: MailState): void {
    const { uid, modSeq } = state.memberships.columns;
    const seen = new Map<number, { highest: ModSeq; uidNext: Uid; flags: Map<number, string> }>();
    for (const mailbox of state.liveMailboxes()) {
      const { uidValidity, uidNext, highestModSeq: highest } = mailbox;
      const before = this.#seen.get(uidValidity) ?? {
        highest: NO_MODSEQ,
        uidNext: FIRST_UID,
        flags: new Map<number, string>(),
      };
      expect(highest).toBeGreaterThanOrEqual(before.highest);
      expect(uidNext).toBeGreaterThanOrEqual(before.uidNext);
      expect(highest).toBeGreaterThan(0);
      const flags = new Map<number, string>();
      const changed = new Set(changedRows(state, before.highest));
      for (const row of rowsOf(mailbox)) {
        const number = uid.get(row);
        this.#check(`${uidValidity} ${number}`, JSON.stringify([mailbox.id, state.nameOf(row)]));
        flags.set(number, state.flagNames(row).join());
        const known = before.flags.get(number);
        if (known === undefined) expect(number).toBeGreaterThanOrEqual(before.uidNext);
        if (known !== flags.get(number)) expect(modSeq.get(row)).toBeGreaterThan(before.highest);
        if (known !== undefined && known !== flags.get(number)) expect(changed.has(row)).toBe(true);
        expect(modSeq.get(row)).toBeLessThanOrEqual(highest);
      }
      const since = mailboxChanges(state, mailbox, before.highest);
      expect(since === undefined).toBe(before.highest < state.floor);
      const isVanished = (number: number): boolean =>
        since!.vanished.some(({ first, last }) => first <= number && number <= last);
      if (since) for (const number of before.flags.keys()) expect(isVanished(number)).toBe(!flags.has(number));
      if (since) for (const number of flags.keys()) expect(isVanished(number)).toBe(false);
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
  "put",
  "change",
  "change",
  "folders",
  "replace",
  "record",
  "create",
  "rename",
  "delete",
  "sync",
  "checkpoint",
  "shrink",
  "adopt",
] as const;
/** So few that most runs leave something out. */
const SHRINK_LIMITS = { removals: 3, goneMailboxes: 1 };

interface Command {
  readonly who: 0 | 1;
  readonly kind: (typeof KINDS)[number];
  readonly path: string;
  readonly to: string;
  /** Bits choose messages, flags and the change. */
  readonly choice: number;
  /** True if the command ends before the next one is given. */
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

/** On mailboxes that are mostly there. */
const busyCommand: fc.Arbitrary<Command> = fc.record({
  who: fc.constant(0),
  kind: fc.constantFrom(...KINDS, "flags", "flags", "expunge", "expunge", "append"),
  path: fc.constantFrom("INBOX", "INBOX", "Sent", "A"),
  to: fc.constantFrom("INBOX", "Sent", "Sent", "A"),
  choice: fc.nat({ max: 2 ** 20 }),
  waits: fc.constant(true),
});

async function run(place: Place, { bay, mail }: Writer, { kind, path, to, choice }: Command): Promise<void> {
  const flags = FLAGS.filter((_, bit) => (choice >> bit) % 2 === 1);
  const view = (): MailboxView => new MailboxView(mail, mail.getMailbox(path), false);
  const some = ({ length }: MailboxView): number[] =>
    Array.from({ length }, (_, position) => position).filter((position) => (choice >> (5 + (position % 8))) % 2 === 1);
  switch (kind) {
    case "append": {
      const emails = Array.from({ length: 1 + (choice % 3) }, (_, at) => place.email((choice % 900) + at));
      await mail.push(adding(mail.getMailbox(path).id, emails, flags));
      return;
    }
    case "flags": {
      const opened = view();
      const change: FlagChange = { mode: MODES[choice % 3]!, flags };
      await opened.setFlags(some(opened), change, choice % 7 === 0 ? asModSeq(mail.state.modSeq - 2) : undefined);
      return;
    }
    case "copy":
    case "move": {
      const opened = view();
      await opened[kind](some(opened), mail.getMailbox(to).id);
      return;
    }
    case "expunge": {
      const opened = view();
      await opened.expunge(choice % 2 === 0 ? undefined : some(opened));
      return;
    }
    case "put": {
      const places = [...new Set([path, to])].map((one) => ({ mailbox: mail.getMailbox(one).id, flags }));
      const emails = [{ email: place.email(choice % 900), places }];
      await mail.push({ kind: "add", emails, since: bay.position, seconds: 1 });
      return;
    }
    case "change": {
      const opened = view();
      const mailbox = mail.getMailbox(path);
      const chosen = some(opened).map((position) => mailbox.messages.at(position));
      const rows = chosen.filter((row) => row !== undefined && mail.state.isLive(row));
      const { id: other } = mail.getMailbox(to);
      const outcome = await mail.push({
        kind: "change",
        items: [
          {
            targets: [{ mailbox: mailbox.id, targets: runsOf(mail.state, mailbox, rows) }],
            add: flags.slice(0, choice % 3),
            remove: flags.slice(choice % 3),
            join: choice % 2 === 0 ? [other] : [],
            leave: choice % 5 === 0 ? "all" : choice % 3 === 0 ? [mailbox.id] : [],
          },
        ],
        seconds: 2,
        ...(choice % 11 === 0 ? { ifState: { type: "email", epoch: 0, modSeq: mail.state.changed.email } } : {}),
      });
      expect(outcome.items).toHaveLength(1);
      return;
    }
    case "folders": {
      const [one, two] = [mail.state.findPath(path), mail.state.findPath(to)];
      const steps: FolderStep[] = [];
      // Two names are swapped, with all that lies below each.
      const moveAll = (from: ReadMailbox, target: string): FolderStep[] =>
        [from, ...mail.state.below(from.path)].map(({ id, path: own }) => ({
          do: "set",
          mailbox: id,
          path: target + own.slice(from.path.length),
          sortOrder: choice % 5,
        }));
      if (one && two && one !== two && !one.path.startsWith(two.path) && !two.path.startsWith(one.path))
        steps.push(...moveAll(one, two.path), ...moveAll(two, one.path));
      else if (one) steps.push({ do: "set", mailbox: one.id, role: choice % 2 === 0 ? "\\Junk" : "none" });
      else steps.push({ do: "create", path, type: "mail", role: "\\Archive", sortOrder: 1, subscribed: true });
      if (two && choice % 4 === 0) steps.push({ do: "destroy", mailbox: two.id, ifEmpty: choice % 8 === 0 });
      await mail.push({ kind: "folders", steps, seconds: 1_700_000_500 });
      return;
    }
    case "replace": {
      const mailbox = mail.getMailbox(path);
      if (mailbox.messages.length === 0) return;
      const row = mailbox.messages.at(choice % mailbox.messages.length);
      const lasting = mail.state.lastingNameOf(row);
      const target = runsOf(mail.state, mailbox, [row]);
      const email = place.email(choice % 900);
      const op = { mailbox: mailbox.id, target, email, add: flags, remove: [], since: bay.position, seconds: 3 };
      const { added } = await mail.push({ kind: "replace", ...op });
      const [made] = added;
      const isThere = made !== undefined && mail.state.isLive(made);
      if (isThere && mail.state.emails.columns.size.get(mail.state.emailOf(made)) === email.size)
        expect([lasting, mail.state.nameOf(made)]).toContainEqual(mail.state.lastingNameOf(made));
      return;
    }
    case "record": {
      const value = choice % 3 === 0 ? undefined : new Uint8Array(choice % 2 === 0 ? 5 : 2000).fill(choice);
      await mail.push({ kind: "record", records: [{ type: flags[0] ?? "none", id: path, value }] });
      return;
    }
    case "create":
      await mail.create(path);
      return;
    case "rename":
      if (to.startsWith(`${path}/`)) {
        const refused = { code: expect.stringMatching(/^(invalid|not-found|already-exists)$/) };
        await expect(mail.rename(path, to)).rejects.toMatchObject(refused);
        return;
      }
      await mail.rename(path, to);
      return;
    case "delete":
      await mail.delete(mail.getMailbox(path).id);
      return;
    case "sync":
      return bay.sync();
    case "checkpoint":
    case "shrink":
      await makeCheckpoint(bay, kind === "shrink" ? "anew" : choice % 2 === 0 ? "sweep" : "changes");
      return choice % 3 === 0 ? undefined : adoptCheckpoint(bay);
    case "adopt":
      return adoptCheckpoint(bay);
  }
}

async function makeCheckpoint(bay: Writer["bay"], thorough: Thorough): Promise<void> {
  const captured = await bay.capture(
    (state, covers) => captureMail(state, captureSource, { covers, thorough, limits: SHRINK_LIMITS }),
    thorough,
  );
  try {
    const { covers, manifest, emails, numbering, sweeps } = await captured.write();
    const outcome = await bay.push({
      op: { kind: "checkpoint", covers, manifest, emailRows: emails, startedAt: covers, numbering, sweeps },
    });
    if (outcome.refusal) throw new EngineError("conflict", outcome.refusal);
    captured.commit();
  } catch (error) {
    captured.abandon();
    throw error;
  }
}

/** Errors by which a command may be refused; any other error is a fault of ours. */
const REFUSALS: readonly string[] = ["not-found", "already-exists", "not-permitted", "conflict", "expunged"];
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
        const opener = await place.open();
        const states = [...writers, opener].map(({ bay }) => bay.state);
        const floor = Math.max(...states.map((state) => state.floor));
        const [one, two, three] = states.map((state) => visible(state, asModSeq(floor)));
        expect(two).toEqual(one);
        expect(three).toEqual(one);
        checkCounts(opener.bay.state);
      }),
      { numRuns: extent(150, 30) },
    );
  });

  test("and one that goes over to a shrunk checkpoint after every entry answers and shows the same", async () => {
    let shrunk = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(busyCommand, { minLength: 30, maxLength: 60 }), async (commands) => {
        const { place, writers } = await begin();
        for (const given of commands) await run(place, writers[0], given).catch(unlessRefused);
        const whole = new MailState();
        let twin = new MailState();
        for (const [at, placed] of place.applied.entries()) {
          const [outcome] = applyBlock(whole, [placed]);
          expect(tell(twin, applyBlock(twin, [placed])[0]!)).toEqual(tell(whole, outcome!));
          const before = twin.memberships.rows;
          twin = await place.shrunk(twin, position(at + 1));
          shrunk += before - twin.memberships.rows;
          checkCounts(twin);
          checkDead(twin);
          expect(visible(twin, twin.floor)).toEqual(visible(whole, twin.floor));
        }
      }),
      { numRuns: extent(40, 8) },
    );
    expect(shrunk).toBeGreaterThan(0);
  });

  test("a command on what the other expunged, moved or renamed does what is left to do", async () => {
    const { place, writers } = await begin();
    const [one, two] = writers;
    const emails = [1, 2, 3].map((size) => place.email(size));
    await one.mail.push(adding(one.mail.getMailbox("INBOX").id, emails));
    await two.bay.sync();
    const stale = new MailboxView(two.mail, two.mail.getMailbox("INBOX"), false);
    const view = new MailboxView(one.mail, one.mail.getMailbox("INBOX"), false);
    await view.setFlags([0], { mode: "add", flags: ["\\Deleted"] });
    await view.expunge();
    await view.move([1], one.mail.getMailbox("Sent").id);
    // Two names three: one is expunged and one is moved, and neither comes back.
    const moved: Copied[] = [];
    await stale.move([0, 1, 2], one.mail.getMailbox("Sent").id, (part) => moved.push(part));
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
    await one.mail.delete(one.mail.getMailbox("New").id);
    await one.mail.create("New");
    expect(one.mail.getMailbox("New").uidValidity).toBeGreaterThan(before);
  });
});
