import {
  type AccountSession,
  EngineError,
  formatBlobId,
  formatEmailId,
  type Pace,
  parseEmailId,
  partsOfSummary,
  previewOf,
  type ShownEmail,
  type Summary,
} from "@restante/engine";
import { bodyParts, type HeaderBlock, hasAttachment, type StructuredPart } from "@restante/mime";
import { type MessageSource, type RenderTools, tellMessage, wantsMessage } from "./body.ts";
import { AnswerBudget } from "./budget.ts";
import { EMAILS_AT_ONCE } from "./limits.ts";
import type { EmailPlan } from "./properties.ts";
import { jsonText } from "./text.ts";
import { tellMetadata } from "./view.ts";

/** The part of a session that emails are read by. */
export type EmailSession = Pick<AccountSession, "findEmails" | "readFullSummaries" | "readHeaders" | "openBody">;

export interface GetTools {
  readonly pace: Pace;
  readonly signal?: AbortSignal | undefined;
  /** Characters that the whole answer may hold; by default those of one call. */
  readonly budget?: AnswerBudget;
}

/** Email objects (RFC 8621 §4.1), and ids that are none, or of what no mailbox shows. */
export interface GotEmails {
  readonly list: readonly Readonly<Record<string, unknown>>[];
  readonly notFound: readonly string[];
}

/**
 * Email/get (RFC 8621 §4.2) of these ids: in their order, each once. List properties, bodyStructure and headers come from
 * what is kept beside the body, which is not opened for them. All properties of an email are of one moment; a caller that
 * answers with a state string takes that before. Errors: RequestTooLarge; `unavailable`, `corrupt`.
 */
export async function getEmails(
  session: EmailSession,
  ids: readonly string[],
  plan: EmailPlan,
  { pace, signal, budget = new AnswerBudget() }: GetTools,
): Promise<GotEmails> {
  const list: Record<string, unknown>[] = [];
  const notFound: string[] = [];
  const distinct = [...new Set(ids)];
  for (let from = 0; from < distinct.length; from += EMAILS_AT_ONCE) {
    if (pace.isOver()) await pace.take();
    const wanted = distinct.slice(from, from + EMAILS_AT_ONCE);
    const known = wanted.map(parseEmailId);
    const found = await session.findEmails(
      known.filter((id) => id !== undefined),
      { pace, ...(signal ? { signal } : {}) },
    );
    const shown: Telling[] = [];
    let at = 0;
    for (const [place, id] of wanted.entries()) {
      const email = known[place] && found[at++];
      if (!email) {
        notFound.push(id);
        continue;
      }
      const told: Record<string, unknown> = {};
      // Before anything is waited for: it may be hidden or moved then.
      tellMetadata(told, email, plan.metadata);
      list.push(told);
      shown.push({ email, told });
    }
    if (!wantsMessage(plan)) continue;
    const gone = new Set(await tellMessages(shown, session, plan, { pace, signal, budget }));
    if (gone.size === 0) continue;
    list.splice(
      list.length - shown.length,
      shown.length,
      ...shown.filter((one) => !gone.has(one)).map(({ told }) => told),
    );
    notFound.push(...Array.from(gone, ({ email }) => formatEmailId(email.id)));
  }
  return { list, notFound };
}

/** An email, and what is told of it. */
interface Telling {
  readonly email: ShownEmail;
  readonly told: Record<string, unknown>;
}

/** Resolves with those that are gone: another process's history may have taken back what brought them. */
async function tellMessages(
  tellings: readonly Telling[],
  session: EmailSession,
  plan: EmailPlan,
  tools: RenderTools,
): Promise<readonly Telling[]> {
  try {
    await tellAll(tellings, session, plan, tools);
    return [];
  } catch (error) {
    if (!(error instanceof EngineError && error.code === "expunged")) throw error;
    if (tellings.length === 1) return tellings;
    const gone: Telling[] = [];
    for (const one of tellings) gone.push(...(await tellMessages([one], session, plan, tools)));
    return gone;
  }
}

async function tellAll(
  emails: readonly Telling[],
  session: EmailSession,
  plan: EmailPlan,
  tools: RenderTools,
): Promise<void> {
  const messages = emails.map(({ email }) => email.message);
  const hasHeader = plan.header.fields.length > 0 || plan.header.isWhole;
  const isInParts = plan.part.header.fields.length > 0 || plan.part.header.isWhole;
  const [summaries, headers] = await Promise.all([
    session.readFullSummaries(messages),
    hasHeader || isInParts ? session.readHeaders(messages) : undefined,
  ]);
  for (const [at, { email, told }] of emails.entries()) {
    tools.signal?.throwIfAborted();
    if (tools.pace.isOver()) await tools.pace.take();
    const source = sourceOf(formatBlobId(email.id), summaries[at]!, headers?.[at], () =>
      session.openBody(email.message),
    );
    await tellMessage(told, source, plan, tools);
  }
}

/** A stored email, by its summary. */
function sourceOf(
  blobId: string,
  summary: Summary,
  header: HeaderBlock | undefined,
  openBody: MessageSource["openBody"],
): MessageSource {
  const root = (): StructuredPart => partsOfSummary(summary);
  return {
    blobId,
    header,
    headerWhole: summary.headerWhole,
    root,
    // Of one whose body is damaged there is no fuller summary.
    hasAttachment: () => (summary.format === 2 ? summary.hasAttachment : hasAttachment(bodyParts(root()))),
    preview: () => jsonText(previewOf(summary)),
    openBody,
  };
}
