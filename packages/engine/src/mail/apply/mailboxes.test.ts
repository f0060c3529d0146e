import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NOWHERE, position } from "../../bay/position.ts";
import { adding, bareEmail } from "../../testing/email-kit.ts";
import { extent } from "../../testing/extent.ts";
import { blocks, closedSets, has, opsOf } from "../../testing/numbering-model.ts";
import { FIRST_ROW, NO_MODSEQ, type Row } from "../numbers.ts";
import type { NewEmail } from "../ops/email.ts";
import { FOUNDER, INBOX_ID, type MailboxId, mailboxId, type WriterId } from "../ops/names.ts";
import type { ChangeItem, FolderStep, Op, OpKind } from "../ops/op.ts";
import type { PlacedOp } from "../ops/placed-op.ts";
import { mailboxChanges } from "../state/feed.ts";
import type { Mailbox } from "../state/mailbox.ts";
import { MailState, normalizeInbox } from "../state/state.ts";
import { applyBlock } from "./apply.ts";
import { judge } from "./judge.ts";

/**
 * Mailboxes and memberships together, for the real fold: every history of a few ops, each with every set of earlier ops
 * that its author may have known, one whose target is known to be gone among them. Each op is judged on the state of what
 * its author knew, as merge mode does; where all know all that is the log of linear mode, and a plain machine of maps must
 * come to the same.
 *
 * For who saw a part C first and the whole O later:
 * M1 no path twice, INBOX is there; M2 no message lost or hidden; M4 a (path, UIDVALIDITY, uid) never means another
 * message; M4b a mailbox made by one who knew another has the greater UIDVALIDITY if it gets its path; M5 a UIDVALIDITY
 * never means another mailbox, and none goes without a DELETE; S2 what was gone stays gone; I1 a uid names one message;
 * I2 what is new lies at or above UIDNEXT(C); I3 what changed or is gone is told by its modseq.
 */
const A = mailboxId(FOUNDER, 0, 1);
const B = mailboxId(FOUNDER, 0, 2);
const SEEDER = "00000000000000fe" as WriterId;

/** A message: the op that put it there (below 0: it was there from the start) and its place in that op. */
interface Name {
  readonly op: number;
  readonly index: number;
}
const I0: Name = { op: -2, index: 0 };
const M0: Name = { op: -1, index: 0 };
const M1: Name = { op: -1, index: 1 };

/** Ops that an author who saw `state` may write as op `number`. */
type Kind = (seen: Look, number: number) => Op[];
interface Step {
  readonly op: Op;
  readonly knows: number;
}

const writerOf = (op: number): WriterId => (op + 1).toString(16).padStart(16, "0") as WriterId;
const made = (op: number): MailboxId => mailboxId(writerOf(op), 1, 0);
const nameOf = ({ op, index }: Name) =>
  op < 0 ? { writer: SEEDER, sequence: 3 + op, index } : { writer: writerOf(op), sequence: 1, index };

const email = (op: number, index: number): NewEmail => bareEmail([op + 100, index]);
const append = (op: number, mailbox: MailboxId, count = 1): Op =>
  adding(
    mailbox,
    Array.from({ length: count }, (_, index) => email(op, index)),
    (index) => (op === M0.op && index === M0.index ? ["\\Deleted"] : []),
  );

/** INBOX with one message, A with two of which the first is \Deleted, B empty: what everybody knows. */
function begun(): MailState {
  const state = new MailState();
  const folders = [{ path: "INBOX" }, { path: "A" }, { path: "B" }];
  for (const [at, op] of [
    { kind: "begin", seconds: 1000, folders } as const,
    append(I0.op, INBOX_ID),
    append(M0.op, A, 2),
  ].entries())
    applyBlock(state, [
      { op, writer: SEEDER, sequence: at, entry: position(0), place: 0, judged: false, knows: () => true },
    ]);
  return state;
}

/** A state as clients see it, with the names that ops can use in it. */
class Look {
  readonly state: MailState;

  constructor(state: MailState) {
    this.state = state;
  }

