import { encode } from "cborg";
import { Fields } from "../../bay/fields.ts";
import { NOWHERE, type Position } from "../../bay/position.ts";
import type { Capture, PageStore, Thorough } from "../../bay/snapshots.ts";
import { EngineError } from "../../errors.ts";
import type { Breathe } from "../contents/digest.ts";
import { FIRST_EMAIL_ROW, FIRST_MODSEQ } from "../numbers.ts";
import { decodeColumns, encodeColumns } from "../state/column-codec.ts";
import { CHUNK_ROWS, type Schema, type Table } from "../state/columns.ts";
import { encodePages, type Pages, readFirstPages, readPages, readSecondPages, readThirdPages } from "../state/pages.ts";
import type { ReferenceIndex } from "../state/reference-index.ts";
import { MailState } from "../state/state.ts";
import { FIRST_EMAIL_COLUMNS, SECOND_EMAIL_COLUMNS } from "../state/tables.ts";
import { captureEmailPages, type EmailSource } from "./email-capture.ts";
import { markLost } from "./lost-chunks.ts";
import { type ShrinkLimits, shrink } from "./shrink.ts";
import { encodeState, loadFirstState, loadSecondState, loadState, loadThirdState } from "./state-fields.ts";
import { captureValues } from "./value-capture.ts";

/**
 * The state as a checkpoint keeps it (docs/formats/checkpoint.md): columns in pages of 4,096 rows, what is kept of
 * emails in pages of 64, and the rest in the manifest. An email's page follows from its lasting number.
 * Only pages whose content changed since the last checkpoint are written again.
 */
const FORMAT = 4;
/** Format 3 kept columns as they are; format 2 kept pages by row and listed what vanished; format 1 is what the first releases
 * wrote. All are read, and the next checkpoint writes what it must of them anew. */
const THIRD_FORMAT = 3;
const SECOND_FORMAT = 2;
const FIRST_FORMAT = 1;

/** Copies what has changed, at once; the seals and writes come after. */
export function captureMail(
  state: MailState,
  source: EmailSource,
  { covers, thorough, breathe, limits }: CaptureWish = { covers: NOWHERE, thorough: "changes" },
): Capture {
  const { numbering } = state.pages;
  if (thorough !== "anew") return captureState(state, source, { sweeps: thorough === "sweep", numbering, breathe });
  const finish = shrink(state, covers, breathe, limits);
  const references = state.references.capture();
  return {
    emails: state.emails.rows,
    numbering: covers,
    sweeps: true,
    async write(store) {
      const shrunk = await finish();
      const options = { sweeps: true, numbering: covers, references, holdsStill: true, breathe };
      return captureState(shrunk, source, options).write(store);
    },
    // Processes that go on from it load it.
    commit: () => undefined,
    abandon: () => undefined,
  };
}

/** The entry that a checkpoint is to cover, and how thorough it is. */
interface CaptureWish {
  readonly covers: Position;
  readonly thorough: Thorough;
  readonly breathe?: Breathe;
  readonly limits?: ShrinkLimits | undefined;
}

