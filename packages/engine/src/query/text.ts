import { decodeWords, type HeaderBlock } from "@restante/mime";
import { EngineError } from "../errors.ts";
import type { Contents } from "../mail/contents/contents.ts";
import { fold, foldField } from "../mail/contents/fold.ts";
import type { Summary } from "../mail/contents/summary.ts";
import type { Message } from "../mail/mailbox-view.ts";
import { readTexts } from "./body-text.ts";
import type { Condition } from "./condition.ts";
import { markedPreview, markedText } from "./marked.ts";
import { Needle } from "./needle.ts";
import type { Pace } from "./pace.ts";
import type { Scans } from "./scans.ts";

/** Where a condition's texts stand in a message, as HTML in which they are marked: RFC 8621 §5. */
export interface Snippet {
  /** Undefined: nothing that was looked for stands there. */
  readonly subject: string | undefined;
  /** The text around the first match in the message's text, at most 255 octets. */
  readonly preview: string | undefined;
}

export interface SnippetTools {
  readonly contents: Pick<Contents, "readHeaders" | "readSummaries" | "openBody">;
  readonly scans: Scans;
  readonly pace: Pace;
  readonly signal?: AbortSignal | undefined;
}

/** Octets of each text part, as it is encoded, that are looked through; and of all of a message's, as texts. */
const PART_BYTES_MAX: number = 256 * 1024;
const TEXT_CHARS_MAX: number = 512 * 1024;

/** The snippets of these messages, in order. Texts that a condition wants absent are not looked for. No body is opened where
 * the beginning that a summary keeps has a match, or is all. Rejects with the signal's reason when it is aborted. Errors:
 * `unavailable`, `corrupt`. */
export async function readSnippets(
  messages: readonly Message[],
  condition: Condition,
  { contents, scans, pace, signal }: SnippetTools,
): Promise<Snippet[]> {
  const wanted = { subject: new Map<string, Needle>(), text: new Map<string, Needle>() };
  collectTexts(condition, wanted);
  const [subject, text] = [[...wanted.subject.values()], [...wanted.text.values()]];
  if (subject.length === 0 && text.length === 0)
    return messages.map(() => ({ subject: undefined, preview: undefined }));
  const end = await scans.begin(signal);
  try {
    const headers = subject.length === 0 ? [] : await contents.readHeaders(messages);
    const summaries = text.length === 0 ? [] : await contents.readSummaries(messages);
    const snippets: Snippet[] = [];
    for (const [at, message] of messages.entries()) {
      signal?.throwIfAborted();
      if (pace.isOver()) await pace.take();
      const [header, summary] = [headers[at], summaries[at]];
      snippets.push({
        subject: header && markedText(subjectOf(header), subject),
        preview: summary && (await previewOf(message, summary, text, contents, pace)),
      });
    }
    return snippets;
  } finally {
    end();
  }
}

/** The Subject field's value, decoded. */
function subjectOf(header: HeaderBlock): string {
  return decodeWords(header.values("subject")[0] ?? "").replaceAll("\t", " ");
}

async function previewOf(
  message: Message,
  summary: Summary,
  needles: readonly Needle[],
  contents: SnippetTools["contents"],
  pace: Pace,
): Promise<string | undefined> {
  if (summary.format === 2) {
    const marked = markedPreview(summary.text.start, needles);
    if (marked !== undefined) return marked;
  }
  try {
    let chars = 0;
    for await (const text of readTexts(await contents.openBody(message), summary, PART_BYTES_MAX, pace)) {
      if (pace.isOver()) await pace.take();
      const marked = markedPreview(text, needles);
      if (marked !== undefined) return marked;
      chars += text.length;
      if (chars >= TEXT_CHARS_MAX) break;
    }
  } catch (error) {
    // The message went meanwhile: nothing is left to show.
    if (!(error instanceof EngineError && error.code === "expunged")) throw error;
  }
  return undefined;
}

/** The texts that a condition asks for in subjects and texts. */
function collectTexts(
  condition: Condition,
  wanted: { readonly subject: Map<string, Needle>; readonly text: Map<string, Needle> },
): void {
  const add = (to: Map<string, Needle>, folded: string): void => {
    if (folded !== "") to.set(folded, new Needle(folded));
  };
  switch (condition.kind) {
    case "and":
    case "or":
      for (const inner of condition.of) collectTexts(inner, wanted);
      break;
    case "text":
      add(wanted.subject, foldField(condition.text));
      add(wanted.text, fold(condition.text));
      break;
    case "body":
      add(wanted.text, fold(condition.text));
      break;
    case "subject":
      add(wanted.subject, foldField(condition.text));
      break;
    case "header":
      if (condition.field === "subject") add(wanted.subject, foldField(condition.text));
      break;
    case "not":
    case "all":
    case "keyword":
    case "thread-keyword":
    case "mailbox":
    case "uids":
    case "emails":
    case "threads":
    case "modSeq":
    case "size":
    case "date":
    case "from":
    case "to":
    case "cc":
    case "bcc":
    case "attachment":
      break;
  }
}
