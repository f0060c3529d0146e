import { type Condition, parseMailboxId, type ReadState } from "@restante/engine";
import { invalidArguments, MethodError } from "../core/errors.ts";
import { type FilterWords, readCondition, readFilter } from "../core/filter.ts";
import { FILTER_TEXT_CHARS_MAX, FILTER_WORDS_MAX } from "../core/limits.ts";
import { type Context, resolveId } from "../core/method.ts";
import { BOOLEAN, list, TEXT, type Type, UNSIGNED, UTC_DATE } from "../core/types.ts";
import { flagOf } from "./keywords.ts";

const ALL: Condition = { kind: "all" };
const NONE: Condition = { kind: "not", of: ALL };

/** A filter of emails as the engine's condition: RFC 8621 §4.4.1. Throws MethodError: `unsupportedFilter`,
 * `invalidArguments`. */
export function emailCondition(
  filter: Readonly<Record<string, unknown>> | undefined,
  state: ReadState,
  context: Pick<Context, "createdIds">,
): Condition {
  if (filter === undefined) return ALL;
  const budget = { words: FILTER_WORDS_MAX };
  const given = { state, context, budget };
  const words: FilterWords<Condition> = {
    condition: (of) => and(Object.entries(of).map(([name, value]) => conditionOf(name, value, given))),
    all: and,
    any: (of) => (of.length === 0 ? NONE : of.length === 1 ? of[0]! : { kind: "or", of }),
    none: (of) => ({ kind: "not", of: of.length === 0 ? NONE : { kind: "or", of } }),
  };
  return readFilter(filter, words);
}

function and(of: readonly Condition[]): Condition {
  return of.length === 0 ? ALL : of.length === 1 ? of[0]! : { kind: "and", of };
}

function not(of: Condition): Condition {
  return { kind: "not", of };
}

interface Reading {
  readonly state: ReadState;
  readonly context: Pick<Context, "createdIds">;
  /** How many more words the whole filter may look for. */
  readonly budget: { words: number };
}

function conditionOf(name: string, value: unknown, { state, context, budget }: Reading): Condition {
  const read = <T>(type: Type<T>): T => readCondition(name, value, type);
  switch (name) {
    case "inMailbox":
      return inMailbox(resolveId(read(TEXT), context));
    case "inMailboxOtherThan": {
      const named = new Set(read(list(TEXT)).map((id) => parseMailboxId(resolveId(id, context))));
      const others = state.liveMailboxes().filter(({ id }) => !named.has(id));
      return others.length === 0
        ? NONE
        : { kind: "or", of: others.map(({ id }) => ({ kind: "mailbox", mailbox: id })) };
    }
    case "before":
      return { kind: "date", of: "received", isLocal: false, before: read(UTC_DATE) };
    case "after":
      return { kind: "date", of: "received", isLocal: false, from: read(UTC_DATE) };
    case "minSize":
      return { kind: "size", from: read(UNSIGNED) };
    case "maxSize":
      return { kind: "size", before: read(UNSIGNED) };
    case "allInThreadHaveKeyword":
      return { kind: "thread-keyword", keyword: readFlag(read(TEXT)), by: "all" };
    case "someInThreadHaveKeyword":
      return { kind: "thread-keyword", keyword: readFlag(read(TEXT)), by: "some" };
    case "noneInThreadHaveKeyword":
      return not({ kind: "thread-keyword", keyword: readFlag(read(TEXT)), by: "some" });
    case "hasKeyword":
      return { kind: "keyword", keyword: readFlag(read(TEXT)) };
    case "notKeyword":
      return not({ kind: "keyword", keyword: readFlag(read(TEXT)) });
    case "hasAttachment":
      return read(BOOLEAN) ? { kind: "attachment" } : not({ kind: "attachment" });
    case "text":
    case "from":
    case "to":
    case "cc":
    case "bcc":
    case "subject":
    case "body":
      return and(wordsOf(read(TEXT), budget).map((text) => ({ kind: name, text })));
    case "header":
      return headerCondition(read(list(TEXT)));
    default:
      throw new MethodError("unsupportedFilter", "the filter has a condition that is not known here");
  }
}

function inMailbox(id: string): Condition {
  const mailbox = parseMailboxId(id);
  return mailbox === undefined ? NONE : { kind: "mailbox", mailbox };
}

function headerCondition([field, text, ...more]: readonly string[]): Condition {
  if (field === undefined || more.length > 0 || !/^[!-9;-~]{1,100}$/.test(field))
    throw invalidArguments("the filter's header is no name of a field, with a text or without");
  checkLength(text ?? "");
  return { kind: "header", field: field.toLowerCase(), text: text ?? "" };
}

/** A keyword that nothing can have is still one that may be asked for. */
function readFlag(keyword: string): string {
  return flagOf(keyword) ?? keyword.toLowerCase();
}

function checkLength(text: string): void {
  if (text.length > FILTER_TEXT_CHARS_MAX) throw new MethodError("unsupportedFilter", "the filter has too long a text");
}

/** Words and quoted phrases of a search text. Each may be found anywhere. Some clients write a star at a word's end: it is
 * cut off, since any word with that beginning is found anyway. Throws MethodError `unsupportedFilter` for more of them than are left, and
 * for too long a text. */
function wordsOf(text: string, budget: Reading["budget"]): readonly string[] {
  checkLength(text);
  const words: string[] = [];
  for (const [, phrase, word = ""] of text.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/gsu)) {
    if (--budget.words < 0) throw new MethodError("unsupportedFilter", "the filter has too many words");
    const one = phrase === undefined ? word.replace(/\*+$/, "") : phrase.replaceAll(/\\(.)/gsu, "$1");
    if (one !== "") words.push(one);
  }
  return words;
}
