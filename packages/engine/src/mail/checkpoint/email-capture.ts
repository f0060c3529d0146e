import type { HeaderBlock } from "@restante/mime";
import type { PageStore } from "../../bay/snapshots.ts";
import { EngineError } from "../../errors.ts";
import { readAhead } from "../../read-ahead.ts";
import { kindIn } from "../../storage/object-kinds.ts";
import type { Breathe } from "../contents/digest.ts";
import { type EmailRecord, encodeHeaderPage, encodeRowPage, type ObjectSpan } from "../contents/email-page.ts";
import type { TextRun } from "../contents/list-text.ts";
import type { IdsPage, ThreadFacts } from "../contents/thread-facts.ts";
import { INLINE_BYTES_MAX } from "../intake.ts";
import type { EmailRow } from "../numbers.ts";
import { type DerivedGroup, PAGE_EMAILS, type Pack, type Pages } from "../state/pages.ts";
import type { ReadState } from "../state/read-state.ts";
import type { StoredRecord } from "../state/records.ts";
import { writeDerivedPages } from "./derived-capture.ts";
import { Packer } from "./pack.ts";
import { PagePlan } from "./page-plan.ts";

/** Reads what a checkpoint brings together, wherever it lies now. */
export interface EmailSource {
  readRecord(state: ReadState, email: EmailRow): Promise<EmailRecord>;
  /** Row pages of which some record says more than the page does: they are written anew. */
  improvedPages(): ReadonlySet<number>;
  /** A page of texts. Throws EngineError `corrupt`. */
  readTexts(name: string): Promise<readonly TextRun[]>;
  /** A page of ids. Throws EngineError `corrupt`. */
  readIds(name: string): Promise<IdsPage>;
  threadFacts(header: HeaderBlock): ThreadFacts;
  readHeader(state: ReadState, email: EmailRow): Promise<Uint8Array>;
  /** A whole object. */
  readObject(name: string): Promise<Uint8Array>;
  /** A record's value. */
  readValue(record: StoredRecord): Promise<Uint8Array>;
}

/** Emails whose records, bodies and headers are asked for before their turn comes: most lie in an entry or note each. */
const EMAILS_AHEAD = 32;
/** Objects that are held for the next body which lies in one of them: those asked for at once come in no order. */
const OBJECTS_OPEN_MAX = 4;
/** Row pages that wait for the packs which they name. */
const PAGES_AT_ONCE = 64;

type EmailPages = Pick<Pages, "rows" | "headers" | DerivedGroup | "held" | "packs">;

/**
 * Row pages, header pages and packs. New emails get pages, and their small bodies, which lie in entries and notes, a
 * place in a pack; a pack of which less than half is alive is written anew, with the row pages that name it; so are pages
 * of which a summary was made fuller. All other pages stand. A `sweep` writes anew all that holds something of an email
 * that no mailbox has, and leaves that out.
 */
export function captureEmailPages(
  state: ReadState,
  source: EmailSource,
  sweep: boolean,
  breathe?: Breathe,
): (pages: PageStore) => Promise<EmailPages> {
  const improved = source.improvedPages();
  const plan = new PagePlan(state, sweep);
  return async (pages) => {
    const { known } = plan;
    const wornOut = new Set(known.packs.filter((pack) => isWornOut(state, pack, sweep)));
    const rows = await writeRowPages(plan, source, pages, { wornOut, improved });
    const headers = await writeHeaderPages(plan, source, pages);
    const derived = await writeDerivedPages(plan, source, pages, breathe);
    const packs = [...known.packs.filter((pack) => !wornOut.has(pack)), ...rows.packs];
    return { rows: rows.names, headers, ...derived, held: plan.held, packs };
  };
}

