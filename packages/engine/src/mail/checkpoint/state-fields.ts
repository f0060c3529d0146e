import type { Fields } from "../../bay/fields.ts";
import type { Position } from "../../bay/position.ts";
import { asRow, type ModSeq, readModSeq, readUid, type Uid } from "../numbers.ts";
import type { MailboxId, MembershipName, WriterId } from "../ops/names.ts";
import { LOG_VERSION, type MailboxType, type SpecialUse } from "../ops/op.ts";
import { NewerLog } from "../ops/op-codec.ts";
import type { Mailbox } from "../state/mailbox.ts";
import type { NoteStream } from "../state/note-streams.ts";
import type { RecordValue, StoredRecord } from "../state/records.ts";
import type { MailState } from "../state/state.ts";

/** The part of a state that a checkpoint's manifest holds: all but the tables and the reference index. */
export function encodeState(state: MailState): unknown[] {
  return [
    [...state.writers],
    // The first is the empty set.
    state.keywords.all.slice(1).map((keywords) => [keywords]),
    state.mailboxes.map((mailbox) => [
      mailbox.id,
      // Of one that is gone nothing is kept that its owner wrote.
      mailbox.gone ? "" : mailbox.path,
      mailbox.gone ? "" : mailbox.wantedPath,
      mailbox.pathWritten,
      mailbox.type,
      mailbox.specialUse ?? null,
      mailbox.sortOrder,
      mailbox.made,
      mailbox.propsModSeq,
      mailbox.uidValidity,
      mailbox.uidNext,
      mailbox.highestModSeq,
      mailbox.gone,
      mailbox.burnt.ranges.map(({ first, last, modSeq }) => [first, last, modSeq]),
    ]),
    [...state.subscriptions],
    [state.modSeq, state.uidValidity, state.epoch, state.pathWrites, state.begun, state.lastCondemn, state.lastForget],
    [state.changed.email, state.changed.mailbox, state.changed.thread, state.changed.delivery],
    [...state.condemned],
    [...state.takenNotes],
    [state.checkpoints.map(({ covers, manifest, announced }) => [covers, manifest, announced]), state.trimmed],
    [...state.streams].map(([name, { highest, missing, latestMs }]) => [name, highest, [...missing], latestMs]),
    [[...state.slots.names], state.slots.entry],
    state.requires,
    [state.floor, state.numbering, state.sweep.covers, state.sweep.first, state.sweep.last, state.silentBefore],
    state.lastingNames.entries().map(([row, { writer, sequence, index }]) => [row, writer, sequence, index]),
    state.records.types().map(([type, changed, floor]) => [type, changed, floor]),
    [...state.records.all()].map(({ type, id, modSeq, value }) => [type, id, modSeq, encodeValue(value)]),
  ];
}

/** A small value as it is; of a large one its hash. */
function encodeValue(value: RecordValue | undefined): unknown {
  if (!value) return null;
  return "bytes" in value ? [0, value.bytes] : [1, value.hash];
}

/** Throws RangeError on anything that {@link encodeState} does not make; NewerLog for what a newer program made. */
export function loadState(state: MailState, fields: Fields): void {
  loadSince(state, fields, readStream);
  loadRecords(state, fields);
}

/** The state of a checkpoint of format 3: streams had no times. Throws as {@link loadState}. */
export function loadThirdState(state: MailState, fields: Fields): void {
  loadSince(state, fields, readStreamWithoutTime);
  loadRecords(state, fields);
}

function loadSince(state: MailState, fields: Fields, readOne: ReadStream): void {
  loadBeginning(state, fields, readMailbox(readBurnt));
  loadChanged(state, fields);
  loadEnd(state, fields, readOne);
  loadRequires(state, fields);
  const numbers = fields.nested();
  state.floor = readModSeq(numbers);
  state.numbering = numbers.position();
  Object.assign(state.sweep, { covers: numbers.position(), first: numbers.position(), last: numbers.position() });
  if (readOne === readStream) state.silentBefore = numbers.integer();
  numbers.end();
}

/** The state of a checkpoint of format 2. Throws as {@link loadState}. */
export function loadSecondState(state: MailState, fields: Fields): void {
  loadBeginning(state, fields, readMailbox(skipVanished));
  loadChanged(state, fields);
  loadEnd(state, fields);
  loadRequires(state, fields);
  loadRecords(state, fields);
}

function loadChanged(state: MailState, fields: Fields): void {
  const changed = fields.nested();
  state.changed.email = readModSeq(changed);
  state.changed.mailbox = readModSeq(changed);
  state.changed.thread = readModSeq(changed);
  state.changed.delivery = readModSeq(changed);
  changed.end();
}

function loadRequires(state: MailState, fields: Fields): void {
  state.requires = fields.integer();
  if (state.requires > LOG_VERSION) throw new NewerLog();
}

function loadRecords(state: MailState, fields: Fields): void {
  for (const [row, name] of fields.list((item) => [asRow(item.integer()), readName(item)] as const))
    state.lastingNames.give(row, name);
  const types = fields.list((type) => [type.text(), readModSeq(type), readModSeq(type)] as const);
  for (const record of fields.list(readRecord)) state.records.set(record);
  for (const [type, changedAt, floor] of types) state.records.setType(type, changedAt, floor);
  fields.end();
}