function captureState(
  state: MailState,
  source: EmailSource,
  {
    sweeps,
    numbering,
    references = state.references.capture(),
    holdsStill = false,
    breathe,
  }: {
    readonly sweeps: boolean;
    readonly numbering: Position;
    readonly references?: ReturnType<ReferenceIndex["capture"]>;
    /** Nobody else has the state. */
    readonly holdsStill?: boolean;
    readonly breathe: Breathe;
  },
): Capture {
  const memberships = captureTable(state.memberships, state.pages.memberships, holdsStill);
  const emails = captureTable(state.emails, state.pages.emails, holdsStill);
  const fields = encodeState(state);
  const emailPages = captureEmailPages(state, source, sweeps, breathe);
  const values = captureValues(state, source);
  const counts = {
    emailRows: state.emails.rows,
    emailNumbers: state.emailNumbers,
    membershipRows: state.memberships.rows,
  };
  let pages: Omit<Pages, "covers"> | undefined;
  return {
    emails: counts.emailRows,
    numbering,
    sweeps,
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

function captureTable<S extends Schema>(table: Table<S>, known: readonly string[], holdsStill: boolean): TableCapture {
  const count = table.chunkCount;
  const dirty = table.dirty.take();
  const wanted = Array.from({ length: count }, (_, chunk) => chunk).filter(
    (chunk) => known[chunk] === undefined || dirty.has(chunk),
  );
  // Pages of a state that others may change are copied at once.
  const copies = holdsStill ? undefined : new Map(wanted.map((chunk) => [chunk, table.encodeChunk(chunk)]));
  const names = known.slice(0, count);
  const rows = new Map(wanted.map((chunk) => [chunk, table.chunkRows(chunk)]));
  const encode = (chunk: number): Uint8Array =>
    encodeColumns(table.kinds, rows.get(chunk)!, copies?.get(chunk) ?? table.encodeChunk(chunk));
  return {
    async write(pages: PageStore): Promise<string[]> {
      for (const chunk of wanted) names[chunk] = await pages.write("columns", encode(chunk));
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

interface Reads {
  readonly pages: (fields: Fields, covers: Position) => Pages;
  readonly state: (state: MailState, fields: Fields) => void;
  readonly emailColumns?: number;
}
const READS: ReadonlyMap<number, Reads> = new Map<number, Reads>([
  [FORMAT, { pages: readPages, state: loadState }],
  [THIRD_FORMAT, { pages: readThirdPages, state: loadThirdState }],
  [SECOND_FORMAT, { pages: readSecondPages, state: loadSecondState, emailColumns: SECOND_EMAIL_COLUMNS }],
  [FIRST_FORMAT, { pages: readFirstPages, state: loadFirstState, emailColumns: FIRST_EMAIL_COLUMNS }],
]);

/** Throws RangeError. */
function readBody(body: Uint8Array, covers: Position): Body {
  const fields = Fields.decode(body);
  const format = fields.integer();
  const reads = READS.get(format);
  if (!reads) throw new RangeError("checkpoint of an unknown format");
  const state = fields.nested();
  const pages = reads.pages(fields.nested(), covers);
  fields.end();
  return { format, state, pages };
}

/** The pages that the body of a manifest names. Throws RangeError. */
export function pagesOf(body: Uint8Array, covers: Position): Pages {
  return readBody(body, covers).pages;
}

/** The state that {@link captureMail} wrote into a checkpoint that covers `covers`. `breathe` lets others have their turn
 * in between. Throws RangeError if it is not of that form. */
export async function loadMail(
  body: Uint8Array,
  store: PageStore,
  covers: Position,
  breathe: () => Promise<void> = () => Promise.resolve(),
  read: (name: string) => Promise<Uint8Array | undefined> = (name) => store.read("columns", name),
): Promise<MailState> {
  const { format, state: fields, pages } = readBody(body, covers);
  const reads = READS.get(format)!;
  const state = new MailState();
  const [memberships, emails] = await Promise.all([
    Promise.all(pages.memberships.map(read)),
    Promise.all(pages.emails.map(read)),
  ]);
  const expands = format === FORMAT;
  loadTable(state.memberships, pages.membershipRows, memberships, { expands });
  loadTable(state.emails, pages.emailRows, emails, { expands, columnCount: reads.emailColumns });
  reads.state(state, fields);
  state.emailNumbers = pages.emailNumbers;
  state.adoptPages(pages);
  const isLost = (chunk: Uint8Array | undefined): boolean => chunk === undefined;
  if ([...memberships, ...emails].some(isLost)) markLost(state, memberships.map(isLost), emails.map(isLost));
  await state.index(breathe);
  if (format !== FORMAT) upgrade(state, format);
  return state;
}

/** The same where pages of columns are lost. */
export function loadWhatIsLeft(
  body: Uint8Array,
  store: PageStore,
  covers: Position,
  breathe?: () => Promise<void>,
): Promise<MailState> {
  return loadMail(body, store, covers, breathe, async (name) => {
    try {
      return await store.read("columns", name);
    } catch (error) {
      if (!(error instanceof EngineError && error.code === "corrupt")) throw error;
      return undefined;
    }
  });
}

/** Fills in the columns that older checkpoints lack: lasting numbers were rows, and in the first format all that is shown was
 * shown from the beginning. The next checkpoint writes them; a later one sweeps what was removed before. */
function upgrade(state: MailState, format: number): void {
  if (format < THIRD_FORMAT) {
    const { made, number } = state.emails.columns;
    for (let email = FIRST_EMAIL_ROW; email < state.emails.rows; email++) {
      number.set(email, email);
      if (format === FIRST_FORMAT && state.isShown(email)) made.set(email, FIRST_MODSEQ);
      if (!state.isHeld(email) && state.sweep.due === undefined) state.sweep.noteRemoval(state.pages.covers);
    }
  }
  // Their pages had columns as they are.
  for (const table of [state.emails, state.memberships])
    for (let chunk = 0; chunk < table.chunkCount; chunk++) table.dirty.add(chunk);
}

function loadTable<S extends Schema>(
  table: Table<S>,
  rows: number,
  chunks: readonly (Uint8Array | undefined)[],
  { expands, columnCount }: { readonly expands: boolean; readonly columnCount?: number | undefined },
): void {
  for (const [chunk, bytes] of chunks.entries()) {
    const length = Math.min(CHUNK_ROWS, rows - chunk * CHUNK_ROWS);
    if (!bytes) table.loadLost(length);
    else if (expands) table.loadColumns(length, decodeColumns(table.kinds, length, bytes));
    else table.loadChunk(length, bytes, columnCount);
  }
  if (table.rows !== rows) throw new RangeError("chunks are missing");
  table.dirty.take();
}
