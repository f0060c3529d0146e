import type { Body, Pace } from "@restante/engine";
import {
  bodyParts,
  createScanner,
  HeaderBlock,
  hasAttachment,
  type MessageStructure,
  messageText,
  preview,
} from "@restante/mime";
import { type Blobs, isMessage } from "./blobs.ts";
import { type MessageSource, type RenderTools, tellMessage } from "./body.ts";
import { AnswerBudget } from "./budget.ts";
import type { GetTools } from "./get.ts";
import type { EmailPlan, MetadataProperty } from "./properties.ts";
import { jsonText } from "./text.ts";

/** The answer of Email/parse: RFC 8621 §4.9. An empty list is null. */
export interface ParsedEmails {
  readonly parsed: Readonly<Record<string, Readonly<Record<string, unknown>>>> | null;
  readonly notParsable: readonly string[] | null;
  readonly notFound: readonly string[] | null;
}

/** Email/parse (RFC 8621 §4.9): blobs as Email objects, each once. They are scanned as they stream. Errors: RequestTooLarge;
 * `unavailable`, `corrupt`. */
export async function parseEmails(
  blobs: Blobs,
  blobIds: readonly string[],
  plan: EmailPlan,
  { pace, signal, budget = new AnswerBudget() }: GetTools,
): Promise<ParsedEmails> {
  const parsed: [string, Record<string, unknown>][] = [];
  const notParsable: string[] = [];
  const notFound: string[] = [];
  for (const blobId of new Set(blobIds)) {
    signal?.throwIfAborted();
    const body = await blobs.open(blobId);
    const told = body && (await tellBlob(blobId, body, plan, { pace, signal, budget }));
    if (told) parsed.push([blobId, told]);
    else (body ? notParsable : notFound).push(blobId);
  }
  return {
    parsed: parsed.length === 0 ? null : Object.fromEntries(parsed),
    notParsable: orNull(notParsable),
    notFound: orNull(notFound),
  };
}

function orNull(list: readonly string[]): readonly string[] | null {
  return list.length === 0 ? null : list;
}

/** Undefined for what is no message. */
async function tellBlob(
  blobId: string,
  body: Body,
  plan: EmailPlan,
  tools: RenderTools,
): Promise<Record<string, unknown> | undefined> {
  const structure = await scanned(body, tools);
  const header = new HeaderBlock(structure.header);
  if (!isMessage(header)) return undefined;
  const told: Record<string, unknown> = {};
  for (const property of plan.metadata) told[property] = METADATA[property](blobId, body.size);
  const source: MessageSource = {
    blobId,
    header,
    // Of a longer one the scanner keeps as much as would be read.
    headerWhole: true,
    root: () => structure.root,
    hasAttachment: () => hasAttachment(bodyParts(structure.root)),
    preview: () => jsonText(preview(messageText(structure).start)),
    openBody: async () => body,
  };
  await tellMessage(told, source, plan, tools);
  return told;
}

/** RFC 8621 §4.9: what only an email in the store has is null. */
const METADATA: Readonly<Record<MetadataProperty, (blobId: string, size: number) => unknown>> = {
  id: () => null,
  blobId: (blobId) => blobId,
  threadId: () => null,
  mailboxIds: () => null,
  keywords: () => null,
  size: (_, size) => size,
  receivedAt: () => null,
};

/** Octets that are scanned in one step. */
const STEP_BYTES: number = 64 * 1024;

/** The structure of what is kept nowhere. */
export async function scanned(
  body: Body,
  { pace, signal }: { readonly pace: Pace; readonly signal?: AbortSignal | undefined },
): Promise<MessageStructure> {
  const scanner = createScanner();
  for await (const piece of body.read(0, body.size)) {
    for (let at = 0; at < piece.length; at += STEP_BYTES) {
      signal?.throwIfAborted();
      scanner.push(piece.subarray(at, at + STEP_BYTES));
      if (pace.isOver()) await pace.take();
    }
  }
  return scanner.finish();
}