  /** Messages that were ever here; `which` picks of those from the start. */
  messages(...which: readonly Name[]): { readonly name: Name; readonly mailbox: MailboxId }[] {
    const found: { readonly name: Name; readonly mailbox: MailboxId }[] = [];
    for (let row = FIRST_ROW; row < this.state.memberships.rows; row++) {
      const { writer, sequence, index } = this.state.nameOf(row);
      const name = writer === SEEDER ? { op: sequence - 3, index } : { op: Number.parseInt(writer, 16) - 1, index };
      const isWanted = name.op >= 0 || which.some((one) => one.op === name.op && one.index === name.index);
      if (isWanted) found.push({ name, mailbox: this.state.mailboxOf(row).id });
    }
    return found;
  }

  /** Mailboxes that ops made, gone ones too. */
  made(): MailboxId[] {
    return this.state.mailboxes.map(({ id }) => id).filter((id) => !id.startsWith(`${FOUNDER}.`));
  }

  pathOf(id: MailboxId): string | undefined {
    return this.state.findMailbox(id)?.path;
  }
}

const targets = (name: Name) => {
  const { writer, sequence, index } = nameOf(name);
  return [{ writer, first: { sequence, index }, last: { sequence, index } }];
};

const add =
  (...to: readonly (MailboxId | "new")[]): Kind =>
  (seen, number) =>
    pick(seen, to).map((mailbox) => append(number, mailbox));
const flag =
  (mode: "add" | "remove", flags: readonly string[], ...which: readonly Name[]): Kind =>
  (seen) =>
    seen.messages(...which).map(({ name, mailbox }) => ({
      kind: "flags",
      mailbox,
      targets: targets(name),
      change: { mode, flags },
    }));
const expunge =
  (...which: readonly Name[]): Kind =>
  (seen) =>
    seen.messages(...which).map(({ name, mailbox }) => ({ kind: "expunge", mailbox, targets: targets(name) }));
const transfer =
  (kind: "copy" | "move", which: readonly Name[], ...to: readonly (MailboxId | "new")[]): Kind =>
  (seen) =>
    seen.messages(...which).flatMap(({ name, mailbox }) =>
      pick(seen, to)
        .filter((id) => id !== mailbox)
        .map((id): Op => ({ kind, mailbox, targets: targets(name), to: id, seconds: 0 })),
    );
const create =
  (paths: readonly string[], ...seconds: readonly number[]): Kind =>
  () =>
    paths.flatMap((path) => (seconds.length > 0 ? seconds : [0]).map((at) => ({ kind: "create", path, seconds: at })));
const renameInbox =
  (path: string): Kind =>
  () => [{ kind: "rename-inbox", path, seconds: 0 }];
const remove =
  (...which: readonly (MailboxId | "new")[]): Kind =>
  (seen) =>
    pick(seen, which).map((mailbox) => ({ kind: "delete", mailbox }));
const raise: Kind = () => [{ kind: "raise", seconds: 0 }];
/** As a front end writes it: with all that lies below. */
const rename =
  (which: readonly (MailboxId | "new")[], ...paths: readonly string[]): Kind =>
  (seen) =>
    pick(seen, which).flatMap((id) => {
      const old = seen.pathOf(id);
      if (old === undefined) return [];
      const all = [...seen.state.liveMailboxes()].filter(({ path }) => path === old || path.startsWith(`${old}/`));
      const first = all.filter((mailbox) => mailbox.id === id);
      const moved = [...first, ...all.filter((mailbox) => mailbox.id !== id)];
      return paths.map((path): Op => {
        const renamed = moved.map((mailbox) => ({ mailbox: mailbox.id, path: path + mailbox.path.slice(old.length) }));
        return { kind: "rename", paths: renamed };
      });
    });
/** Its content is another, its place and lasting name stay. */
const replace =
  (...which: readonly Name[]): Kind =>
  (seen, number) =>
    seen.messages(...which).map(({ name, mailbox }) => ({
      kind: "replace",
      mailbox,
      target: targets(name),
      email: email(number, 0),
      add: [],
      remove: [],
      since: NOWHERE,
      seconds: 0,
    }));
