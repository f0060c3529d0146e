import { encode } from "cborg";
import { Fields } from "../../bay/fields.ts";
import { EngineError } from "../../errors.ts";
import type { Contents } from "../../mail/contents/contents.ts";
import { SUMMARY_FORMAT } from "../../mail/contents/summary.ts";
import { PAGE_EMAILS } from "../../mail/state/pages.ts";
import type { MailState } from "../../mail/state/state.ts";
import type { MailLog } from "../open-log.ts";
import type { Platform } from "../platform.ts";

/** Limits of one step. */
export interface StepLimits {
  /** Row pages that it looks at. */
  readonly pages: number;
  /** Emails that it makes full summaries of, and octets of their bodies, but for the last one's. */
  readonly emails: number;
  readonly bodyBytes: number;
}
const STEP: StepLimits = { pages: 64, emails: 1024, bodyBytes: 64 * 2 ** 20 };

/** The record that tells how many row pages, from the first on, hold no summary that could be made fuller. */
const RECORD = { type: "summaries", id: "full" };
/** The number in place of a numbering: pages keep to the lasting numbers of emails. */
const FIRST_NUMBERING = 0;

/**
 * One step of making summaries of format 1 full (docs/rules.md §11): out of the bodies, page by page. The next
 * checkpoint writes them into row pages in place of the old ones; no op, number or flag is touched. Pages count as done
 * when a later step finds them so in the store: whose checkpoint was overtaken by another's is tried again. Damaged bodies
 * and pages are passed over; a repair makes their summaries. Safe in any number of processes at once.
 *
 * Resolves with whether something waits for a checkpoint. Errors: `unavailable`.
 */
export async function fillSummaries(
  log: MailLog,
  contents: Contents,
  { breathe }: Pick<Platform, "breathe">,
  limits: StepLimits = STEP,
): Promise<boolean> {
  const { state } = log;
  const start = pagesDone(state);
  const end = Math.min(state.pages.rows.length, start + limits.pages);
  const room = { emails: limits.emails, bodyBytes: limits.bodyBytes };
  let done = start;
  for (let page = start; page < end && room.emails > 0 && room.bodyBytes > 0; page++) {
    const isDone = await fillPage(state, contents, page, room);
    // The last one may get more emails yet.
    const isClosed = (page + 1) * PAGE_EMAILS <= state.pages.emailNumbers;
    if (isDone && isClosed && done === page) done++;
    await breathe?.();
  }
  if (done > start) {
    const value = encode([SUMMARY_FORMAT, FIRST_NUMBERING, done]);
    await log.push({ op: { kind: "record", records: [{ ...RECORD, value }] } });
  }
  return room.emails < limits.emails;
}

/** Fills a page as far as there is room, which the work reduces. True if nothing was left to do for the page. */
async function fillPage(
  state: MailState,
  contents: Contents,
  page: number,
  room: { emails: number; bodyBytes: number },
): Promise<boolean> {
  let isDone = true;
  const end = Math.min(state.rowFrom((page + 1) * PAGE_EMAILS), state.pages.emailRows);
  for (let email = state.rowFrom(page * PAGE_EMAILS); email < end; email++) {
    if (room.emails <= 0 || room.bodyBytes <= 0) return false;
    if (!(await contents.fillSummary(state, email).catch(unlessDamaged))) continue;
    isDone = false;
    room.emails--;
    room.bodyBytes -= state.emails.columns.size.get(email);
  }
  return isDone;
}

function unlessDamaged(error: unknown): boolean {
  if (error instanceof EngineError && error.code === "corrupt") return false;
  throw error;
}

/** As the record says, if it says it of this format. */
function pagesDone({ records }: MailState): number {
  const value = records.find(RECORD.type, RECORD.id)?.value;
  if (!value || !("bytes" in value)) return 0;
  const fields = Fields.decode(value.bytes);
  if (fields.integer() !== SUMMARY_FORMAT || fields.integer() !== FIRST_NUMBERING) return 0;
  return fields.integer();
}
