import { type Body, ForwardReader, type Pace } from "@restante/engine";
import { type BodyParts, bodyParts, HeaderBlock, type StructuredPart } from "@restante/mime";
import { type EmailBodyValue, readBodyValue } from "./body-values.ts";
import type { AnswerBudget } from "./budget.ts";
import { HEADER_READ_BYTES_MAX } from "./limits.ts";
import { allNodes, charsOf, nodesOf, type PartContext, type PartNode, tellHeader, tellPart } from "./parts.ts";
import type { EmailPlan } from "./properties.ts";

/** A message that is told of, wherever it lies: an email, or a blob. */
export interface MessageSource {
  /** What blobs of its parts begin with. */
  readonly blobId: string;
  /** Its own header, where it is asked for; whether that is all of it. */
  readonly header: HeaderBlock | undefined;
  readonly headerWhole: boolean;
  /** Its parts, made when they are asked for. */
  root(): StructuredPart;
  hasAttachment(): boolean;
  preview(): string;
  openBody(): Promise<Body>;
}

export interface RenderTools {
  readonly pace: Pace;
  readonly signal: AbortSignal | undefined;
  readonly budget: AnswerBudget;
}

const LISTS = ["textBody", "htmlBody", "attachments"] as const;

/** Whether the plan asks for what a message says, and not for metadata alone. */
export function wantsMessage({ header, body }: EmailPlan): boolean {
  return header.fields.length > 0 || header.isWhole || body.size > 0;
}

/**
 * What a message says to a plan: header fields and body properties (RFC 8621 §4.1.2 to §4.1.4), put into `told`. The body is
 * opened for values, for headers of parts, and for a header that is not kept whole; else nothing is waited for. Errors:
 * `unavailable`, `corrupt`, and RequestTooLarge.
 */
export function tellMessage(
  told: Record<string, unknown>,
  source: MessageSource,
  plan: EmailPlan,
  tools: RenderTools,
): Promise<void> | undefined {
  const shown = new ShownMessage(source, plan);
  const readings = shown.readings();
  if (readings.length === 0) {
    shown.tell(told, NOTHING_READ, tools.budget);
    return undefined;
  }
  return read(source, readings, plan, tools).then((found) => shown.tell(told, found, tools.budget));
}

/** Octets that are to be read of a body. */
interface Reading {
  readonly kind: "header" | "value";
  readonly node: PartNode;
  readonly start: number;
  readonly end: number;
}

interface Found {
  readonly headers: ReadonlyMap<PartNode, HeaderBlock>;
  readonly values: ReadonlyMap<PartNode, EmailBodyValue>;
}

const NOTHING_READ: Found = { headers: new Map(), values: new Map() };

/** Reads the body once, from front to back. */
async function read(
  source: MessageSource,
  readings: readonly Reading[],
  { values: { bytesMax } }: EmailPlan,
  { pace, signal, budget }: RenderTools,
): Promise<Found> {
  const headers = new Map<PartNode, HeaderBlock>();
  const values = new Map<PartNode, EmailBodyValue>();
  const reader = new ForwardReader(await source.openBody(), readings.at(-1)!.end, pace);
  try {
    for (const { kind, node, start, end } of readings) {
      signal?.throwIfAborted();
      if (kind === "value") values.set(node, await readBodyValue(node.part, reader.read(start, end), bytesMax, budget));
      else
        headers.set(
          node,
          new HeaderBlock(await collect(reader.read(start, Math.min(end, start + HEADER_READ_BYTES_MAX)))),
        );
    }
  } finally {
    await reader.close();
  }
  return { headers, values };
}

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  let bytes = new Uint8Array(0);
  for await (const piece of pieces) {
    const more = new Uint8Array(bytes.length + piece.length);
    more.set(bytes);
    more.set(piece, bytes.length);
    bytes = more;
  }
  return bytes;
}

class ShownMessage {
  readonly #source: MessageSource;
  readonly #plan: EmailPlan;
  #root: PartNode | undefined;
  #lists: BodyParts<StructuredPart> | undefined;

  constructor(source: MessageSource, plan: EmailPlan) {
    this.#source = source;
    this.#plan = plan;
  }

