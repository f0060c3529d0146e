import { asModSeq, type Body, EngineError, type Message, readAhead, uidBefore } from "@restante/engine";
import { isTurnOver, takeTurn } from "@restante/host";
import { Refusal } from "../errors.ts";
import { isOfHeader, isWhole, tellsUtf8, writerOf } from "../fetch-answers.ts";
import { Kept, type Writer } from "../fetch-kept.ts";
import { BODIES_AHEAD } from "../limits.ts";
import { limitCode, limited, tellLimit } from "../message-limit.ts";
import { partOf, sizeOf } from "../part-of.ts";
import type { Session } from "../session.ts";
import { type FetchItem, type FetchModifiers, parseFetchItems, parseFetchModifiers } from "../wire/fetch-items.ts";
import { ImapSyntaxError } from "../wire/parser.ts";
import { formatRanges, resolveRanges, type SequenceSet } from "../wire/sequence-set.ts";
import { type Command, defineCommand, no, ok } from "./command.ts";
import { parseSet, positionsOf } from "./message-set.ts";

/** Messages whose summaries are read in one go, and whose answers leave together. */
const CHUNK_MESSAGES = 64;

/** FETCH: RFC 9051 §6.4.5 and §7.5.2; BINARY: RFC 3516 §4.2; CHANGEDSINCE and VANISHED: RFC 7162 §3.1.4.1 and §3.2.6;
 * PARTIAL: RFC 9394 §3.3; MESSAGELIMIT: RFC 9738. */
export const fetch: Command<unknown> = defineCommand({
  name: "FETCH",
  in: ["selected"],
  uid: true,
  capabilities: ["BINARY"],
  expunges: "must-not",
  parse(parser, { uid }) {
    const set = parseSet(parser);
    parser.space();
    const items = parseFetchItems(parser);
    const modifiers = parseFetchModifiers(parser);
    if (modifiers.vanished && (!uid || modifiers.changedSince === undefined))
      throw new ImapSyntaxError("VANISHED is for UID FETCH with CHANGEDSINCE");
    return { set, items: withImplied(items, uid, modifiers), modifiers };
  },
  async run({ set, items, modifiers }, session, { uid }) {
    if (modifiers.vanished && !session.enabled.has("QRESYNC")) throw new ImapSyntaxError("QRESYNC is not enabled");
    const { messageLimit = Number.POSITIVE_INFINITY } = session.link;
    if (modifiers.partial && sizeOf(modifiers.partial) > messageLimit)
      return no("Too many messages for one FETCH", limitCode(messageLimit));
    if (items.some(({ kind }) => kind === "modseq")) session.enableCondstore();
    if (modifiers.vanished) await tellVanished(session, set, modifiers);
    const { positions, code } = limited(session, wantedOf(session, positionsOf(session, set, uid), modifiers));
    // \Seen is stored while the bodies are sent; `syncView` tells of it before the completion.
    const seen = markSeen(session, items, positions);
    // The error that comes first is answered, be it of a FETCH answer or of \Seen.
    seen.catch(() => undefined);
    const damaged = await tellItems(session, code === undefined ? positions : positions.toReversed(), items);
    await seen;
    if (damaged.length === 0) return ok("FETCH completed", code);
    // All others were told.
    tellLimit(session, code);
    throw damaged[0];
  },
});

/** Answers for messages, each with these items. Gives the errors of those that are damaged or gone, of which nothing was told. */
export async function tellItems(
  session: Session,
  positions: readonly number[],
  items: readonly FetchItem[],
): Promise<unknown[]> {
  const { view } = session;
  const told = items.filter(({ kind }) => kind !== "uid" || !session.isUidOnly || items.length === 1);
  const writers = told.map((item) => writerOf(session, item));
  const needsSummary = items.some(needsSummaryOf);
  const needsHeader = items.some((item) => needsHeaderOf(item) || tellsUtf8(session, item));
  const damaged: unknown[] = [];
  if (items.some(({ kind }) => kind === "flags")) session.tellKeywords();
  for (let at = 0; at < positions.length; at += CHUNK_MESSAGES) {
    const messages = view.messages(positions.slice(at, at + CHUNK_MESSAGES));
    const [summaries, headers] = await Promise.all([
      needsSummary ? session.mail.readSummaries(messages) : [],
      needsHeader ? session.mail.readHeaders(messages) : [],
    ]);
    const kept = messages.map((_message, index) => new Kept(summaries[index], headers[index]));
    damaged.push(...(await answerAll(session, messages, kept, writers)));
    if (session.output.isFull) await session.output.flush();
    await takeTurn();
  }
  return damaged;
}

/** Of messages from a position on, which came: what is damaged or gone is not told of. */
export async function tellNew(session: Session, from: number, items: readonly FetchItem[]): Promise<void> {
  const { view } = session;
  if (items.length === 0 || from >= view.length) return;
  const positions = Array.from({ length: view.length - from }, (_, at) => from + at);
  await tellItems(session, positions, withImplied(items, true, {}));
}