/** Changes of JMAP to one email each. */
const change =
  (item: Partial<Pick<ChangeItem, "add" | "remove" | "join" | "leave">>, ...which: readonly Name[]): Kind =>
  (seen) =>
    seen.messages(...which).map(({ name, mailbox }) => ({
      kind: "change",
      items: [{ targets: [{ mailbox, targets: targets(name) }], add: [], remove: [], join: [], leave: [], ...item }],
      seconds: 0,
    }));
const addTwice =
  (one: MailboxId, other: MailboxId): Kind =>
  (_, number) => {
    const places = [one, other].map((mailbox) => ({ mailbox, flags: [] }));
    return [{ kind: "add", emails: [{ email: email(number, 0), places }], since: NOWHERE, seconds: 0 }];
  };
const folders =
  (...steps: readonly FolderStep[]): Kind =>
  () => [{ kind: "folders", steps, seconds: 0 }];
function pick(seen: Look, which: readonly (MailboxId | "new")[]): MailboxId[] {
  return which.flatMap((item) => (item === "new" ? seen.made() : [item]));
}

/** A history and what each part of it comes to. */
class Log {
  readonly steps: readonly Step[];
  readonly #placed: PlacedOp[] = [];
  readonly #states: Map<number, Shown>;

  constructor(steps: readonly Step[], known?: Log) {
    this.steps = steps;
    this.#states = new Map(known ? known.#states : []);
    for (const [number, { op, knows }] of steps.entries()) {
      const isKnown = known !== undefined && number < known.steps.length;
      this.#placed.push(isKnown ? known.#placed[number]! : this.#place(number, op, knows));
    }
  }

  #place(number: number, op: Op, knows: number): PlacedOp {
    return {
      op: judge(this.fold(knows), op).op ?? { kind: "nop" },
      writer: writerOf(number),
      sequence: 1,
      entry: position(number + 1),
      place: 0,
      judged: true,
      knows: (writer) => writer === SEEDER || has(knows, Number.parseInt(writer, 16) - 1),
    };
  }

  /** The op, narrowed to what passed. */
  passed(number: number): Op {
    return this.#placed[number]!.op;
  }

  fold(mask: number): MailState {
    const state = begun();
    const history = this.steps.map(({ knows }) => ({ knows })) as unknown as Parameters<typeof blocks>[0];
    for (const block of blocks(history, opsOf(history, mask)))
      applyBlock(
        state,
        block.map((op) => this.#placed[op]!),
      );
    return state;
  }

  show(mask: number): Shown {
    const known = this.#states.get(mask);
    if (known) return known;
    const shown = show(this.fold(mask));
    this.#states.set(mask, shown);
    return shown;
  }

  get parts(): number[] {
    return closedSets(this.steps as unknown as Parameters<typeof closedSets>[0]);
  }
}

interface ShownMessage {
  readonly name: string;
  readonly lasting: string;
  readonly flags: string;
  readonly modSeq: number;
}
interface ShownMailbox {
  readonly id: MailboxId;
  readonly path: string;
  readonly uidValidity: number;
  readonly uidNext: number;
  readonly highest: number;
  /** By uid. */
  readonly live: ReadonlyMap<number, ShownMessage>;
  readonly vanished: ReadonlyMap<number, number>;
}
interface Shown {
  readonly mailboxes: readonly ShownMailbox[];
  readonly uidValidities: ReadonlyMap<MailboxId, number>;
  /** Emails by the mailboxes that show them, and those that no mailbox does. */
  readonly emails: ReadonlySet<number>;
  readonly hidden: ReadonlySet<number>;
  readonly gone: ReadonlySet<string>;
}

function show(state: MailState): Shown {
  const { uid, modSeq, email: emailOf } = state.memberships.columns;
  const textOf = (row: Row): string => JSON.stringify(state.nameOf(row));
  const mailboxes = state.liveMailboxes().map((mailbox): ShownMailbox => {
    const live: [number, ShownMessage][] = [];
    for (let position = 0; position < mailbox.messages.length; position++) {
      const row = mailbox.messages.at(position);
      const flags = [...state.flagNames(row)].sort().join();
      const lasting = JSON.stringify(state.lastingNameOf(row));
      live.push([uid.get(row), { name: textOf(row), lasting, flags, modSeq: modSeq.get(row) }]);
    }
    return { ...factsOf(state, mailbox), live: new Map(live) };
  });
  const emails = new Set<number>();
  const hidden = new Set<number>();
  const gone = new Set<string>();
  for (let row = FIRST_ROW; row < state.memberships.rows; row++)
    if (!state.isLive(row)) gone.add(textOf(row));
    else if (state.mailboxOf(row).gone) hidden.add(row);
    else emails.add(emailOf.get(row));
  return { mailboxes, emails, hidden, gone, uidValidities: new Map(mailboxes.map((one) => [one.id, one.uidValidity])) };
}

