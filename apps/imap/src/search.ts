import type { AccountSession, Body, Message, Summary } from "@restante/engine";
import {
  createTransferDecoder,
  decodeCharset,
  decodeOffsets,
  decodeWords,
  type HeaderBlock,
  type PartOffsets,
  parseStructured,
  type Structured,
} from "@restante/mime";
import { asciiText } from "./ascii.ts";
import { BODIES_AHEAD } from "./limits.ts";
import { readAhead } from "./read-ahead.ts";
import type { SearchKey } from "./wire/search-keys.ts";
import type { SequenceSet } from "./wire/sequence-set.ts";

/**
 * SEARCH on one message, in three rounds: what the resident state answers, then what the header answers, then the
 * body. Each round is three-valued: a key that needs more than is at hand is `undefined`, and AND, OR and NOT decide as
 * soon as they can; so no body is opened for what its header, or its flags, tell.
 */
export interface SearchContext {
  readonly mail: AccountSession;
  readonly positionsIn: (set: SequenceSet, uid: boolean) => ReadonlySet<number>;
  readonly isRecent: (position: number) => boolean;
}

const DAY_MS = 86_400_000;
/** Octets of one part that are searched. */
const SEARCHED_BYTES_MAX: number = 32 * 2 ** 20;

type Verdict = boolean | undefined;
/** `body` is the decoded text of all text parts, folded. */
type Test = (message: Message, header?: HeaderBlock, body?: string) => Verdict;

/** Finds those of some messages that match, in order. */
export function createSearch(
  key: SearchKey,
  context: SearchContext,
): (messages: readonly Message[]) => Promise<readonly Message[]> {
  const test = compile(key, context);
  return async (messages) => {
    const verdicts: Verdict[] = [];
    const open: number[] = [];
    for (const message of messages) {
      const verdict = test(message);
      if (verdict === undefined) open.push(verdicts.length);
      verdicts.push(verdict);
    }
    if (open.length > 0) await searchOpen(context.mail, test, messages, verdicts, open);
    return messages.filter((_message, at) => verdicts[at]);
  };
}

/** Decides those at `open`, by their headers or else by their bodies. */
async function searchOpen(
  mail: AccountSession,
  test: Test,
  messages: readonly Message[],
  verdicts: Verdict[],
  open: readonly number[],
): Promise<void> {
  const headers = await mail.readHeaders(open.map((at) => messages[at]!));
  const stillOpen: { readonly at: number; readonly message: Message; readonly header: HeaderBlock }[] = [];
  for (const [index, at] of open.entries()) {
    const message = messages[at]!;
    const header = headers[index]!;
    verdicts[at] = test(message, header);
    if (verdicts[at] === undefined) stillOpen.push({ at, message, header });
  }
  if (stillOpen.length === 0) return;
  const summaries = await mail.readSummaries(stillOpen.map(({ message }) => message));
  const bodies = readAhead(stillOpen, BODIES_AHEAD, ({ message }) => mail.openBody(message));
  for (const [index, { at, message, header }] of stillOpen.entries())
    verdicts[at] = test(message, header, await bodyText(await bodies(), summaries[index]!)) ?? false;
}

function compile(key: SearchKey, context: SearchContext): Test {
  switch (key.kind) {
    case "all":
      return () => true;
    case "and":
      return every(key.keys.map((inner) => compile(inner, context)));
    case "or": {
      const [first, second] = key.keys.map((inner) => negate(compile(inner, context)));
      return negate(every([first!, second!]));
    }
    case "not":
      return negate(compile(key.key, context));
    case "flag": {
      const has = flagTest(key.flag);
      return (message) => has(message) === key.set;
    }
    case "recent":
      return ({ position }) => context.isRecent(position) === key.set;
    case "new": {
      const isSeen = flagTest("\\Seen");
      return (message) => context.isRecent(message.position) && !isSeen(message);
    }
    case "set": {
      const positions = context.positionsIn(key.set, key.uid);
      return ({ position }) => positions.has(position);
    }
    case "size":
      return ({ state, row }) => {
        const size = state.sizeOf(row);
        return key.than === "larger" ? size > key.octets : size < key.octets;
      };
    case "date":
      return dateTest(key);
    case "header":
      return headerTest(key.field, fold(key.text));
    case "body":
    case "text":
      return textTest(fold(key.text), key.kind === "text");
  }
}

