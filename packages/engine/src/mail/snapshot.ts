import { decode, encode } from "cborg";
import { Fields } from "../bay/fields.ts";
import type { Capture, PageStore } from "../bay/snapshots.ts";
import { CHUNK_ROWS, type Schema, type Table } from "./columns.ts";
import type { MailboxId, WriterId } from "./names.ts";
import type { SpecialUse } from "./op.ts";
import { MailState, type NoteStream } from "./state.ts";
import { encodeRecord, PAGE_RECORDS, type SummaryRecord } from "./summary-page.ts";

/**
 * The state as a checkpoint keeps it (docs/formats/checkpoint.md): columns in pages of 4,096 rows, summaries in pages of
 * 64, and the rest in the manifest. Rows keep their numbers, so an email's page follows from its row.
 *
 * Only pages whose rows changed since this process last wrote them are written again; summaries never change, so a full
 * summary page is written once.
 */
const FORMAT = 1;

/** Reads the record of an email that lies in no page yet. */
export type ReadRecord = (email: number) => Promise<SummaryRecord>;

/** Copies what has changed, at once; the seals and writes come after. */
export function captureMail(state: MailState, readRecord: ReadRecord): Capture {
  const memberships = captureTable(state.memberships, state.pages.memberships);
  const emails = captureTable(state.emails, state.pages.emails);
  const manifest = manifestOf(state);
  const emailRows = state.emails.rows;
  const membershipRows = state.memberships.rows;
  const threads = state.threadBytes();
  // A page that was not full is written again with what has come since.
  const summaryPages = state.pages.summaries.slice(0, Math.floor(state.pages.summarized / PAGE_RECORDS));
  return {
    covers: emailRows,
    async write(pages) {
      const membershipPages = await memberships.write(pages);
      const emailPages = await emails.write(pages);
      for (let page = 0; page * PAGE_RECORDS < emailRows; page++) {
        if (summaryPages[page] !== undefined) continue;
        const first = page * PAGE_RECORDS;
        const last = Math.min(first + PAGE_RECORDS, emailRows);
        const records = await Promise.all(Array.from({ length: last - first }, (_, at) => readRecord(first + at)));
        summaryPages[page] = await pages.write("rows", encode(records.map(encodeRecord)));
      }
      const threadPage = await pages.write("references", threads);
      return encode([
        FORMAT,
        manifest,
        emailRows,
        membershipPages,
        membershipRows,
        emailPages,
        summaryPages,
        threadPage,
      ]);
    },
    commit() {
      memberships.commit();
      emails.commit();
      state.pages.summaries = summaryPages;
      state.pages.summarized = emailRows;
    },
    abandon() {
      memberships.abandon();
      emails.abandon();
    },
  };
}

interface TableCapture {
  write(pages: PageStore): Promise<string[]>;
  commit(): void;
  abandon(): void;
}

function captureTable<S extends Schema>(table: Table<S>, known: string[]): TableCapture {
  const count = table.chunkCount;
  const dirty = [...table.takeDirty()];
  const chunks = new Map(
    Array.from({ length: count }, (_, chunk) => chunk)
      .filter((chunk) => known[chunk] === undefined || dirty.includes(chunk))
      .map((chunk) => [chunk, table.encodeChunk(chunk)]),
  );
  const names = known.slice(0, count);
  return {
    async write(pages: PageStore): Promise<string[]> {
      for (const [chunk, bytes] of chunks) names[chunk] = await pages.write("columns", bytes);
      return names;
    },
    commit(): void {
      for (const [chunk, name] of names.entries()) known[chunk] = name;
    },
    abandon(): void {
      for (const chunk of dirty) table.dirty.add(chunk);
    },
  };
}

function manifestOf(state: MailState): unknown[] {
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
    [...state.streams].map(([name, { highest, missing }]) => [name, highest, [...missing]]),
    [[...state.slots.names], state.slots.entry],
  ];
}

/** The state that {@link captureMail} wrote. Throws RangeError if it is not of that form. */
export async function loadMail(body: Uint8Array, pages: PageStore): Promise<MailState> {
  const fields = new Fields(decode(body, { strict: true }));
  if (fields.integer() !== FORMAT) throw new RangeError("checkpoint of an unknown format");
  const state = new MailState();
  const manifest = fields.nested();
  const emailRows = fields.integer();
  const membershipPages = fields.texts();
  const membershipRows = fields.integer();
  const emailPages = fields.texts();
  const summaryPages = fields.texts();
  const threadPage = fields.text();
  fields.end();
  const [memberships, emails, threads] = await Promise.all([
    Promise.all(membershipPages.map((name) => pages.read("columns", name))),
    Promise.all(emailPages.map((name) => pages.read("columns", name))),
    pages.read("references", threadPage),
  ]);
  loadTable(state.memberships, membershipRows, memberships);
  loadTable(state.emails, emailRows, emails);
  state.pages.memberships.push(...membershipPages);
  state.pages.emails.push(...emailPages);
  state.pages.summaries = summaryPages;
  state.pages.summarized = emailRows;
  loadManifest(state, manifest);
  state.tailStart = emailRows;
  state.loadThreads(threads);
  state.index();
  return state;
}

function loadTable(
  table: { loadChunk(rows: number, bytes: Uint8Array): void; takeDirty(): Set<number> },
  rows: number,
  chunks: readonly Uint8Array[],
): void {
  for (const [chunk, bytes] of chunks.entries())
    table.loadChunk(Math.min(CHUNK_ROWS, rows - chunk * CHUNK_ROWS), bytes);
  table.takeDirty();
}

function loadManifest(state: MailState, fields: Fields): void {
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
  for (const name of fields.texts()) state.condemned.add(name);
  for (const note of fields.texts()) state.takenNotes.add(note);
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

function readStream(item: Fields): readonly [string, NoteStream] {
  return [item.text(), { highest: item.integer(), missing: new Set(item.list((number) => number.integer(), false)) }];
}