function factsOf(state: MailState, mailbox: Mailbox) {
  const { id, path, uidValidity, uidNext, highestModSeq } = mailbox;
  const uids = new Map<number, number>();
  for (const { first, last, modSeq } of mailboxChanges(state, mailbox, NO_MODSEQ)!.vanished)
    for (let uid = first; uid <= last; uid++) uids.set(uid, modSeq);
  return { id, path, uidValidity, uidNext, highest: highestModSeq, vanished: uids };
}

/** Checks the history; its log, for those that go on from it. */
function check(log: Log): Log {
  const all = (1 << log.steps.length) - 1;
  const whole = log.show(all);
  const fail = (what: string, part = all): never => {
    const steps = log.steps.map(({ op, knows }) => `${briefly(op)} knew ${opsOf(log.steps as never, knows)}`);
    throw new Error(`${what}, for who saw ${opsOf(log.steps as never, part)}: ${steps.join("; ")}`);
  };
  const broken = brokenAlone(log, whole);
  if (broken) fail(broken);
  for (const part of log.parts) {
    if (part === all) continue;
    const found = brokenBetween(log, part, log.show(part), whole);
    if (found) fail(found, part);
  }
  if (log.steps.every(({ knows }, op) => knows === (1 << op) - 1)) {
    const [is, should] = [linear(whole), plain(log.steps.map(({ op }) => op))];
    if (JSON.stringify(is) !== JSON.stringify(should)) fail(`L1 ${JSON.stringify({ is, should })}`);
  }
  return log;
}

/** For a person who looks for the mistake. */
function briefly(op: Op): string {
  const { emails, targets: named, ...rest } = op as Op & { readonly emails?: unknown; readonly targets?: unknown };
  void emails;
  return JSON.stringify({ ...rest, ...(named ? { named } : {}) });
}

const TAKERS: ReadonlySet<OpKind> = new Set(["expunge", "delete", "replace", "change", "folders"]);

function brokenAlone(log: Log, { mailboxes, hidden, emails }: Shown): string | undefined {
  const paths = mailboxes.map(({ path }) => path);
  if (new Set(paths).size < paths.length) return "M1";
  if (!mailboxes.some(({ id, path }) => id === INBOX_ID && path === "INBOX")) return "M1";
  if (new Set(mailboxes.map(({ uidValidity }) => uidValidity)).size < mailboxes.length) return "M5";
  const lasting = mailboxes.flatMap(({ live }) => [...live.values()].map((message) => message.lasting));
  if (new Set(lasting).size < lasting.length) return "R1";
  if (hidden.size > 0) return "M2 hidden";
  // An email that no mailbox shows was taken by an EXPUNGE or DELETE of somebody who knew it.
  const count = 3 + log.steps.filter((_, op) => log.passed(op).kind === "add").length;
  const takers = log.steps.some((_, op) => TAKERS.has(log.passed(op).kind));
  return emails.size < count && !takers ? "M2 lost" : undefined;
}

