import { decodeOffsets, HeaderBlock } from "@restante/mime";
import { concat } from "../crypto/primitives.ts";
import type { Body } from "../mail/contents/contents.ts";
import { HEADER_BYTES_MAX } from "../mail/contents/header.ts";
import type { Summary } from "../mail/contents/summary.ts";
import type { Message } from "../mail/mailbox-view.ts";
import type { MailState } from "../mail/state/state.ts";
import { findInBody, linesOf } from "./body-text.ts";
import { CONDITION_DEPTH_MAX, CONDITIONS_MAX, type Condition } from "./condition.ts";
import { findInFields, type WantedFields } from "./header-fields.ts";
import { Finder, fold, Needle } from "./needle.ts";
import type { Pace } from "./pace.ts";
import { readAhead } from "./read-ahead.ts";
import { compile, fieldKey, type Known, type Test, type Verdict, type World } from "./verdict.ts";

/**
 * Finds the messages that meet a condition, in three rounds: by what the resident state says, then by the header (some
 * fields of it, then all), then by the body. No round looks at a message that one before it decided, so no body is opened for
 * what its header, or its flags, tell. A round looks for all of its texts together: each text of a message is made and folded
 * once, however many conditions there are.
 */

/** Bodies that are asked for before their turn comes: each brings up to 128 KB. */
const BODIES_AHEAD = 6;
/** Octets of a header that are searched. */
export const SEARCHED_HEADER_BYTES_MAX: number = 2 ** 20;
/** Rows that are looked at in one step, well under a millisecond, and messages whose headers are read in one go. */
const ROWS_AT_ONCE = 4096;
const HEADERS_AT_ONCE = 256;

/** What messages hold: an account's session, which refuses once it has ended. */
export interface Reader {
  readSummaries(messages: readonly Message[]): Promise<Summary[]>;
  readFullSummaries(messages: readonly Message[]): Promise<Summary[]>;
  readHeaders(messages: readonly Message[]): Promise<HeaderBlock[]>;
  openBody(message: Message): Promise<Body>;
}

/** Texts that are looked for. */
interface Wanted {
  readonly attachment: boolean;
  readonly fields: WantedFields;
  readonly header: readonly Needle[];
  readonly body: readonly Needle[];
}

/** Rows of one state. */
export interface Rows {
  readonly state: MailState;
  readonly rows: ArrayLike<number>;
}

export interface FilterOptions {
  readonly reader: Reader;
  readonly world: (state: MailState) => World;
  readonly pace: Pace;
  /** Called before the first header or body is read: resolves when it may be. */
  readonly beforeReading?: () => Promise<void>;
}

export class Filter {
  readonly #condition: Condition;
  readonly #options: FilterOptions;
  readonly #wanted: Wanted;
  #state: MailState | undefined;
  #test: Test = () => false;

  /** Throws RangeError if there are too many conditions, or too many within one another. */
  constructor(condition: Condition, options: FilterOptions) {
    assertBounded(condition);
    this.#condition = condition;
    this.#options = options;
    this.#wanted = wantedBy(condition);
  }

  /** Places, ascending, of those rows that meet the condition. Rows are of `state`, which may be an older one. */
  async select({ state, rows }: Rows): Promise<number[]> {
    const test = this.#testOf(state);
    const { pace } = this.#options;
    const hits: number[] = [];
    for (let from = 0; from < rows.length; from += ROWS_AT_ONCE) {
      const to = Math.min(from + ROWS_AT_ONCE, rows.length);
      const open: number[] = [];
      const before = hits.length;
      for (let at = from; at < to; at++) {
        const verdict = test(rows[at]!);
        if (verdict) hits.push(at);
        else if (verdict === undefined) open.push(at);
      }
      if (open.length > 0) {
        const found = await this.#searchOpen(test, state, rows, open);
        if (found.length > 0) hits.push(...[...hits.splice(before), ...found].sort((a, b) => a - b));
      }
      if (pace.isOver()) await pace.take();
    }
    return hits;
  }

  #testOf(state: MailState): Test {
    if (this.#state !== state) this.#test = compile(this.#condition, this.#options.world(state));
    this.#state = state;
    return this.#test;
  }

  /** Those of `open` that meet it by what they hold. */
  async #searchOpen(test: Test, state: MailState, rows: ArrayLike<number>, open: readonly number[]): Promise<number[]> {
    await this.#options.beforeReading?.();
    const hits: number[] = [];
    for (let from = 0; from < open.length; from += HEADERS_AT_ONCE) {
      const places = open.slice(from, from + HEADERS_AT_ONCE);
      const messages = places.map((at) => ({ position: at, row: rows[at]!, state }));
      for (const { position } of await this.#read(test, messages)) hits.push(position);
    }
    return hits;
  }

