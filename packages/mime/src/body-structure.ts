/** Reads BODYSTRUCTURE back: a list of strings, numbers, NIL and lists. */
export type Structured = string | number | undefined | readonly Structured[];

const WORD = /[^ ()"]+/y;
const PLAIN = /[^"\\]*/y;

/** Throws RangeError on text that `formatBodyStructure` does not make. */
export function parseStructured(text: string): Structured {
  let at = 0;
  function value(): Structured {
    const char = text[at];
    if (char === "(") return list();
    if (char === '"') return quoted();
    WORD.lastIndex = at;
    const match = WORD.exec(text)?.[0];
    if (match === undefined) throw new RangeError("not a structure");
    at += match.length;
    return match === "NIL" ? undefined : Number(match);
  }
  function list(): Structured[] {
    const items: Structured[] = [];
    at++;
    while (text[at] !== ")") {
      if (at >= text.length) throw new RangeError("structure ends early");
      if (text[at] === " ") at++;
      else items.push(value());
    }
    at++;
    return items;
  }
  function quoted(): string {
    let out = "";
    for (at++; ; ) {
      PLAIN.lastIndex = at;
      const [plain] = PLAIN.exec(text)!;
      at += plain.length;
      out += plain;
      if (text[at] === '"') break;
      // A backslash and what it stands before.
      if (at + 1 >= text.length) throw new RangeError("structure ends early");
      out += text[at + 1];
      at += 2;
    }
    at++;
    return out;
  }
  const result = value();
  if (at !== text.length) throw new RangeError("text behind the structure");
  return result;
}

/** BODY out of BODYSTRUCTURE for IMAP4rev1: the same without extension data, RFC 3501 §7.4.2. Throws RangeError on text
 * that `formatBodyStructure` does not make. */
export function bodyFromBodyStructure(text: string): string {
  return copied(text, false);
}

const GLOBAL = '"message" "global"';

/** BODYSTRUCTURE for IMAP4rev1, where message/global is no message with an envelope: RFC 3501 §9, media-message. Throws as
 * {@link bodyFromBodyStructure} does. */
export function bodyStructureOfRev1(text: string): string {
  return text.includes(GLOBAL) ? copied(text, true) : text;
}

function copied(text: string, extended: boolean): string {
  const reader = new StructureReader(text, extended);
  const body = reader.part();
  if (reader.at !== text.length) throw new RangeError("text behind the structure");
  return body;
}

/** Values that a part has before its extension data, if it is a message, a text, or something else. */
const MESSAGE_VALUES = 10;
const TEXT_VALUES = 8;
const BASIC_VALUES = 7;
/** Where a message has the structure of what is in it. */
const INNER_VALUE = 8;
const QUOTED = /"[^"\\]*(?:\\[\s\S][^"\\]*)*"/y;
const FLAT = /[^()"]+/y;
/** Parts within one another: more than any scanner told of. */
const STRUCTURE_DEPTH_MAX = 1000;

/** Copies values as they stand, and leaves out what its reader has no place for: nothing is made of them. */
class StructureReader {
  readonly #text: string;
  readonly #extended: boolean;
  at = 0;
  #depth = 0;

  constructor(text: string, extended: boolean) {
    this.#text = text;
    this.#extended = extended;
  }

  part(): string {
    if (++this.#depth > STRUCTURE_DEPTH_MAX) throw new RangeError("structure is too deep");
    this.#open();
    let body = this.#text[this.at] === "(" ? this.#multipart() : this.#single();
    this.#depth--;
    // The rest of the part is extension data.
    while (this.#text[this.at] !== ")") {
      const value = this.#value();
      if (this.#extended) body += ` ${value}`;
    }
    this.at++;
    return `(${body})`;
  }

  #multipart(): string {
    let body = "";
    while (this.#text[this.at] === "(") body += this.part();
    return `${body} ${this.#value()}`;
  }

  #single(): string {
    const isGlobal = this.#text.startsWith(GLOBAL, this.at);
    const type = this.#value();
    let body = type;
    let count = type === '"text"' ? TEXT_VALUES : BASIC_VALUES;
    for (let index = 1; index < count && this.#text[this.at] !== ")"; index++) {
      this.#space();
      const value = index === INNER_VALUE ? this.part() : this.#value();
      if (!isGlobal || index < BASIC_VALUES) body += ` ${value}`;
      if (index === BASIC_VALUES - 1 && type === '"message"' && this.#text[this.at + 1] === "(") count = MESSAGE_VALUES;
    }
    return body;
  }

  #open(): void {
    if (this.#text[this.at] !== "(") throw new RangeError("not a part");
    this.at++;
  }

  #space(): void {
    if (this.#text[this.at] === " ") this.at++;
  }

  /** One value as it stands, behind a space if there is one. */
  #value(): string {
    this.#space();
    const start = this.at;
    if (this.#text[start] === "(") this.#list();
    else this.#pass(this.#text[start] === '"' ? QUOTED : WORD);
    if (this.at === start) throw new RangeError("structure ends early");
    return this.#text.slice(start, this.at);
  }

  #list(): void {
    let depth = 0;
    do {
      const start = this.at;
      const sign = this.#text[start];
      if (sign === "(" || sign === ")") {
        depth += sign === "(" ? 1 : -1;
        this.at++;
      } else this.#pass(sign === '"' ? QUOTED : FLAT);
      if (this.at === start) throw new RangeError("structure ends early");
    } while (depth > 0);
  }

  #pass(pattern: RegExp): void {
    pattern.lastIndex = this.at;
    this.at += pattern.exec(this.#text)?.[0].length ?? 0;
  }
}