function brokenBetween(log: Log, part: number, before: Shown, after: Shown): string | undefined {
  const meant = new Map<string, string>();
  for (const { path, uidValidity, live } of before.mailboxes)
    for (const [uid, { name }] of live) meant.set(`${path} ${uidValidity} ${uid}`, name);
  for (const { path, uidValidity, live } of after.mailboxes)
    for (const [uid, { name }] of live) if ((meant.get(`${path} ${uidValidity} ${uid}`) ?? name) !== name) return "M4";
  const owners = new Map([...after.uidValidities].map(([id, number]) => [number, id]));
  for (const [id, number] of before.uidValidities) if ((owners.get(number) ?? id) !== id) return "M5";
  for (const mailbox of before.mailboxes) {
    const now = after.mailboxes.find(({ id }) => id === mailbox.id);
    const isDeleted = log.steps.some((_, op) => {
      const passed = log.passed(op);
      const isIt =
        passed.kind === "delete"
          ? passed.mailbox === mailbox.id
          : passed.kind === "folders" &&
            passed.steps.some((step) => step.do === "destroy" && step.mailbox === mailbox.id);
      return !has(part, op) && isIt;
    });
    if (!now && !isDeleted) return "M5 gone";
    const heir = after.mailboxes.find(({ path }) => path === mailbox.path);
    if (heir && heir.id !== mailbox.id && knewOf(log, heir.id, mailbox.id) && heir.uidValidity <= mailbox.uidValidity)
      return "M4b";
    const told = now && brokenMailbox(mailbox, now);
    if (told) return `${told} in ${mailbox.path}`;
  }
  for (const name of before.gone) if (!after.gone.has(name)) return "S2";
  return undefined;
}

/** True if the author of `id` knew the mailbox `other`, and no author beside it raised all UIDVALIDITYs, which gives the
 * older mailbox a number of its own that may be the greater. */
function knewOf(log: Log, id: MailboxId, other: MailboxId): boolean {
  const op = log.steps.findIndex((_, number) => made(number) === id);
  if (op < 0) return false;
  const isBeside = (step: Step, number: number): boolean =>
    step.op.kind === "raise" && !has(step.knows, op) && !has(log.steps[op]!.knows, number);
  if (log.steps.some(isBeside)) return false;
  if (other.startsWith(`${FOUNDER}.`)) return true;
  return log.steps.some((_, number) => made(number) === other && has(log.steps[op]!.knows, number));
}

function brokenMailbox(before: ShownMailbox, after: ShownMailbox): string | undefined {
  if (before.uidValidity !== after.uidValidity) return undefined;
  if (after.uidNext < before.uidNext || after.highest < before.highest) return "I3 counter";
  const isVanished = (uid: number): boolean => (after.vanished.get(uid) ?? 0) > before.highest;
  for (const [uid, message] of after.live) {
    const known = before.live.get(uid);
    if (known && known.name !== message.name) return "I1";
    if (!known && uid < before.uidNext) return "I2";
    if ((!known || known.flags !== message.flags) && message.modSeq <= before.highest) return "I3 change";
    if (after.vanished.has(uid)) return "I3 vanished";
  }
  for (const uid of before.live.keys()) if (!after.live.has(uid) && !isVanished(uid)) return "I3 gone";
  return undefined;
}

/** The mailboxes of linear mode, to be compared with {@link plain}. */
function linear({ mailboxes }: Shown): unknown {
  return mailboxes
    .map(({ path, uidValidity, uidNext, live }) => [
      path,
      uidValidity,
      uidNext,
      [...live].map(([uid, { name, lasting, flags }]) => [uid, name, lasting, flags]),
    ])
    .sort();
}