function every(tests: readonly Test[]): Test {
  return (message, header, body) => {
    let verdict: Verdict = true;
    for (const test of tests) {
      const one = test(message, header, body);
      if (one === false) return false;
      if (one === undefined) verdict = undefined;
    }
    return verdict;
  };
}

function negate(test: Test): Test {
  return (message, header, body) => {
    const verdict = test(message, header, body);
    return verdict === undefined ? undefined : !verdict;
  };
}

/** Days as they are written, "disregarding time and timezone": RFC 9051 §6.4.4. */
function dateTest({ of, when, dayMs }: SearchKey & { kind: "date" }): Test {
  return ({ state, row }) => {
    const { timeMs, zoneMinutes } = of === "internal" ? state.receivedOf(row) : state.sentOf(row);
    const day = Math.floor((timeMs + zoneMinutes * 60_000) / DAY_MS) * DAY_MS;
    return when === "before" ? day < dayMs : when === "on" ? day === dayMs : day >= dayMs;
  };
}

/** Whether a message carries a flag or keyword: names are compared once for each combination of them. */
function flagTest(name: string): (message: Message) => boolean {
  const wanted = name.toLowerCase();
  let knownState: Message["state"] | undefined;
  let verdicts = new Map<number, boolean>();
  return ({ state, row }) => {
    if (knownState !== state) verdicts = new Map();
    knownState = state;
    const number = state.flagsNumber(row);
    const known = verdicts.get(number);
    if (known !== undefined) return known;
    const verdict = state.flagNames(row).some((flag) => flag.toLowerCase() === wanted);
    verdicts.set(number, verdict);
    return verdict;
  };
}

function headerTest(field: string, text: string): Test {
  return (_message, header) => {
    if (!header) return undefined;
    return header.values(field).some((value) => text === "" || fold(decodeWords(value)).includes(text));
  };
}

function textTest(text: string, headers: boolean): Test {
  return (_message, header, body) => {
    if (text === "") return true;
    if (headers && header && fold(decodeWords(headerText(header))).includes(text)) return true;
    return body === undefined ? undefined : body.includes(text);
  };
}

function headerText(header: HeaderBlock): string {
  return header
    .fields()
    .map(({ name, value }) => `${name}: ${value}`)
    .join("\n");
}

const NOT_ASCII = /[^\x00-\x7f]/;

/** Case and compatibility forms don't count, nor do accents' ways of being written: i;unicode-casemap in spirit. */
function fold(text: string): string {
  return NOT_ASCII.test(text) ? text.normalize("NFKC").toLowerCase() : text.toLowerCase();
}

/** The text of all text parts, decoded. */
async function bodyText(body: Body, summary: Summary): Promise<string> {
  const structure = parseStructured(asciiText(summary.bodyStructure));
  const texts: string[] = [];
  for (const { offsets, part } of textParts(decodeOffsets(summary.offsets), structure)) {
    const decoder = createTransferDecoder(part.encoding);
    const pieces: Uint8Array[] = [];
    const end = Math.min(offsets.bodyEnd, offsets.bodyStart + SEARCHED_BYTES_MAX);
    for await (const bytes of body.read(offsets.bodyStart, end)) pieces.push(decoder.push(bytes).slice());
    pieces.push(decoder.end());
    texts.push(decodeCharset(Buffer.concat(pieces), part.charset).text);
  }
  return fold(texts.join("\n"));
}

interface TextPart {
  readonly encoding: string;
  readonly charset: string;
}

/** Text parts with where they lie: BODYSTRUCTURE says what, the offsets say where, both in the same order. */
function* textParts(offsets: PartOffsets, structure: Structured): Generator<{ offsets: PartOffsets; part: TextPart }> {
  if (!Array.isArray(structure)) return;
  const items = structure as readonly Structured[];
  if (offsets.kind === "multipart") {
    for (const [index, child] of offsets.children.entries()) yield* textParts(child, items[index]);
  } else if (offsets.kind === "message") {
    const [child] = offsets.children;
    if (child) yield* textParts(child, items[8]);
  } else if (items[0] === "text") {
    const parameters = (Array.isArray(items[2]) ? items[2] : []) as readonly Structured[];
    const at = parameters.indexOf("charset");
    const charset = String(at >= 0 ? parameters[at + 1] : "utf-8");
    yield {
      offsets,
      part: { encoding: String(items[5]), charset: charset.toLowerCase() === "us-ascii" ? "utf-8" : charset },
    };
  }
}
