import { HeaderBlock } from "@restante/mime";
import type { PageStore } from "../../bay/snapshots.ts";
import { EngineError } from "../../errors.ts";
import type { Breathe } from "../contents/digest.ts";
import { decodeHeader } from "../contents/header.ts";
import type { EmailRow } from "../numbers.ts";
import { DERIVED_GROUPS, DERIVED_PAGE_EMAILS, type DerivedGroup } from "../state/pages.ts";
import type { EmailSource } from "./email-capture.ts";
import { newIdsPage } from "./ids-capture.ts";
import type { PagePlan } from "./page-plan.ts";
import { newTextPage } from "./text-capture.ts";

/** Emails of older checkpoints, which lack these pages, whose headers one checkpoint reads to make some. */
const MADE_UP_MAX = 4096;
/** Emails whose headers are looked at between two breaths. */
const MADE_AT_ONCE = 16;

/** A page that follows from headers, while it is made. */
export interface DerivedPage {
  /** Takes over what the page before says of an email. Returns whether that had a place for it. */
  copy(at: number): boolean;
  /** Of one whose header is damaged nothing is told. */
  add(at: number, header: HeaderBlock): void;
  end(): Uint8Array;
}

/** Begins a page of so many emails, from the page of this name before it. Throws EngineError `corrupt` if that is damaged. */
export type NewDerivedPage = (emails: number, before: string | undefined, source: EmailSource) => Promise<DerivedPage>;

const NEW_PAGE: Readonly<Record<DerivedGroup, NewDerivedPage>> = { texts: newTextPage, ids: newIdsPage };

/**
 * Pages that follow from headers: of new emails made from these, each read once, of others taken over from the page before.
 * Pages that an older program's checkpoint left out are made up for page by page, checkpoint by checkpoint.
 */
export async function writeDerivedPages(
  plan: PagePlan,
  source: EmailSource,
  pages: PageStore,
  breathe: Breathe,
): Promise<Record<DerivedGroup, readonly string[]>> {
  const count = Math.ceil(plan.emailNumbers / DERIVED_PAGE_EMAILS);
  const names = { texts: plan.known.texts.slice(0, count), ids: plan.known.ids.slice(0, count) };
  let room = MADE_UP_MAX;
  for (let page = 0; page < count; page++) {
    if (plan.isEmpty(page, DERIVED_PAGE_EMAILS)) {
      for (const group of DERIVED_GROUPS) names[group][page] = "";
      continue;
    }
    const isAsKnown = plan.isAsKnown(page, DERIVED_PAGE_EMAILS);
    const due = DERIVED_GROUPS.filter((group) => !names[group][page] || !isAsKnown);
    const emails = Math.min(DERIVED_PAGE_EMAILS, plan.emailNumbers - page * DERIVED_PAGE_EMAILS);
    const made = new Map<DerivedGroup, DerivedPage>();
    let isAnew = false;
    for (const group of due) {
      const known = names[group][page];
      const going = known ? await NEW_PAGE[group](emails, known, source).catch(absentIfDamaged) : undefined;
      names[group][page] = "";
      if (!going && coveredIn(plan, page) > room) continue;
      isAnew ||= !going;
      made.set(group, going ?? (await NEW_PAGE[group](emails, undefined, source)));
    }
    // Two groups that are made anew read the same headers.
    if (isAnew) room -= coveredIn(plan, page);
    await fill([...made.values()], page, plan, source, breathe);
    for (const [group, one] of made) names[group][page] = await pages.write(group, one.end());
  }
  return names;
}

/** Emails of a page that are in others already. */
function coveredIn(plan: PagePlan, page: number): number {
  const { number } = plan.state.emails.columns;
  let count = 0;
  for (const { row } of plan.emailsOf(page, DERIVED_PAGE_EMAILS)) if (plan.isCovered(number.get(row))) count++;
  return count;
}

async function fill(
  made: readonly DerivedPage[],
  page: number,
  plan: PagePlan,
  source: EmailSource,
  breathe: Breathe,
): Promise<void> {
  let read = 0;
  for (const { row, at } of made.length > 0 ? plan.emailsOf(page, DERIVED_PAGE_EMAILS) : []) {
    const lacking = made.filter((one) => !one.copy(at));
    if (lacking.length === 0) continue;
    if (++read % MADE_AT_ONCE === 0) await breathe?.();
    const header = await readHeader(plan, row, source);
    if (header) for (const one of lacking) one.add(at, header);
  }
}

/** Of one that is damaged nothing is told. */
async function readHeader(plan: PagePlan, row: EmailRow, source: EmailSource): Promise<HeaderBlock | undefined> {
  try {
    return new HeaderBlock(decodeHeader(await source.readHeader(plan.state, row)));
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    return absentIfDamaged(error);
  }
}

function absentIfDamaged(error: unknown): undefined {
  if (error instanceof EngineError && error.code === "corrupt") return undefined;
  throw error;
}