async function writeRowPages(
  plan: PagePlan,
  source: EmailSource,
  pages: PageStore,
  { wornOut, improved }: { readonly wornOut: ReadonlySet<Pack>; readonly improved: ReadonlySet<number> },
): Promise<{ readonly names: string[]; readonly packs: readonly Pack[] }> {
  const { state, known } = plan;
  // A body that repair found in a pack that the state does not name is moved as well: that pack is garbage.
  const kept = new Set(known.packs.filter((pack) => !wornOut.has(pack)).map(({ name }) => name));
  const names = known.rows.slice(0, plan.pageCount);
  const isDue = (page: number): boolean => {
    const [first, end] = [page * PAGE_EMAILS, (page + 1) * PAGE_EMAILS];
    // A lost page has no name.
    return (
      !names[page] ||
      improved.has(page) ||
      !plan.isAsKnown(page) ||
      [...wornOut].some((pack) => pack.first < end && pack.end > first)
    );
  };
  const mustMove = ({ name }: ObjectSpan): boolean =>
    kindIn(name) === "log" || kindIn(name) === "note" || (kindIn(name) === "pack" && !kept.has(name));
  const packer = new Packer(pages);
  const readBody = createBodyReader(source);
  const waiting: { readonly page: number; readonly records: EmailRecord[] }[] = [];
  const writePages = async (): Promise<void> => {
    await packer.flush();
    for (const { page, records } of waiting.splice(0)) names[page] = await pages.write("rows", encodeRowPage(records));
  };
  for (let page = 0; page < plan.pageCount; page++) {
    if (plan.isEmpty(page)) {
      names[page] = "";
      continue;
    }
    // A pack is a run of emails that no other pack has any of.
    if (!isDue(page)) {
      await packer.flush();
      continue;
    }
    const records: EmailRecord[] = [];
    const emails = [...plan.emailsOf(page)];
    const next = readAhead(emails, EMAILS_AHEAD, async ({ row }) => {
      const record = await source.readRecord(state, row);
      // A body that no membership holds any more is not moved: its place is gone when the entry or note is.
      const moves = mustMove(record.object) && state.isHeld(row);
      return { record, body: moves ? await readBody(record.object) : undefined };
    });
    for (const { at } of emails) {
      const { record, body } = await next();
      records[at] = record;
      if (kindIn(record.object.name) === "pack" && !mustMove(record.object)) await packer.flush();
      if (!body) continue;
      await packer.add(page * PAGE_EMAILS + at, record.id, body, (object) => {
        records[at] = { ...record, object };
      });
    }
    waiting.push({ page, records });
    if (waiting.length >= PAGES_AT_ONCE) await writePages();
  }
  await writePages();
  return { names, packs: packer.packs };
}

/** Reads bodies that lie side by side in one object: the object is read once, also for those that ask for it at once, and
 * the last few are held. */
export function createBodyReader(source: Pick<EmailSource, "readObject">): (span: ObjectSpan) => Promise<Uint8Array> {
  /** The last of them is the one that was asked for last. */
  const open = new Map<string, Promise<Uint8Array>>();
  return async ({ name, offset, length }) => {
    const bytes = open.get(name) ?? source.readObject(name);
    open.delete(name);
    open.set(name, bytes);
    for (const oldest of open.keys()) {
      if (open.size <= OBJECTS_OPEN_MAX) break;
      open.delete(oldest);
    }
    const body = (await bytes).subarray(offset, offset + length);
    if (body.length < length) throw new EngineError("corrupt", "a message's body is cut off in the store");
    return body;
  };
}

async function writeHeaderPages(plan: PagePlan, source: EmailSource, pages: PageStore): Promise<string[]> {
  const names = plan.known.headers.slice(0, plan.pageCount);
  for (let page = 0; page < plan.pageCount; page++) {
    if (plan.isEmpty(page)) {
      names[page] = "";
      continue;
    }
    if (names[page] && plan.isAsKnown(page)) continue;
    const frames: Uint8Array[] = [];
    const emails = [...plan.emailsOf(page)];
    const next = readAhead(emails, EMAILS_AHEAD, ({ row }) => source.readHeader(plan.state, row));
    for (const { at } of emails) frames[at] = await next();
    names[page] = await pages.write("headers", encodeHeaderPage(frames));
  }
  return names;
}

function isWornOut(state: ReadState, { first, end, count }: Pack, sweep: boolean): boolean {
  const { size, number } = state.emails.columns;
  let alive = 0;
  for (let row = state.rowFrom(first); row < state.emails.rows && number.get(row) < end; row++)
    if (state.isHeld(row) && size.get(row) <= INLINE_BYTES_MAX) alive++;
  return sweep ? alive < count : alive * 2 < count;
}
