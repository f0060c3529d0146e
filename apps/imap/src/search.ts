import type { AccountSession, Message } from "@restante/engine";
import { decodeWords, type HeaderBlock } from "@restante/mime";
import { BODIES_AHEAD } from "./limits.ts";
import { readAhead } from "./read-ahead.ts";
import { Finder, findInBody, fold, Needle } from "./search-text.ts";
import type { SearchKey } from "./wire/search-keys.ts";
import type { SequenceSet } from "./wire/sequence-set.ts";

/**
 * SEARCH on one message, in four rounds: what the resident state answers, then what some fields of the header answer,
 * then all of the header, then the body. Each round is three-valued: a key that needs more than is at hand is `undefined`,
 * and AND, OR and NOT decide as soon as they can; so no body is opened for what its header, or its flags, tell. Each round
 * looks for all of its texts together, so that each text of a message is made once.
 */
export interface SearchContext {
  readonly mail: AccountSession;
  /** Whether a position is in a set. */
  readonly isIn: (set: SequenceSet, uid: boolean) => (position: number) => boolean;
  readonly isRecent: (position: number) => boolean;
}

const DAY_MS = 86_400_000;
/** Characters that are looked at without a look whether it is the others' turn. */
const QUICK_STEPS = 100_000;

type Verdict = boolean | undefined;
type Test = (message: Message, known?: Known) => Verdict;

/** Texts that were found in a message, as far as was looked. */
interface Known {
  /** By field; "" where there is such a field. */
  readonly fields: ReadonlyMap<string, ReadonlySet<string>>;
  readonly header?: ReadonlySet<string>;
  readonly body?: ReadonlySet<string>;
}

/** Texts that a search looks for. */
interface Wanted {
  readonly fields: ReadonlyMap<string, readonly Needle[]>;
  readonly header: readonly Needle[];
  readonly body: readonly Needle[];
}

/** Finds those of some messages that match, in order. */
export function createSearch(
  key: SearchKey,
  context: SearchContext,
): (messages: readonly Message[]) => Promise<readonly Message[]> {
  const test = compile(key, context);
  const wanted = wantedBy(key);
  return async (messages) => {
    const verdicts: Verdict[] = [];
    const open: number[] = [];
    for (const message of messages) {
      const verdict = test(message);
      if (verdict === undefined) open.push(verdicts.length);
      verdicts.push(verdict);
    }
    if (open.length > 0) await searchOpen(context.mail, test, wanted, messages, verdicts, open);
    return messages.filter((_message, at) => verdicts[at]);
  };
}

/** Decides those at `open`, by their headers or else by their bodies. */
async function searchOpen(
  mail: AccountSession,
  test: Test,
  wanted: Wanted,
  messages: readonly Message[],
  verdicts: Verdict[],
  open: readonly number[],
): Promise<void> {
  const headers = await mail.readHeaders(open.map((at) => messages[at]!));
  const stillOpen: { readonly at: number; readonly message: Message; readonly known: Known }[] = [];
  for (const [index, at] of open.entries()) {
    const message = messages[at]!;
    const header = headers[index]!;
    const small = findInSmallFields(header, wanted.fields);
    let known: Known = { fields: small ?? (await findInFields(header, wanted.fields)) };
    verdicts[at] = test(message, known);
    if (verdicts[at] !== undefined) continue;
    known = { ...known, header: await findInHeader(header, wanted.header) };
    verdicts[at] = test(message, known);
    if (verdicts[at] === undefined) stillOpen.push({ at, message, known });
  }
  if (stillOpen.length === 0) return;
  const summaries = await mail.readSummaries(stillOpen.map(({ message }) => message));
  const bodies = readAhead(stillOpen, BODIES_AHEAD, ({ message }) => mail.openBody(message));
  for (const [index, { at, message, known }] of stillOpen.entries()) {
    const finder = new Finder(wanted.body);
    await findInBody(finder, await bodies(), summaries[index]!);
    verdicts[at] = test(message, { ...known, body: finder.found }) ?? false;
  }
}

/** Most headers are small: what is quick is done at once. */
function findInSmallFields(header: HeaderBlock, fields: Wanted["fields"]): Known["fields"] | undefined {
  const found = new Map<string, ReadonlySet<string>>();
  let work = 0;
  for (const [field, needles] of fields) {
    const values = header.values(field);
    const all = new Set<string>();
    for (const value of values) {
      work += value.length * needles.length;
      if (work > QUICK_STEPS) return undefined;
      all.add("");
      const text = fold(decodeWords(value));
      for (const needle of needles) if (needle.isIn(text)) all.add(needle.text);
    }
    found.set(field, all);
  }
  return found;
}

async function findInFields(header: HeaderBlock, fields: Wanted["fields"]): Promise<Known["fields"]> {
  const found = new Map<string, ReadonlySet<string>>();
  for (const [field, needles] of fields) {
    const values = header.values(field);
    const all = new Set(values.length > 0 ? [""] : []);
    for (const value of values) {
      const finder = new Finder(needles);
      await finder.push(decodeWords(value));
      for (const text of finder.found) all.add(text);
    }
    found.set(field, all);
  }
  return found;
}

async function findInHeader(header: HeaderBlock, needles: readonly Needle[]): Promise<ReadonlySet<string>> {
  const finder = new Finder(needles);
  const lines = needles.length === 0 ? [] : header.fields().map(({ name, value }) => `${name}: ${value}`);
  await finder.push(decodeWords(lines.join("\n")));
  return finder.found;
}

/** The texts of all keys: each once in each place that is looked at. */
function wantedBy(key: SearchKey): Wanted {
  const fields = new Map<string, Map<string, Needle>>();
  const header = new Map<string, Needle>();
  const body = new Map<string, Needle>();
  const add = (to: Map<string, Needle>, text: string): void => {
    const folded = fold(text);
    if (folded !== "" && !to.has(folded)) to.set(folded, new Needle(folded));
  };
  const walk = (inner: SearchKey): void => {
    if (inner.kind === "and" || inner.kind === "or") for (const one of inner.keys) walk(one);
    if (inner.kind === "not") walk(inner.key);
    if (inner.kind === "header") {
      const ofField = fields.get(inner.field) ?? new Map<string, Needle>();
      fields.set(inner.field, ofField);
      add(ofField, inner.text);
    }
    if (inner.kind === "text") add(header, inner.text);
    if (inner.kind === "text" || inner.kind === "body") add(body, inner.text);
  };
  walk(key);
  return {
    fields: new Map([...fields].map(([field, needles]) => [field, [...needles.values()]])),
    header: [...header.values()],
    body: [...body.values()],
  };
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
      const isIn = context.isIn(key.set, key.uid);
      return ({ position }) => isIn(position);
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
  return (message, known) => {
    let verdict: Verdict = true;
    for (const test of tests) {
      const one = test(message, known);
      if (one === false) return false;
      if (one === undefined) verdict = undefined;
    }
    return verdict;
  };
}

function negate(test: Test): Test {
  return (message, known) => {
    const verdict = test(message, known);
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
  return (_message, known) => known?.fields.get(field)?.has(text);
}

function textTest(text: string, headers: boolean): Test {
  return (_message, known) => {
    if (text === "") return true;
    if (headers && known?.header?.has(text)) return true;
    return known?.body?.has(text);
  };
}
