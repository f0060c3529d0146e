import { HeaderBlock } from "@restante/mime";
import type { PageStore } from "../../bay/snapshots.ts";
import { EngineError } from "../../errors.ts";
import type { Breathe } from "../contents/digest.ts";
import { decodeHeader, HEADER_BYTES_MAX } from "../contents/header.ts";
import {
  encodeTextPage,
  isKept,
  joinedTexts,
  LIST_FIELDS,
  listTexts,
  NOT_KNOWN,
  PRESENT,
  SEPARATOR,
  type TextRun,
  TextRunWriter,
} from "../contents/list-text.ts";
import type { EmailRow } from "../numbers.ts";
import { TEXT_PAGE_EMAILS } from "../state/pages.ts";
import type { EmailSource } from "./email-capture.ts";
import type { PagePlan } from "./page-plan.ts";

/** Emails of older checkpoints, which have no texts, whose headers one checkpoint reads to make some. */
const MADE_UP_MAX = 4096;
/** Emails whose texts are made between two breaths. */
const MADE_AT_ONCE = 16;

/**
 * Pages of texts: of new emails made from their headers, of others taken over from the page before. Pages that an older
 * program's checkpoint left without texts are made up for page by page, checkpoint by checkpoint.
 */
export async function writeTextPages(
  plan: PagePlan,
  source: EmailSource,
  pages: PageStore,
  breathe: Breathe,
): Promise<string[]> {
  const count = Math.ceil(plan.emailNumbers / TEXT_PAGE_EMAILS);
  const names = plan.known.texts.slice(0, count);
  let room = MADE_UP_MAX;
  for (let page = 0; page < count; page++) {
    if (plan.isEmpty(page, TEXT_PAGE_EMAILS)) {
      names[page] = "";
      continue;
    }
    const known = names[page];
    if (known && plan.isAsKnown(page, TEXT_PAGE_EMAILS)) continue;
    const before = known ? await source.readTexts(known).catch(absentIfDamaged) : undefined;
    const covered = before ? 0 : coveredIn(plan, page);
    names[page] = "";
    if (covered > room) continue;
    room -= covered;
    names[page] = await pages.write("texts", await makePage(plan, page, before, source, breathe));
  }
  return names;
}

/** Emails of a page that are in others already. */
function coveredIn(plan: PagePlan, page: number): number {
  const { number } = plan.state.emails.columns;
  let count = 0;
  for (const { row } of plan.emailsOf(page, TEXT_PAGE_EMAILS)) if (plan.isCovered(number.get(row))) count++;
  return count;
}

async function makePage(
  plan: PagePlan,
  page: number,
  before: readonly TextRun[] | undefined,
  source: EmailSource,
  breathe: Breathe,
): Promise<Uint8Array> {
  const emails = Math.min(TEXT_PAGE_EMAILS, plan.emailNumbers - page * TEXT_PAGE_EMAILS);
  const known = before?.map((run) => ({ ...run, all: joinedTexts(run).split(SEPARATOR) }));
  let made = 0;
  const writers = LIST_FIELDS.map(() => new TextRunWriter(emails));
  for (const { row, at } of plan.emailsOf(page, TEXT_PAGE_EMAILS)) {
    if (known && at < known[0]!.status.length) {
      for (const [field, { status, all }] of known.entries())
        if (status[at] !== NOT_KNOWN) writers[field]!.set(at, status[at] === PRESENT ? all[at] : undefined);
      continue;
    }
    if (++made % MADE_AT_ONCE === 0) await breathe?.();
    const header = await readHeader(plan, row, source);
    if (!header) continue;
    for (const [field, name] of LIST_FIELDS.entries()) {
      const texts = listTexts(header, name);
      if (isKept(texts)) writers[field]!.set(at, texts[0]);
    }
  }
  return encodeTextPage(writers.map((writer) => writer.end()));
}

/** Of one that is kept in part, or is damaged, nothing is told. */
async function readHeader(plan: PagePlan, row: EmailRow, source: EmailSource): Promise<HeaderBlock | undefined> {
  try {
    const block = decodeHeader(await source.readHeader(plan.state, row));
    return block.length < HEADER_BYTES_MAX ? new HeaderBlock(block) : undefined;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    return absentIfDamaged(error);
  }
}

function absentIfDamaged(error: unknown): undefined {
  if (error instanceof EngineError && error.code === "corrupt") return undefined;
  throw error;
}
