import { encode } from "cborg";
import { Fields } from "../../bay/fields.ts";
import type { Capture, PageStore } from "../../bay/snapshots.ts";
import { NewerLog } from "../ops/op-codec.ts";
import { CHUNK_ROWS, type Schema, type Table } from "../state/columns.ts";
import { encodePages, type Pages, readFirstPages, readPages } from "../state/pages.ts";
import { FIRST_EMAIL_COLUMNS, MailState } from "../state/state.ts";
import { captureEmailPages, type EmailSource } from "./email-capture.ts";
import { encodeState, loadFirstState, loadState } from "./state-fields.ts";
import { captureValues } from "./value-capture.ts";

/**
 * The state as a checkpoint keeps it (docs/formats/checkpoint.md): columns in pages of 4,096 rows, what is kept of
 * emails in pages of 64, and the rest in the manifest. Rows keep their numbers, so an email's page follows from its row.
 * Only pages whose content changed since the last checkpoint are written again.
 */
const FORMAT = 2;
/** What the first releases wrote: it is read, and the next checkpoint writes it anew. */
const FIRST_FORMAT = 1;

/** Copies what has changed, at once; the seals and writes come after. */
export function captureMail(state: MailState, source: EmailSource): Capture {
  const memberships = captureTable(state.memberships, state.pages.memberships);
  const emails = captureTable(state.emails, state.pages.emails);
  const fields = encodeState(state);
  const references = state.references.capture();
  const emailPages = captureEmailPages(state, source);
  const values = captureValues(state, source);
  const counts = { emailRows: state.emails.rows, membershipRows: state.memberships.rows };
  const { numbering } = state.pages;
  let pages: Omit<Pages, "covers"> | undefined;
  return {
    covers: counts.emailRows,
    async write(store) {
      pages = {
        ...counts,
        numbering,
        others: {},
        memberships: await memberships.write(store),
        emails: await emails.write(store),
        ...(await emailPages(store)),
        references: await references(store),
        values: await values(store),
      };
      return encode([FORMAT, fields, encodePages(pages)]);
    },
    commit(covers) {
      if (pages) state.adoptPages({ ...pages, covers });
    },
    abandon() {
      memberships.abandon();
      emails.abandon();
    },
  };
}

interface TableCapture {
  write(pages: PageStore): Promise<string[]>;
  abandon(): void;
}

function captureTable<S extends Schema>(table: Table<S>, known: readonly string[]): TableCapture {
  const count = table.chunkCount;
  const dirty = table.dirty.take();
  const chunks = new Map(
    Array.from({ length: count }, (_, chunk) => chunk)
      .filter((chunk) => known[chunk] === undefined || dirty.has(chunk))
      .map((chunk) => [chunk, table.encodeChunk(chunk)]),
  );
  const names = known.slice(0, count);
  return {
    async write(pages: PageStore): Promise<string[]> {
      for (const [chunk, bytes] of chunks) names[chunk] = await pages.write("columns", bytes);
      return names;
    },
    abandon(): void {
      for (const chunk of dirty) table.dirty.add(chunk);
    },
  };
}

interface Body {
  readonly format: number;
  readonly state: Fields;
  readonly pages: Pages;
}

/** Throws RangeError; NewerLog where a newer program left something out that this one counts upon. */
function readBody(body: Uint8Array, covers: number): Body {
  const fields = Fields.decode(body);
  const format = fields.integer();
  if (format !== FORMAT && format !== FIRST_FORMAT) throw new RangeError("checkpoint of an unknown format");
  const state = fields.nested();
  const pages = (format === FORMAT ? readPages : readFirstPages)(fields.nested(), covers);
  fields.end();
  if (pages.numbering !== 0) throw new NewerLog();
  return { format, state, pages };
}

/** The pages that the body of a manifest names. Throws RangeError. */
export function pagesOf(body: Uint8Array, covers: number): Pages {
  return readBody(body, covers).pages;
}

/** The state that {@link captureMail} wrote into a checkpoint that covers `covers`. `breathe` lets others have their turn
 * in between. Throws RangeError if it is not of that form. */
export async function loadMail(
  body: Uint8Array,
  store: PageStore,
  covers: number,
  breathe: () => Promise<void> = () => Promise.resolve(),
): Promise<MailState> {
  const { format, state: fields, pages } = readBody(body, covers);
  const isFirst = format === FIRST_FORMAT;
  const state = new MailState();
  const [memberships, emails] = await Promise.all([
    Promise.all(pages.memberships.map((name) => store.read("columns", name))),
    Promise.all(pages.emails.map((name) => store.read("columns", name))),
  ]);
  loadTable(state.memberships, pages.membershipRows, memberships);
  loadTable(state.emails, pages.emailRows, emails, isFirst ? FIRST_EMAIL_COLUMNS : undefined);
  if (isFirst) loadFirstState(state, fields);
  else loadState(state, fields);
  state.tailStart = pages.emailRows;
  state.adoptPages(pages);
  await state.index(breathe);
  if (isFirst) upgrade(state);
  return state;
}

/** What checkpoints of format 1 don't tell: all that is shown was shown from the beginning. The next checkpoint writes it. */
function upgrade(state: MailState): void {
  const { made } = state.emails.columns;
  for (let email = 0; email < state.emails.rows; email++) if (state.isShown(email)) made.set(email, 1);
  for (let chunk = 0; chunk < state.emails.chunkCount; chunk++) state.emails.dirty.add(chunk);
}

function loadTable<S extends Schema>(
  table: Table<S>,
  rows: number,
  chunks: readonly Uint8Array[],
  columnCount?: number,
): void {
  for (const [chunk, bytes] of chunks.entries())
    table.loadChunk(Math.min(CHUNK_ROWS, rows - chunk * CHUNK_ROWS), bytes, columnCount);
  if (table.rows !== rows) throw new RangeError("chunks are missing");
  table.dirty.take();
}