/** One op after another on maps, each precondition tried on the spot. */
function plain(ops: readonly Op[]): unknown {
  interface Box {
    path: string;
    uidValidity: number;
    uidNext: number;
    readonly rows: Map<number, Row>;
  }
  interface Row {
    readonly name: string;
    readonly lasting: string;
    readonly email: string;
    readonly flags: Set<string>;
  }
  const boxes = new Map<MailboxId, Box>();
  let top = 1000;
  const makeBox = (id: MailboxId, path: string, seconds: number): Box => {
    top = Math.max(top, seconds);
    const box: Box = { path, uidValidity: top++, uidNext: 1, rows: new Map() };
    boxes.set(id, box);
    return box;
  };
  /** `of`: the email, that of its own name by default; `as`: the lasting name. */
  const put = (box: Box, name: object, flags: Iterable<string>, of?: string, as?: string): void => {
    const text = JSON.stringify(name);
    box.rows.set(box.uidNext++, { name: text, lasting: as ?? text, email: of ?? text, flags: new Set(flags) });
  };
  const find = (box: Box, { writer, first }: ReturnType<typeof targets>[number]): number | undefined => {
    const name = JSON.stringify({ writer, sequence: first.sequence, index: first.index });
    return [...box.rows].find(([, row]) => row.name === name)?.[0];
  };
  const isFree = (path: string): boolean => ![...boxes.values()].some((box) => box.path === normalizeInbox(path));
  for (const [id, path] of [
    [INBOX_ID, "INBOX"],
    [A, "A"],
    [B, "B"],
  ] as const)
    makeBox(id, path, 0);
  put(boxes.get(INBOX_ID)!, nameOf(I0), []);
  put(boxes.get(A)!, nameOf(M0), ["\\Deleted"]);
  put(boxes.get(A)!, nameOf(M1), []);
  for (const [number, op] of ops.entries()) {
    const own = (index: number) => nameOf({ op: number, index });
    switch (op.kind) {
      case "add": {
        for (const [at, { places }] of op.emails.entries())
          for (const [place, { mailbox }] of places.entries()) {
            const box = boxes.get(mailbox);
            const index = at * places.length + place;
            if (box) put(box, own(index), [], JSON.stringify(own(at * places.length)));
          }
        break;
      }
      case "flags": {
        const box = boxes.get(op.mailbox);
        const uid = box && find(box, op.targets[0]!);
        if (uid === undefined) break;
        for (const name of op.change.flags)
          if (op.change.mode === "add") box!.rows.get(uid)!.flags.add(name);
          else box!.rows.get(uid)!.flags.delete(name);
        break;
      }
      case "expunge": {
        const box = boxes.get(op.mailbox);
        const uid = box && find(box, op.targets[0]!);
        if (uid !== undefined && box!.rows.get(uid)!.flags.has("\\Deleted")) box!.rows.delete(uid);
        break;
      }
      case "copy":
      case "move": {
        const [from, to] = [boxes.get(op.mailbox), boxes.get(op.to)];
        const uid = from && to && find(from, op.targets[0]!);
        if (uid === undefined) break;
        put(to!, own(0), from!.rows.get(uid)!.flags, from!.rows.get(uid)!.email);
        if (op.kind === "move") from!.rows.delete(uid);
        break;
      }
      case "create":
        if (isFree(op.path)) makeBox(made(number), op.path, op.seconds);
        break;
      case "rename-inbox": {
        if (!isFree(op.path)) break;
        const [inbox, to] = [boxes.get(INBOX_ID)!, makeBox(made(number), op.path, op.seconds)];
        for (const [index, { flags, email: of }] of [...inbox.rows.values()].entries()) put(to, own(index), flags, of);
        inbox.rows.clear();
        break;
      }
      case "replace": {
        const box = boxes.get(op.mailbox);
        const uid = box && find(box, op.target[0]!);
        if (uid === undefined) break;
        const { flags, lasting } = box!.rows.get(uid)!;
        box!.rows.delete(uid);
        put(box!, own(0), flags, undefined, lasting);
        break;
      }
      case "change": {
        const [item] = op.items;
        const [target] = item!.targets;
        const from = boxes.get(target!.mailbox);
        const uid = from && find(from, target!.targets[0]!);
        if (uid === undefined || item!.join.some((id) => !boxes.has(id))) break;
        const { email: of } = from!.rows.get(uid)!;
        const held = () =>
          [...boxes].flatMap(([id, box]) =>
            [...box.rows].filter(([, row]) => row.email === of).map(([at, row]) => ({ id, box, at, row })),
          );
        const isShown = ({ row }: { readonly row: Row }): boolean => !row.flags.has("\\Deleted");
        for (const { row } of held()) {
          for (const name of item!.add) row.flags.add(name);
          for (const name of item!.remove) row.flags.delete(name);
        }
        const before = held();
        const shown = before.filter(isShown);
        const view = shown.length > 0 ? shown : before;
        const flags = new Set(view.flatMap(({ row }) => [...row.flags]));
        if (!view.every(({ row }) => row.flags.has("\\Seen"))) flags.delete("\\Seen");
        flags.delete("\\Deleted");
        for (const [index, id] of item!.join.entries())
          if (!shown.some((one) => one.id === id)) put(boxes.get(id)!, own(index), flags, of);
        for (const { id, box, at } of before)
          if (item!.leave === "all" ? !item!.join.includes(id) : item!.leave.includes(id)) box.rows.delete(at);
        break;
      }
      case "folders": {
        const ends = new Map([...boxes].map(([id, { path }]) => [id as string, path]));
        const refuses = op.steps.some((step, at) => {
          if (step.do === "create") return void ends.set(`step ${at}`, step.path);
          if (!boxes.has(step.mailbox)) return true;
          if (step.do === "destroy") return !ends.delete(step.mailbox);
          return step.path !== undefined && void ends.set(step.mailbox, step.path);
        });
        const paths = [...ends.values()];
        const isTree = (step: FolderStep): boolean => {
          const old = step.do === "create" ? undefined : boxes.get(step.mailbox)?.path;
          if (old === undefined || (step.do === "set" && (step.path ?? old) === old)) return false;
          const below = [...boxes].filter(([, { path }]) => path.startsWith(`${old}/`)).map(([id]) => id);
          return step.do === "destroy"
            ? below.some((id) => ends.get(id)?.startsWith(`${old}/`))
            : below.some((id) => !op.steps.some((other) => other.do !== "create" && other.mailbox === id));
        };
        const isFull = (step: FolderStep): boolean =>
          step.do === "destroy" &&
          step.ifEmpty &&
          [...boxes.get(step.mailbox)!.rows.values()].some(({ flags }) => !flags.has("\\Deleted"));
        if (refuses || new Set(paths).size < paths.length || op.steps.some(isTree) || op.steps.some(isFull)) break;
        for (const [at, step] of op.steps.entries())
          if (step.do === "create") makeBox(mailboxId(writerOf(number), 1, at), step.path, 0);
          else if (step.do === "destroy") boxes.delete(step.mailbox);
          else if (step.path !== undefined) boxes.get(step.mailbox)!.path = step.path;
        break;
      }
      case "delete":
        if (op.mailbox !== INBOX_ID) boxes.delete(op.mailbox);
        break;
      case "rename": {
        const [first] = op.paths;
        const box = boxes.get(first!.mailbox);
        if (!box || first!.mailbox === INBOX_ID || `${first!.path}/`.startsWith(`${box.path}/`)) break;
        const moving = new Set(op.paths.map(({ mailbox }) => mailbox));
        const isStale = [...boxes].some(([id, { path }]) => path.startsWith(`${box.path}/`) && !moving.has(id));
        if (isStale || op.paths.some(({ path }) => !isFree(path))) break;
        for (const { mailbox, path } of op.paths) {
          const renamed = boxes.get(mailbox);
          if (renamed) renamed.path = path;
        }
        break;
      }
      case "raise":
        for (const box of boxes.values()) box.uidValidity = top++;
        break;
    }
  }
  return [...boxes.values()]
    .map(({ path, uidValidity, uidNext, rows }) => [
      path,
      uidValidity,
      uidNext,
      [...rows].map(([uid, { name, lasting, flags }]) => [uid, name, lasting, [...flags].sort().join()]),
    ])
    .sort();
}

