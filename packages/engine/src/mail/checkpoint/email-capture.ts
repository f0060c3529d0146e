import type { PageStore } from "../../bay/snapshots.ts";
import { EngineError } from "../../errors.ts";
import { kindIn } from "../../storage/object-kinds.ts";
import { type EmailRecord, encodeHeaderPage, encodeRowPage, type ObjectSpan } from "../contents/email-page.ts";
import { INLINE_BYTES_MAX } from "../intake.ts";
import { PAGE_EMAILS, type Pack, type Pages } from "../state/pages.ts";
import type { StoredRecord } from "../state/records.ts";
import type { MailState } from "../state/state.ts";
import { Packer } from "./pack.ts";

/** Reads what a checkpoint brings together, wherever it lies now. */
export interface EmailSource {
  readRecord(state: MailState, email: number): Promise<EmailRecord>;
  /** Row pages of which some record says more than the page does: they are written anew. */
  improvedPages(): ReadonlySet<number>;
  readHeader(state: MailState, email: number): Promise<Uint8Array>;
  /** A whole object. */
  readObject(name: string): Promise<Uint8Array>;
  /** A record's value. */
  readValue(record: StoredRecord): Promise<Uint8Array>;
}

/** Row pages that wait for the packs which they name. */
const PAGES_AT_ONCE = 64;

type EmailPages = Pick<Pages, "rows" | "headers" | "packs">;

/**
 * Row pages, header pages and packs. New emails get pages, and their small bodies, which lie in entries and notes, a
 * place in a pack; a pack of which less than half is alive is written anew, with the row pages that name it; so are pages
 * of which a summary was made fuller. All other pages stand.
 */
export function captureEmailPages(state: MailState, source: EmailSource): (pages: PageStore) => Promise<EmailPages> {
  const { pages: known } = state;
  const emailRows = state.emails.rows;
  const improved = source.improvedPages();
  return async (pages) => {
    const wornOut = new Set(known.packs.filter((pack) => isWornOut(state, pack)));
    const rows = await writeRowPages(state, source, pages, emailRows, { wornOut, improved });
    const headers = await writeHeaderPages(state, source, pages, emailRows);
    return { rows: rows.names, headers, packs: [...known.packs.filter((pack) => !wornOut.has(pack)), ...rows.packs] };
  };
}

async function writeRowPages(
  state: MailState,
  source: EmailSource,
  pages: PageStore,
  emailRows: number,
  { wornOut, improved }: { readonly wornOut: ReadonlySet<Pack>; readonly improved: ReadonlySet<number> },
): Promise<{ readonly names: string[]; readonly packs: readonly Pack[] }> {
  const known = state.pages;
  const wornNames = new Set([...wornOut].map(({ name }) => name));
  const names = known.rows.slice(0, Math.ceil(emailRows / PAGE_EMAILS));
  const isDue = (page: number): boolean => {
    const [first, end] = [page * PAGE_EMAILS, (page + 1) * PAGE_EMAILS];
    // A lost page has no name.
    return (
      names[page] === "" ||
      improved.has(page) ||
      end > known.emailRows ||
      [...wornOut].some((pack) => pack.first < end && pack.end > first)
    );
  };
  const mustMove = ({ name }: ObjectSpan): boolean =>
    kindIn(name) === "log" || kindIn(name) === "note" || wornNames.has(name);
  const packer = new Packer(pages);
  const readBody = createBodyReader(source);
  const waiting: { readonly page: number; readonly records: EmailRecord[] }[] = [];
  const writePages = async (): Promise<void> => {
    await packer.flush();
    for (const { page, records } of waiting.splice(0)) names[page] = await pages.write("rows", encodeRowPage(records));
  };
  for (let page = 0; page * PAGE_EMAILS < emailRows; page++) {
    // A pack is a run of rows that no other pack has any of.
    if (!isDue(page)) {
      await packer.flush();
      continue;
    }
    const records: EmailRecord[] = [];
    for (let row = page * PAGE_EMAILS; row < Math.min(emailRows, (page + 1) * PAGE_EMAILS); row++) {
      const record = await source.readRecord(state, row);
      const at = records.push(record) - 1;
      if (kindIn(record.object.name) === "pack" && !mustMove(record.object)) await packer.flush();
      // What nobody holds any more is not kept for it: its place is gone when the entry or note is.
      if (!mustMove(record.object) || !state.isHeld(row)) continue;
      await packer.add(row, record.id, await readBody(record.object), (object) => {
        records[at] = { ...record, object };
      });
    }
    waiting.push({ page, records });
    if (waiting.length >= PAGES_AT_ONCE) await writePages();
  }
  await writePages();
  return { names, packs: packer.packs };
}

/** Reads bodies that lie side by side in one object: the object is read once. */
function createBodyReader(source: EmailSource): (span: ObjectSpan) => Promise<Uint8Array> {
  let open: { readonly name: string; readonly bytes: Uint8Array } | undefined;
  return async ({ name, offset, length }) => {
    if (open?.name !== name) open = { name, bytes: await source.readObject(name) };
    const body = open.bytes.subarray(offset, offset + length);
    if (body.length < length) throw new EngineError("corrupt", "a message's body is cut off in the store");
    return body;
  };
}

async function writeHeaderPages(
  state: MailState,
  source: EmailSource,
  pages: PageStore,
  emailRows: number,
): Promise<string[]> {
  const names = state.pages.headers.slice(0, Math.ceil(emailRows / PAGE_EMAILS));
  for (let page = 0; page * PAGE_EMAILS < emailRows; page++) {
    if (names[page] && (page + 1) * PAGE_EMAILS <= state.pages.emailRows) continue;
    const frames: Uint8Array[] = [];
    for (let row = page * PAGE_EMAILS; row < Math.min(emailRows, (page + 1) * PAGE_EMAILS); row++)
      frames.push(await source.readHeader(state, row));
    names[page] = await pages.write("headers", encodeHeaderPage(frames));
  }
  return names;
}

function isWornOut(state: MailState, { first, end, count }: Pack): boolean {
  let alive = 0;
  for (let row = first; row < end; row++)
    if (state.isHeld(row) && state.emails.columns.size.get(row) <= INLINE_BYTES_MAX) alive++;
  return alive * 2 < count;
}
