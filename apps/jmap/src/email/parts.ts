import { decodeWords, fileName, type HeaderBlock, type PartNode } from "@restante/mime";
import { charsetOf } from "./body-values.ts";
import type { AnswerBudget } from "./budget.ts";
import { allHeaders, headerValue } from "./header-forms.ts";
import type { HeaderPlan, PartPlan, PartProperty } from "./properties.ts";
import { jsonText } from "./text.ts";

/** The blob of one part of a blob: the engine's spelling of ids. */
export function partBlobId(blobId: string, path: string): string {
  return `${blobId}-${path.replaceAll(".", "-")}`;
}

/** The message's blob, plan and headers, for telling its parts. */
export interface PartContext {
  readonly blobId: string;
  readonly plan: PartPlan;
  readonly headers: ReadonlyMap<PartNode, HeaderBlock>;
  readonly budget: AnswerBudget;
}

/** Memory of a part's own properties, about. */
const PART_CHARS = 500;

/** EmailBodyPart: RFC 8621 §4.1.4, without the subParts of a multipart. Put into `told`, in steps. */
export function* tellPart(
  told: Record<string, unknown>,
  node: PartNode,
  { blobId, plan, headers, budget }: PartContext,
): Generator<undefined, void> {
  budget.take(PART_CHARS);
  for (const property of plan.properties) {
    const value = TOLD[property](node, blobId);
    if (value !== undefined) told[property] = value;
  }
  const header = headers.get(node);
  if (header) yield* tellHeader(told, header, plan.header, budget);
}

/** Undefined: it is told elsewhere. */
const TOLD: Readonly<Record<PartProperty, (node: PartNode, blobId: string) => unknown>> = {
  partId: ({ path }) => path,
  blobId: ({ path }, blobId) => (path === null ? null : partBlobId(blobId, path)),
  // A part without a blob has no octets.
  size: ({ part, path }) => (path === null ? 0 : part.octets),
  name: ({ part }) => textOrNull(fileName(part)),
  type: ({ part }) => jsonText(`${part.type}/${part.subtype}`),
  charset: ({ part }) => textOrNull(charsetOf(part) ?? undefined),
  disposition: ({ part }) => textOrNull(part.disposition && decodeWords(part.disposition.value)),
  // Of a multipart in the store none is kept: BODYSTRUCTURE has no place for it.
  cid: ({ part }) => textOrNull(contentId(part.id)),
  language: ({ part }) => languages(part.language),
  location: ({ part }) => textOrNull(part.location && decodeWords(part.location).replace(/\s+/g, "")),
  subParts: ({ path }) => (path === null ? undefined : []),
};

/** The header fields that are asked for, in steps: a stranger may have written many, and long ones. */
export function* tellHeader(
  told: Record<string, unknown>,
  header: HeaderBlock,
  { fields, isWhole }: HeaderPlan,
  budget: AnswerBudget,
): Generator<undefined, void> {
  if (isWhole) {
    budget.take(header.text.length);
    told.headers = allHeaders(header);
    yield;
  }
  for (const property of fields) {
    const value = headerValue(header, property);
    budget.take(property.key.length + (typeof value === "string" ? value.length : charsOf(value)));
    told[property.key] = value;
    yield;
  }
}

/** Characters of all strings in a value, and some for what is around each. */
export function charsOf(value: unknown): number {
  if (typeof value === "string") return value.length + VALUE_CHARS;
  if (typeof value !== "object" || value === null) return VALUE_CHARS;
  let chars = VALUE_CHARS;
  for (const inner of Object.values(value)) chars += charsOf(inner);
  return chars;
}

const VALUE_CHARS = 8;

/** RFC 2045 §7, without its angle brackets. */
function contentId(id: string | undefined): string | undefined {
  if (id === undefined) return undefined;
  const text = decodeWords(id);
  return (/<([^<>]*)>/.exec(text)?.[1] ?? text).replace(/\s+/g, "");
}

/** RFC 3282. */
function languages(value: string | undefined): readonly string[] | null {
  const tags = (value ?? "").split(",").map((tag) => decodeWords(tag).trim());
  const named = tags.filter((tag) => tag !== "").map(jsonText);
  return named.length === 0 ? null : named;
}

function textOrNull(text: string | undefined): string | null {
  return text === undefined || text === "" ? null : jsonText(text);
}
