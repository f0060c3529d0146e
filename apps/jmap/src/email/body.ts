import { type Body, ForwardReader, type Pace } from "@restante/engine";
import {
  allNodes,
  type BodyParts,
  bodyParts,
  HeaderBlock,
  nodesOf,
  type PartNode,
  type StructuredPart,
} from "@restante/mime";
import { type EmailBodyValue, readBodyValue } from "./body-values.ts";
import type { AnswerBudget } from "./budget.ts";
import { BODY_VALUE_BYTES_MAX, HEADER_READ_BYTES_MAX } from "./limits.ts";
import { charsOf, type PartContext, tellHeader, tellPart } from "./parts.ts";
import type { EmailPlan } from "./properties.ts";

/** A message that is told of, wherever it lies: an email, or a blob. */
export interface MessageSource {
  /** The message's blob id, with which the blob ids of its parts begin. */
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

/** True if the plan asks for header fields or body properties, and not for metadata alone. */
export function wantsMessage({ header, body }: EmailPlan): boolean {
  return header.fields.length > 0 || header.isWhole || body.size > 0;
}

/** Puts a message's header fields and body properties into `told`, as the plan asks for them: RFC 8621 §4.1.2 to §4.1.4. The
 * body is opened for values, for headers of parts, and for a header that is not kept whole. Errors: `unavailable`,
 * `corrupt`, and RequestTooLarge. */
export async function tellMessage(
  told: Record<string, unknown>,
  source: MessageSource,
  plan: EmailPlan,
  tools: RenderTools,
): Promise<void> {
  const shown = new ShownMessage(source, plan);
  const readings = shown.readings();
  const found = readings.length === 0 ? NOTHING_READ : await read(source, readings, plan, tools);
  for (const _ of shown.tell(told, found, tools.budget)) {
    tools.signal?.throwIfAborted();
    if (tools.pace.isOver()) await tools.pace.take();
  }
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
  const valueMax = Math.min(bytesMax || BODY_VALUE_BYTES_MAX, BODY_VALUE_BYTES_MAX);
  const headers = new Map<PartNode, HeaderBlock>();
  const values = new Map<PartNode, EmailBodyValue>();
  const reader = new ForwardReader(await source.openBody(), readings.at(-1)!.end, pace);
  try {
    for (const { kind, node, start, end } of readings) {
      signal?.throwIfAborted();
      if (kind === "value") values.set(node, await readBodyValue(node.part, reader.read(start, end), valueMax, budget));
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

  /** The parts that are told of, from front to back. */
  get #told(): PartNode[] {
    const { body } = this.#plan;
    const nodes = [...allNodes(this.#nodes)];
    if (body.has("bodyStructure")) return nodes;
    const parts = new Set(LISTS.filter((list) => body.has(list)).flatMap((list) => this.#bodyParts[list]));
    return nodes.filter(({ part }) => parts.has(part));
  }

  get #hasParts(): boolean {
    const { body } = this.#plan;
    return body.has("bodyStructure") || LISTS.some((list) => body.has(list));
  }

  /** True if the plan asks for header fields of parts. */
  get #hasPartHeaders(): boolean {
    const { header } = this.#plan.part;
    return this.#hasParts && (header.isWhole || header.fields.length > 0);
  }

  /** Spans of the body that must be read, because the index doesn't have them, in the order of their octets. */
  readings(): Reading[] {
    const { header } = this.#plan;
    const ofRoot = header.isWhole || header.fields.length > 0;
    const values = this.#valued();
    const isRootKept = this.#source.headerWhole;
    if (!this.#hasPartHeaders && values.size === 0 && (isRootKept || !ofRoot)) return [];
    const ofParts = new Set(this.#hasPartHeaders ? this.#told : []);
    if (isRootKept) ofParts.delete(this.#nodes);
    else if (ofRoot) ofParts.add(this.#nodes);
    const readings: Reading[] = [];
    for (const node of allNodes(this.#nodes)) {
      const { headerStart, bodyStart, bodyEnd } = node.part;
      if (ofParts.has(node)) readings.push({ kind: "header", node, start: headerStart, end: bodyStart });
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

  /** In steps. */
  *tell(told: Record<string, unknown>, { headers, values }: Found, budget: AnswerBudget): Generator<undefined, void> {
    const { header, body, part: plan } = this.#plan;
    if (header.isWhole || header.fields.length > 0) yield* tellHeader(told, this.#headerOf(headers), header, budget);
    if (body.has("hasAttachment")) told.hasAttachment = this.#source.hasAttachment();
    if (body.has("preview")) told.preview = this.#source.preview();
    if (body.has("bodyValues"))
      told.bodyValues = Object.fromEntries(Array.from(values, ([{ path }, value]) => [path, value]));
    if (!this.#hasParts) return;
    const ofParts = this.#hasPartHeaders
      ? new Map([...headers, [this.#nodes, this.#headerOf(headers)] as const])
      : headers;
    yield* this.#tellParts(told, { blobId: this.#source.blobId, plan, headers: ofParts, budget });
  }

  #headerOf(headers: Found["headers"]): HeaderBlock {
    const header = (this.#root && headers.get(this.#root)) ?? this.#source.header;
    if (!header) throw new Error("a header that is asked for was not read");
    return header;
  }

  /** A part that stands in several lists is made once. */
  *#tellParts(told: Record<string, unknown>, context: PartContext): Generator<undefined, void> {
    const { body } = this.#plan;
    const made = new Map<StructuredPart, Record<string, unknown>>();
    for (const node of this.#told) {
      const part: Record<string, unknown> = {};
      yield* tellPart(part, node, context);
      made.set(node.part, part);
      yield;
    }
    const tree = ({ part, path, subParts }: PartNode): Record<string, unknown> =>
      path === null ? { ...made.get(part), subParts: subParts.map(tree) } : made.get(part)!;
    if (body.has("bodyStructure")) told.bodyStructure = tree(this.#nodes);
    const said = new Set(body.has("bodyStructure") ? made.keys() : []);
    for (const list of LISTS) {
      if (!body.has(list)) continue;
      told[list] = this.#bodyParts[list].map((part) => made.get(part)!);
      // A part counts wherever it stands.
      for (const part of this.#bodyParts[list]) {
        if (said.has(part)) context.budget.take(charsOf(made.get(part)));
        said.add(part);
      }
    }
  }
}