/** A UID form tells uids, CHANGEDSINCE tells modseqs. */
function withImplied(items: readonly FetchItem[], uid: boolean, modifiers: FetchModifiers): readonly FetchItem[] {
  const has = (kind: FetchItem["kind"]): boolean => items.some((item) => item.kind === kind);
  return [
    ...(uid && !has("uid") ? [{ kind: "uid" } as const] : []),
    ...items,
    ...(modifiers.changedSince !== undefined && !has("modseq") ? [{ kind: "modseq" } as const] : []),
  ];
}

function wantedOf(
  { view }: Session,
  positions: readonly number[],
  { changedSince, partial }: FetchModifiers,
): readonly number[] {
  const changed = changedSince === undefined ? positions : view.changedSince(asModSeq(changedSince), positions);
  return partial ? partOf(changed, partial) : changed;
}

/** Tells VANISHED (EARLIER) for those of the uids that were removed since: RFC 7162 §3.2.6. Removals that this client hasn't
 * yet been told of are told first, as removals of this session. */
async function tellVanished(session: Session, set: SequenceSet, { changedSince = 0 }: FetchModifiers): Promise<void> {
  await session.syncView({ expunges: true, uid: true });
  const { view } = session;
  const ranges = set.isSaved ? session.savedUids : resolveRanges(set, uidBefore(view.mailbox.uidNext));
  const vanished = view.vanishedSince(asModSeq(changedSince), ranges);
  if (vanished.length > 0) session.untagged(`VANISHED (EARLIER) ${formatRanges(vanished)}`);
}

function needsHeaderOf(item: FetchItem): boolean {
  return item.kind === "section" && isOfHeader(item.section);
}

function needsSummaryOf(item: FetchItem): boolean {
  if (item.kind === "section") return !isWhole(item.section);
  if (item.kind === "binary") return item.path.length > 0;
  return NEED_SUMMARY.has(item.kind);
}

const NEED_SUMMARY: ReadonlySet<FetchItem["kind"]> = new Set(["envelope", "body", "bodystructure", "preview"]);

async function markSeen(session: Session, items: readonly FetchItem[], positions: readonly number[]): Promise<void> {
  const { view } = session;
  if (view.readOnly || !items.some((item) => (item.kind === "section" || item.kind === "binary") && !item.peek)) return;
  await view.markSeen(positions);
}

/** Answers messages in order; gives the errors of those that are damaged or gone, of which nothing was told. Bodies are
 * asked for some messages ahead, so that the store is never waited for while there is something to open and send. */
async function answerAll(
  session: Session,
  messages: readonly Message[],
  kept: readonly Kept[],
  writers: readonly Writer[],
): Promise<unknown[]> {
  const { output, mail } = session;
  if (writers.every(({ isShort }) => isShort)) {
    const head = session.fetchHead();
    for (const message of messages) output.text(answerAtOnce(head(message), message, writers));
    return [];
  }
  const needBodies = messages.map((message, at) => writers.some((writer) => writer.needsBody?.(message, kept[at]!)));
  const bodies = readAhead(
    messages.filter((_message, at) => needBodies[at]),
    BODIES_AHEAD,
    (message) => mail.openBody(message),
  );
  const damaged: unknown[] = [];
  for (const [at, message] of messages.entries())
    try {
      await answer(session, message, kept[at]!, writers, needBodies[at] ? await bodies() : undefined);
    } catch (error) {
      if (!isOfOneMessage(error) || !output.takeBack()) throw error;
      damaged.push(error);
    }
  return damaged;
}

/** The message's bytes are damaged or gone: others may be well. */
function isOfOneMessage(error: unknown): boolean {
  if (error instanceof Refusal) return true;
  return error instanceof EngineError && (error.code === "corrupt" || error.code === "expunged");
}

/** The whole answer, of short items. */
function answerAtOnce(head: string, message: Message, writers: readonly Writer[]): string {
  const nothing = new Kept(undefined, undefined);
  let text = `* ${head}`;
  let separator = "(";
  for (const writer of writers) {
    text += separator + writer.atOnce(message, nothing);
    separator = " ";
  }
  return `${text})\r\n`;
}

/** An answer in steps, none larger than an item or a piece of a body. */
async function answer(
  session: Session,
  message: Message,
  kept: Kept,
  writers: readonly Writer[],
  body: Body | undefined,
): Promise<void> {
  const { output } = session;
  output.begin();
  output.text(`* ${session.fetchHead()(message)}`);
  let separator = "(";
  for (const writer of writers) {
    output.text(separator);
    separator = " ";
    if (body && writer.needsBody?.(message, kept)) await writer.fromBody!(message, kept, body);
    else output.text(writer.atOnce(message, kept));
    if (output.isFull) await output.flush();
    if (isTurnOver()) await takeTurn();
  }
  output.text(")\r\n");
  output.end();
}
