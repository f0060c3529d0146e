import type { Condition } from "@restante/engine";
import { QUERY_CHARS_MAX, QUERY_TERMS_MAX } from "../limits.ts";
import { readDate } from "../protocol/dates.ts";

/**
 * Words of the Keyword Query Language that phones send (MS-KQL §2.1): words, "phrases", property restrictions, AND, OR, NOT,
 * parentheses. Between two terms nothing is AND, but for two restrictions of one property, which are OR.
 */

/** Reads a query. Undefined where it is longer than is looked at. An operator where none may stand is a word. */
export function readKql(query: string): Condition | undefined {
  if (query.length > QUERY_CHARS_MAX) return undefined;
  const tokens = [...tokensOf(query)];
  if (tokens.length > QUERY_TERMS_MAX) return undefined;
  return new Reader(tokens).read();
}

type Token =
  | { readonly kind: "and" | "or" | "not" | "open" | "close" }
  | { readonly kind: "term"; readonly property: string; readonly relation: string; readonly text: string };

const TOKEN = /\s*(?:([()])|([+-])?(?:([A-Za-z]+)(:|=|<>|<=|>=|<|>))?(?:"([^"]*)"?|([^\s()"]+)))/y;

function* tokensOf(query: string): Generator<Token> {
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(query); match; match = TOKEN.exec(query)) {
    const [, bracket, sign, property = "", relation = "", phrase, word = ""] = match;
    if (bracket) yield { kind: bracket === "(" ? "open" : "close" };
    else if (phrase === undefined && property === "" && sign === undefined && OPERATORS[word])
      yield { kind: OPERATORS[word] };
    else {
      if (sign === "-") yield { kind: "not" };
      const text = phrase ?? word;
      if (property !== "" && !PROPERTIES[property.toLowerCase()])
        yield { kind: "term", property: "", relation: "", text: `${property}${relation}${text}` };
      else yield { kind: "term", property: property.toLowerCase(), relation, text };
    }
  }
}

const OPERATORS: Readonly<Record<string, "and" | "or" | "not">> = { AND: "and", OR: "or", NOT: "not" };

const ALL: Condition = { kind: "all" };
const NONE: Condition = { kind: "not", of: ALL };
const DAY_MS = 86_400_000;

type Property = (text: string, relation: string) => Condition;

const dates: Property = (text, relation) => {
  const span = spanOf(text);
  if (!span) return NONE;
  const { from, before } = span;
  const of = { kind: "date", of: "received", isLocal: false } as const;
  switch (relation) {
    case "<":
      return { ...of, before: from };
    case "<=":
      return { ...of, before };
    case ">":
      return { ...of, from: before };
    case ">=":
      return { ...of, from };
    default:
      return { ...of, from, before };
  }
};

const PROPERTIES: Readonly<Record<string, Property>> = {
  subject: (text) => ({ kind: "subject", text }),
  from: (text) => ({ kind: "from", text }),
  to: (text) => ({ kind: "to", text }),
  cc: (text) => ({ kind: "cc", text }),
  bcc: (text) => ({ kind: "bcc", text }),
  participants: anyone,
  recipients: (text) => ({
    kind: "or",
    of: [
      { kind: "to", text },
      { kind: "cc", text },
      { kind: "bcc", text },
    ],
  }),
  body: (text) => ({ kind: "body", text }),
  received: dates,
  sent: (text, relation) => ({ ...(dates(text, relation) as Condition & { kind: "date" }), of: "sent" }) as Condition,
  hasattachment: (text) => unless(isYes(text), { kind: "attachment" }),
  hasattachments: (text) => unless(isYes(text), { kind: "attachment" }),
  isread: (text) => unless(isYes(text), { kind: "keyword", keyword: "\\Seen" }),
  read: (text) => unless(isYes(text), { kind: "keyword", keyword: "\\Seen" }),
  isflagged: (text) => unless(isYes(text), { kind: "keyword", keyword: "\\Flagged" }),
  kind: (text) => (/^(?:email|emails|mail)$/i.test(text) ? ALL : NONE),
};