/** Checks every history of up to `length` ops of these kinds; returns how many there were. */
function checkAll(length: number, kinds: readonly Kind[], isLinear = false, log = new Log([])): number {
  if (log.steps.length > 0) check(log);
  let histories = log.steps.length > 0 ? 1 : 0;
  if (log.steps.length === length) return histories;
  for (const knows of isLinear ? [(1 << log.steps.length) - 1] : log.parts) {
    const seen = new Look(log.fold(knows));
    for (const op of kinds.flatMap((kind) => kind(seen, log.steps.length)))
      histories += checkAll(length, kinds, isLinear, new Log([...log.steps, { op, knows }], log));
  }
  return histories;
}

const STALE = [
  flag("remove", ["\\Deleted"], M0),
  flag("add", ["\\Deleted"], M0),
  expunge(M0),
  transfer("move", [M0], B),
  transfer("copy", [M0], B),
];
const NAMES = [create(["X"]), remove(A, "new"), rename([A, "new"], "X", "Y")];
const MAIL = [
  create(["X"]),
  remove(A, "new"),
  add(A, "new"),
  transfer("move", [M1], B, "new"),
  transfer("move", [I0], A),
  rename([B], "X"),
  renameInbox("X"),
];
const REUSE = [create(["X"]), remove("new"), add("new"), rename(["new"], "Y", "X")];
const VALIDITY = [create(["X"], 0, 2000), remove("new"), add("new"), raise];
const TREE = [rename([A], "B/A", "X"), rename([B], "A/B", "X"), create(["A/k"]), rename(["new"], "B/k"), remove(A)];
const DRAFTS = [
  replace(M1),
  flag("add", ["k"], M1),
  flag("add", ["\\Deleted"], M1),
  expunge(M1),
  transfer("move", [M1], B),
];
const CHANGES = [
  change({ add: ["\\Seen", "k"] }, M1),
  change({ join: [B], leave: "all" }, M1),
  change({ join: [B] }, M1),
  change({ leave: "all" }, M1),
  flag("add", ["\\Deleted"], M1),
  expunge(M1),
  transfer("copy", [M1], INBOX_ID),
  addTwice(A, B),
];
const SWAPS = [
  folders({ do: "set", mailbox: A, path: "B" }, { do: "set", mailbox: B, path: "A" }),
  folders({ do: "destroy", mailbox: A, ifEmpty: true }, { do: "set", mailbox: B, path: "A" }),
  folders({ do: "destroy", mailbox: B, ifEmpty: true }),
  folders({ do: "create", path: "X", type: "mail", sortOrder: 0, subscribed: false }),
  folders({ do: "set", mailbox: A, path: "X" }),
  rename([B], "X"),
  create(["A/k"]),
  add(B),
  remove(A),
];
const ALL = [...STALE, ...DRAFTS, ...CHANGES, ...SWAPS, ...NAMES, ...MAIL, ...REUSE, ...VALIDITY, ...TREE];