/** The state of a checkpoint of format 1. Throws RangeError. */
export function loadFirstState(state: MailState, fields: Fields): void {
  loadBeginning(state, fields, readFirstMailbox);
  loadEnd(state, fields);
  fields.end();
  // Nobody was ever told of less.
  const { modSeq } = state;
  Object.assign(state.changed, { email: modSeq, mailbox: modSeq, thread: modSeq, delivery: modSeq });
}

type LoadMailbox = (state: MailState) => void;

function loadBeginning(state: MailState, fields: Fields, readOne: (item: Fields) => LoadMailbox): void {
  for (const writer of fields.texts()) state.writerNumber(writer as WriterId);
  // In their order, so that they get their numbers again.
  for (const keywords of fields.list((item) => item.texts())) state.keywords.number(keywords);
  for (const load of fields.list(readOne)) load(state);
  for (const path of fields.texts()) state.subscriptions.add(path);
  const numbers = fields.nested();
  state.modSeq = readModSeq(numbers);
  state.uidValidity = numbers.integer();
  state.epoch = numbers.integer();
  state.pathWrites = numbers.integer();
  state.begun = numbers.boolean();
  state.lastCondemn = numbers.position();
  state.lastForget = numbers.position();
}

function loadEnd(state: MailState, fields: Fields, readOne: ReadStream = readStreamWithoutTime): void {
  for (const [name, entry] of fields.list(readNumbered)) state.condemned.set(name, entry);
  for (const [note, entry] of fields.list(readNumbered)) state.takenNotes.set(note, entry);
  const marks = fields.nested();
  state.checkpoints = marks.list((mark) => ({
    covers: mark.position(),
    manifest: mark.bytes(32),
    announced: mark.position(),
  }));
  state.trimmed = marks.position();
  for (const [name, stream] of fields.list(readOne)) state.streams.set(name, stream);
  const slots = fields.nested();
  state.slots = { names: slots.texts(), entry: slots.position() };
}

type ReadRanges = (item: Fields) => (mailbox: Mailbox) => void;

const readMailbox =
  (readRanges: ReadRanges) =>
  (item: Fields): LoadMailbox => {
    const id = item.text() as MailboxId;
    const [path, wantedPath, pathWritten] = [item.text(), item.text(), item.integer()];
    const type = item.text() as MailboxType;
    const specialUse = item.optional((f) => f.text() as SpecialUse);
    const [sortOrder, made, propsModSeq] = [item.integer(), readModSeq(item), readModSeq(item)];
    const load = readNumbers(item, readRanges);
    return (state) => {
      const mailbox = state.addMailbox(id, path, { specialUse, type });
      Object.assign(mailbox, { wantedPath, pathWritten, sortOrder, made, propsModSeq });
      load(mailbox);
    };
  };

function readFirstMailbox(item: Fields): LoadMailbox {
  const id = item.text() as MailboxId;
  const [path, wantedPath, pathWritten] = [item.text(), item.text(), item.integer()];
  const specialUse = item.optional((f) => f.text() as SpecialUse);
  const load = readNumbers(item, skipVanished);
  return (state) => {
    const mailbox = state.addMailbox(id, path, { specialUse });
    Object.assign(mailbox, { wantedPath, pathWritten, made: 1, propsModSeq: 1 });
    load(mailbox);
  };
}

function readNumbers(item: Fields, readRanges: ReadRanges): (mailbox: Mailbox) => void {
  const [uidValidity, uidNext, highestModSeq, gone] = [item.integer(), readUid(item), readModSeq(item), item.boolean()];
  const loadRanges = readRanges(item);
  return (mailbox) => {
    Object.assign(mailbox, { uidValidity, uidNext, highestModSeq, gone });
    loadRanges(mailbox);
  };
}

function readBurnt(item: Fields): (mailbox: Mailbox) => void {
  const ranges = readUidRanges(item);
  return ({ burnt }) => {
    for (const [first, last, modSeq] of ranges) burnt.add({ first, last, modSeq });
  };
}

/** Skips the expunged messages that older checkpoints list: they stand in rows too. */
function skipVanished(item: Fields): () => void {
  item.integer();
  readUidRanges(item);
  return () => undefined;
}

function readUidRanges(item: Fields): (readonly [Uid, Uid, ModSeq])[] {
  return item.list((range) => [readUid(range), readUid(range), readModSeq(range)] as const);
}

function readName(item: Fields): MembershipName {
  return { writer: item.text() as WriterId, sequence: item.integer(), index: item.integer() };
}

function readRecord(item: Fields): StoredRecord {
  const [type, id, modSeq] = [item.text(), item.text(), readModSeq(item)];
  const fields = item.optional((value) => value.nested());
  if (!fields) return { type, id, modSeq, value: undefined };
  const isSmall = fields.integer() === 0;
  const bytes = fields.bytes();
  fields.end();
  // Its page is named beside the state: `Pages.values`.
  const value: RecordValue = isSmall ? { bytes } : { hash: bytes, place: { in: "page", name: "" } };
  return { type, id, modSeq, value };
}

function readNumbered(item: Fields): readonly [string, Position] {
  return [item.text(), item.position()];
}

type ReadStream = (item: Fields) => readonly [string, NoteStream];

function readStream(item: Fields): readonly [string, NoteStream] {
  const [name, stream] = readStreamWithoutTime(item);
  return [name, { ...stream, latestMs: item.integer() }];
}

function readStreamWithoutTime(item: Fields): readonly [string, NoteStream] {
  const [name, highest] = [item.text(), item.integer()];
  const missing = new Map(item.list((number) => [number.integer(), number.integer()] as const));
  return [name, { highest, missing, latestMs: 0 }];
}