  async #read(test: Test, messages: readonly Message[]): Promise<Message[]> {
    const { reader, pace } = this.#options;
    const { attachment, fields, header } = this.#wanted;
    const verdicts: Verdict[] = [];
    const summaries = attachment ? await reader.readFullSummaries(messages) : undefined;
    const withHeader = fields.size > 0 || header.length > 0;
    const blocks = withHeader ? await reader.readHeaders(messages) : [];
    const stillOpen: { readonly at: number; readonly known: Known }[] = [];
    for (const [at, message] of messages.entries()) {
      let known: Known = summaries ? { hasAttachment: attached(summaries[at]!) } : {};
      if (withHeader) {
        const block = await this.#wholeHeader(message, blocks[at]!);
        known = { ...known, fields: await findInFields(block, fields, pace) };
        verdicts[at] = test(message.row, known);
        if (verdicts[at] === undefined && header.length > 0)
          known = { ...known, header: await findInHeader(block, header, pace) };
      }
      verdicts[at] ??= test(message.row, known);
      if (verdicts[at] === undefined) stillOpen.push({ at, known });
      if (pace.isOver()) await pace.take();
    }
    if (stillOpen.length > 0) await this.#searchBodies(test, messages, stillOpen, verdicts);
    return messages.filter((_message, at) => verdicts[at]);
  }

  async #searchBodies(
    test: Test,
    messages: readonly Message[],
    open: readonly { readonly at: number; readonly known: Known }[],
    verdicts: Verdict[],
  ): Promise<void> {
    const { reader, pace } = this.#options;
    const { header, body } = this.#wanted;
    const summaries = await reader.readSummaries(open.map(({ at }) => messages[at]!));
    const bodies = readAhead(open, BODIES_AHEAD, ({ at }) => reader.openBody(messages[at]!));
    for (const [index, { at, known }] of open.entries()) {
      const texts = new Finder(body);
      const headers = new Finder(header.filter(({ text }) => !known.header?.has(text)));
      await findInBody({ texts, headers }, await bodies(), summaries[index]!, pace);
      const found = { ...known, header: new Set([...(known.header ?? []), ...headers.found]), body: texts.found };
      verdicts[at] = test(messages[at]!.row, found) ?? false;
    }
  }

  /** A header as far as it is searched: of a long one not all is kept beside the message. */
  async #wholeHeader(message: Message, block: HeaderBlock): Promise<HeaderBlock> {
    if (block.text.length < HEADER_BYTES_MAX) return block;
    const { reader } = this.#options;
    const [summary] = await reader.readSummaries([message]);
    if (!summary || summary.headerWhole) return block;
    const end = Math.min(decodeOffsets(summary.offsets).bodyStart, SEARCHED_HEADER_BYTES_MAX);
    const pieces: Uint8Array[] = [];
    // A piece may be overwritten by the next.
    for await (const piece of (await reader.openBody(message)).read(0, end)) pieces.push(piece.slice());
    return new HeaderBlock(concat(...pieces));
  }
}

/** A summary of the first format that could not be made full is one whose body is damaged or gone. */
function attached(summary: Summary): boolean {
  return summary.format === 2 && summary.hasAttachment;
}

async function findInHeader(block: HeaderBlock, needles: readonly Needle[], pace: Pace): Promise<ReadonlySet<string>> {
  const finder = new Finder(needles);
  await finder.push(linesOf(block.fields()), pace);
  return finder.found;
}

/** Walks over all conditions, without recursion: how deep they lie within one another is a stranger's choice. */
function* each(condition: Condition): Generator<{ readonly condition: Condition; readonly depth: number }> {
  const left = [{ condition, depth: 1 }];
  for (let next = left.pop(); next; next = left.pop()) {
    yield next;
    const { condition: around, depth } = next;
    const inner = around.kind === "not" ? [around.of] : around.kind === "and" || around.kind === "or" ? around.of : [];
    for (const one of inner) left.push({ condition: one, depth: depth + 1 });
  }
}

function assertBounded(condition: Condition): void {
  let count = 0;
  for (const { depth } of each(condition))
    if (++count > CONDITIONS_MAX || depth > CONDITION_DEPTH_MAX) throw new RangeError("too many conditions");
}

/** The texts of all conditions: each once in each place that is looked at. */
function wantedBy(all: Condition): Wanted {
  let attachment = false;
  const fields = new Map<string, Map<string, Needle>>();
  const header = new Map<string, Needle>();
  const body = new Map<string, Needle>();
  const add = (to: Map<string, Needle>, text: string): void => {
    const folded = fold(text);
    if (folded !== "" && !to.has(folded)) to.set(folded, new Needle(folded));
  };
  for (const { condition } of each(all)) {
    if (condition.kind === "attachment") attachment = true;
    if (condition.kind === "header" || condition.kind === "address") {
      const key = fieldKey(condition);
      const ofField = fields.get(key) ?? new Map<string, Needle>();
      fields.set(key, ofField);
      add(ofField, condition.text);
    }
    if (condition.kind === "text") add(header, condition.text);
    if (condition.kind === "text" || condition.kind === "body") add(body, condition.text);
  }
  return {
    attachment,
    fields: new Map([...fields].map(([key, needles]) => [key, [...needles.values()]])),
    header: [...header.values()],
    body: [...body.values()],
  };
}