describe("every history", () => {
  test.each([
    ["of stale flags, expunges, moves and copies", STALE, 3],
    ["of creates, deletes and renames", NAMES, 3],
    ["of these with adds, moves and RENAME INBOX", MAIL, extent(3, 2)],
    ["of one name used again and again", REUSE, extent(4, 3)],
    ["of creates in two seconds and raises of all", VALIDITY, 3],
    ["of parents and children", TREE, 3],
    ["of drafts that are replaced", DRAFTS, 3],
    ["of what JMAP changes, beside IMAP's flags, copies and expunges", CHANGES, 2],
    ["of names that are swapped, freed and taken as one", SWAPS, 2],
  ] as const)("%s", (_, kinds, length) => {
    expect(checkAll(length, kinds)).toBeGreaterThan(50);
  });

  test.each([
    ["of stale flags, expunges, moves and copies", STALE, extent(4, 3)],
    ["of all kinds", ALL, 2],
    ["of one name used again and again", REUSE, 4],
    ["of parents and children", TREE, 4],
    ["of drafts that are replaced", DRAFTS, extent(4, 3)],
    ["of what JMAP changes, beside IMAP's flags, copies and expunges", CHANGES, 3],
    ["of names that are swapped, freed and taken as one", SWAPS, extent(4, 3)],
  ] as const)("in which all know all, %s", (_, kinds, length) => {
    expect(checkAll(length, kinds, true)).toBeGreaterThan(50);
  });
});

test("random histories of all kinds, by writers who hear of one another now and then", () => {
  const choice = fc.tuple(fc.nat(), fc.nat(), fc.nat());
  fc.assert(
    fc.property(fc.array(choice, { minLength: 3, maxLength: 6 }), fc.boolean(), (choices, isLinear) => {
      let log = new Log([]);
      for (const [whom, kind, which] of choices) {
        const { parts } = log;
        const knows = isLinear ? (1 << log.steps.length) - 1 : parts[whom % parts.length]!;
        const ops = ALL[kind % ALL.length]!(new Look(log.fold(knows)), log.steps.length);
        if (ops.length > 0) log = new Log([...log.steps, { op: ops[which % ops.length]!, knows }], log);
      }
      check(log);
    }),
    { numRuns: extent(500, 150) },
  );
});