  get #nodes(): PartNode {
    this.#root ??= nodesOf(this.#source.root());
    return this.#root;
  }

  get #bodyParts(): BodyParts<StructuredPart> {
    this.#lists ??= bodyParts(this.#nodes.part);
    return this.#lists;
  }

  /** What is not kept in the index, in the order in which it lies. */
  readings(): Reading[] {
    const { header, body, part } = this.#plan;
    const hasParts = body.has("bodyStructure") || LISTS.some((list) => body.has(list));
    const ofParts = hasParts && (part.header.isWhole || part.header.fields.length > 0);
    const ofRoot = header.isWhole || header.fields.length > 0 || ofParts;
    const values = this.#valued();
    if (!ofParts && values.size === 0 && (this.#source.headerWhole || !ofRoot)) return [];
    const readings: Reading[] = [];
    for (const node of allNodes(this.#nodes)) {
      const { headerStart, bodyStart, bodyEnd } = node.part;
      const isRoot = node === this.#nodes;
      if (isRoot ? ofRoot && !this.#source.headerWhole : ofParts)
        readings.push({ kind: "header", node, start: headerStart, end: bodyStart });
      if (values.has(node.part)) readings.push({ kind: "value", node, start: bodyStart, end: bodyEnd });
    }
    return readings;
  }

  /** Text parts whose values are asked for: RFC 8621 §4.2. */
  #valued(): ReadonlySet<StructuredPart> {
    const { body, values } = this.#plan;
    if (!body.has("bodyValues") || !(values.text || values.html || values.all)) return new Set();
    const parts = [
      ...(values.text ? this.#bodyParts.textBody : []),
      ...(values.html ? this.#bodyParts.htmlBody : []),
      ...(values.all ? Array.from(allNodes(this.#nodes), ({ part }) => part) : []),
    ];
    return new Set(parts.filter(({ type }) => type === "text"));
  }

  tell(told: Record<string, unknown>, { headers, values }: Found, budget: AnswerBudget): void {
    const { header, body, part: plan } = this.#plan;
    const hasHeader = header.isWhole || header.fields.length > 0;
    if (hasHeader) tellHeader(told, this.#headerOf(headers), header, budget);
    if (body.has("hasAttachment")) told.hasAttachment = this.#source.hasAttachment();
    if (body.has("preview")) told.preview = this.#source.preview();
    if (body.has("bodyValues"))
      told.bodyValues = Object.fromEntries(Array.from(values, ([{ path }, value]) => [path, value]));
    if (!body.has("bodyStructure") && !LISTS.some((list) => body.has(list))) return;
    const ofParts =
      plan.header.isWhole || plan.header.fields.length > 0
        ? new Map([...headers, [this.#nodes, this.#headerOf(headers)] as const])
        : headers;
    this.#tellParts(told, { blobId: this.#source.blobId, plan, headers: ofParts, budget });
  }

  #headerOf(headers: Found["headers"]): HeaderBlock {
    const header = (this.#root && headers.get(this.#root)) ?? this.#source.header;
    if (!header) throw new Error("a header that is asked for was not read");
    return header;
  }

  #tellParts(told: Record<string, unknown>, context: PartContext): void {
    const { body } = this.#plan;
    // A part that stands in several lists is told once.
    const leaves = new Map<StructuredPart, Record<string, unknown>>();
    const nodes = new Map(Array.from(allNodes(this.#nodes), (node) => [node.part, node] as const));
    const leaf = (part: StructuredPart): Record<string, unknown> => {
      const known = leaves.get(part);
      if (known) {
        context.budget.take(charsOf(known));
        return known;
      }
      const made = tellPart(nodes.get(part)!, context);
      leaves.set(part, made);
      return made;
    };
    const tree = (node: PartNode): Record<string, unknown> =>
      node.path === null ? { ...tellPart(node, context), subParts: node.subParts.map(tree) } : leaf(node.part);
    if (body.has("bodyStructure")) told.bodyStructure = tree(this.#nodes);
    for (const list of LISTS) if (body.has(list)) told[list] = this.#bodyParts[list].map(leaf);
  }
}