function anyone(text: string): Condition {
  return {
    kind: "or",
    of: [
      { kind: "from", text },
      { kind: "to", text },
      { kind: "cc", text },
      { kind: "bcc", text },
    ],
  };
}

function isYes(text: string): boolean {
  return /^(?:true|yes|1)$/i.test(text);
}

function unless(isWanted: boolean, condition: Condition): Condition {
  return isWanted ? condition : { kind: "not", of: condition };
}

/** A day, or a moment. */
function spanOf(text: string): { readonly from: number; readonly before: number } | undefined {
  const [, year, month, day] = /^(\d{4})[-/](\d{1,2})[-/](\d{1,2})$/.exec(text.trim()) ?? [];
  if (year !== undefined) {
    const from = readDate(`${year}-${month!.padStart(2, "0")}-${day!.padStart(2, "0")}T00:00:00Z`);
    return from === undefined ? undefined : { from, before: from + DAY_MS };
  }
  const at = readDate(text);
  return at === undefined ? undefined : { from: at, before: at + 1000 };
}

/** A word or phrase: in the text, in the header, or in the name of a file. */
export function anywhere(text: string): Condition {
  return text === "" ? ALL : { kind: "text", text };
}

/** No calls of itself: brackets are a stack. */
class Reader {
  readonly #tokens: readonly Token[];

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  read(): Condition {
    const stack: Level[] = [new Level()];
    for (const token of this.#tokens) {
      const top = stack.at(-1)!;
      switch (token.kind) {
        case "open":
          stack.push(new Level());
          break;
        case "close":
          if (stack.length === 1) break;
          stack.pop();
          stack.at(-1)!.add(top.condition, "");
          break;
        case "and":
          break;
        case "or":
          top.or();
          break;
        case "not":
          top.not();
          break;
        case "term":
          top.add(conditionOf(token), token.property);
      }
    }
    // Brackets that nobody closed end with the query.
    for (let last = stack.pop()!; ; ) {
      const outer = stack.pop();
      if (!outer) return last.condition;
      outer.add(last.condition, "");
      last = outer;
    }
  }
}

function conditionOf({ property, relation, text }: Token & { kind: "term" }): Condition {
  const read = PROPERTIES[property];
  if (!read) return anywhere(text.replace(/\*$/, ""));
  const condition = read(text.replace(/\*$/, ""), relation);
  return relation === "<>" ? { kind: "not", of: condition } : condition;
}

/** Terms between two parentheses: conditions that all hold, or sets of conditions one of which does. */
class Level {
  readonly #any: Condition[] = [];
  #all: { condition: Condition; readonly property: string }[] = [];
  #isNot = false;
  #isOr = false;

  or(): void {
    this.#isOr = this.#all.length > 0;
  }

  not(): void {
    this.#isNot = !this.#isNot;
  }

  add(condition: Condition, property: string): void {
    const own: Condition = this.#isNot ? { kind: "not", of: condition } : condition;
    const isNot = this.#isNot;
    this.#isNot = false;
    if (this.#isOr) {
      this.#any.push(this.#joined());
      this.#all = [];
      this.#isOr = false;
    }
    // Two of one property are either.
    const same =
      isNot || property === "" ? undefined : this.#all.find((one) => one.property === property && TEXTS.has(property));
    if (same) same.condition = { kind: "or", of: [same.condition, own] };
    else this.#all.push({ condition: own, property: isNot ? "" : property });
  }

  get condition(): Condition {
    const last = this.#joined();
    return this.#any.length === 0 ? last : { kind: "or", of: [...this.#any, last] };
  }

  #joined(): Condition {
    const all = this.#all.map(({ condition }) => condition);
    return all.length === 1 ? all[0]! : all.length === 0 ? ALL : { kind: "and", of: all };
  }
}

const TEXTS: ReadonlySet<string> = new Set(["subject", "from", "to", "cc", "bcc", "participants", "recipients"]);
