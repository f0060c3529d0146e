import type { Fields } from "../../bay/fields.ts";
import type { MailboxId, WriterId } from "../ops/names.ts";
import type { SpecialUse } from "../ops/op.ts";
import type { MailState, NoteStream } from "../state/state.ts";

/** What a checkpoint's manifest holds of the state itself: all but the tables and the reference index. */
export function encodeState(state: MailState): unknown[] {
  return [
    [...state.writers],
    // The first is the empty set.
    state.keywords.all.slice(1).map((keywords) => [keywords]),
    state.mailboxes.map((mailbox) => [
      mailbox.id,
      mailbox.path,
      mailbox.wantedPath,
      mailbox.pathWritten,
      mailbox.specialUse ?? null,
      mailbox.uidValidity,
      mailbox.uidNext,
      mailbox.highestModSeq,
      mailbox.gone,
      mailbox.vanished.floor,
      mailbox.vanished.ranges.map(({ first, last, modSeq }) => [first, last, modSeq]),
    ]),
    [...state.subscriptions],
    [state.modSeq, state.uidValidity, state.epoch, state.pathWrites, state.begun, state.lastCondemn, state.lastForget],
    [...state.condemned],
    [...state.takenNotes],
    [state.checkpoints.map(({ covers, manifest, announced }) => [covers, manifest, announced]), state.trimmed],
    [...state.streams].map(([name, { highest, missing }]) => [name, highest, [...missing]]),
    [[...state.slots.names], state.slots.entry],
  ];
}

/** Throws RangeError on anything that {@link encodeState} does not make. */
export function loadState(state: MailState, fields: Fields): void {
  for (const writer of fields.texts()) state.writerNumber(writer as WriterId);
  // In their order, so that they get their numbers again.
  for (const keywords of fields.list((item) => item.texts())) state.keywords.number(keywords);
  for (const load of fields.list(readMailbox)) load(state);
  for (const path of fields.texts()) state.subscriptions.add(path);
  const numbers = fields.nested();
  state.modSeq = numbers.integer();
  state.uidValidity = numbers.integer();
  state.epoch = numbers.integer();
  state.pathWrites = numbers.integer();
  state.begun = numbers.boolean();
  state.lastCondemn = numbers.integer();
  state.lastForget = numbers.integer();
  for (const [name, entry] of fields.list(readNumbered)) state.condemned.set(name, entry);
  for (const [note, entry] of fields.list(readNumbered)) state.takenNotes.set(note, entry);
  const marks = fields.nested();
  state.checkpoints = marks.list((mark) => ({
    covers: mark.integer(),
    manifest: mark.bytes(32),
    announced: mark.integer(),
  }));
  state.trimmed = marks.integer();
  for (const [name, stream] of fields.list(readStream)) state.streams.set(name, stream);
  const slots = fields.nested();
  state.slots = { names: slots.texts(), entry: slots.integer() };
  fields.end();
}

function readMailbox(item: Fields): (state: MailState) => void {
  const id = item.text() as MailboxId;
  const [path, wantedPath, pathWritten] = [item.text(), item.text(), item.integer()];
  const specialUse = item.optional((f) => f.text() as SpecialUse);
  const [uidValidity, uidNext, highestModSeq, gone] = [item.integer(), item.integer(), item.integer(), item.boolean()];
  const floor = item.integer();
  const ranges = item.list((range) => [range.integer(), range.integer(), range.integer()] as const);
  return (state) => {
    const mailbox = state.addMailbox(id, path, specialUse, uidValidity);
    Object.assign(mailbox, { wantedPath, pathWritten, uidNext, highestModSeq, gone });
    for (const [first, last, modSeq] of ranges) mailbox.vanished.add(first, last, modSeq);
    mailbox.vanished.floor = floor;
  };
}

function readNumbered(item: Fields): readonly [string, number] {
  return [item.text(), item.integer()];
}

function readStream(item: Fields): readonly [string, NoteStream] {
  return [
    item.text(),
    { highest: item.integer(), missing: new Map(item.list((number) => [number.integer(), number.integer()] as const)) },
  ];
}
