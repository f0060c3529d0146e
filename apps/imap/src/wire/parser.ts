import { LIST_ITEMS_MAX, NESTING_MAX } from "../limits.ts";
import type { CommandText } from "./command-reader.ts";

/** The client's mistake: answered BAD with this text, and the connection lives on. */
export class ImapSyntaxError extends Error {
  /** A response code that says more. */
  readonly code: string | undefined;

  constructor(message: string, code?: string) {
    super(message);
    this.name = "ImapSyntaxError";
    this.code = code;
  }
}

const SP = 0x20;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = 0x28;
const CLOSE = 0x29;
const BRACE = 0x7b;
const TILDE = 0x7e;

/** CHAR classes of RFC 9051 §9 in one table: 1 atom-char, 2 `]` (astring-char, but no atom-char), 4 list wildcards. */
const CLASS: Uint8Array = new Uint8Array(256);
for (let char = 0x21; char < 0x7f; char++) CLASS[char] = 1;
for (const char of '(){"\\') CLASS[char.charCodeAt(0)] = 0;
for (const char of "%*") CLASS[char.charCodeAt(0)] = 4;
CLASS[0x5d] = 2;

const latin1 = new TextDecoder("latin1");
const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * A cursor over one command. Each method reads one rule of RFC 9051 §9 and throws ImapSyntaxError when something else
 * stands there. Text comes out as it is written: ASCII, or UTF-8 where a rule allows it.
 */
export class Parser {
  readonly #text: CommandText;
  #line = 0;
  #at = 0;
  #depth = 0;

  constructor(text: CommandText) {
    this.#text = text;
  }

  #bytes(): Uint8Array {
    return this.#text.lines[this.#line] ?? EMPTY;
  }

  /** The next byte, or -1 at the end of its line. */
  peek(): number {
    return this.#bytes()[this.#at] ?? -1;
  }

  /** True behind the last octet of the command. */
  get atEnd(): boolean {
    return this.#at >= this.#bytes().length && this.#line >= this.#text.lines.length - 1;
  }

  end(): void {
    if (!this.atEnd) throw new ImapSyntaxError("Unexpected text at the end of the command");
  }

  space(): void {
    if (this.peek() !== SP) throw new ImapSyntaxError("Space expected");
    this.#at++;
  }

  trySpace(): boolean {
    if (this.peek() !== SP) return false;
    this.#at++;
    return true;
  }

  char(char: string): void {
    if (!this.tryChar(char)) throw new ImapSyntaxError(`"${char}" expected`);
  }

  tryChar(char: string): boolean {
    if (this.peek() !== char.charCodeAt(0)) return false;
    this.#at++;
    return true;
  }

  #while(mask: number, what: string): string {
    const bytes = this.#bytes();
    const start = this.#at;
    while (this.#at < bytes.length && (CLASS[bytes[this.#at]!]! & mask) !== 0) this.#at++;
    if (this.#at === start) throw new ImapSyntaxError(`${what} expected`);
    return latin1.decode(bytes.subarray(start, this.#at));
  }

  /** `tag`: astring-chars but "+". */
  tag(): string {
    const tag = this.#while(3, "Tag");
    if (tag.includes("+")) throw new ImapSyntaxError("Tag expected");
    return tag;
  }

  atom(): string {
    return this.#while(1, "Atom");
  }

  /** An atom in upper case: command names, item names, keys. */
  keyword(): string {
    return this.atom().toUpperCase();
  }

  number(): number {
    const value = this.number64();
    if (value > 0xffffffff) throw new ImapSyntaxError("Number too large");
    return Number(value);
  }

  nonZero(): number {
    const value = this.number();
    if (value === 0) throw new ImapSyntaxError("Number must not be 0");
    return value;
  }

  /** A number of 63 bits, cut to 2^53 - 1, above which no counter of ours goes. */
  number64(): number {
    const bytes = this.#bytes();
    const start = this.#at;
    while (this.#at < bytes.length && bytes[this.#at]! >= 0x30 && bytes[this.#at]! <= 0x39) this.#at++;
    if (this.#at === start || this.#at - start > 20) throw new ImapSyntaxError("Number expected");
    return Math.min(Number(latin1.decode(bytes.subarray(start, this.#at))), Number.MAX_SAFE_INTEGER);
  }

  /** `string`: quoted or literal, as bytes. */
  stringBytes(): Uint8Array {
    const bytes = this.#bytes();
    if (bytes[this.#at] === QUOTE) return this.#quoted(bytes);
    if (this.atString && this.#line < this.#text.literals.length) return this.#literal(bytes);
    throw new ImapSyntaxError("String expected");
  }

  #quoted(bytes: Uint8Array): Uint8Array {
    const out: number[] = [];
    for (let at = this.#at + 1; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (byte === QUOTE) {
        this.#at = at + 1;
        return Uint8Array.from(out);
      }
      if (byte === BACKSLASH) {
        const next = bytes[++at];
        if (next !== QUOTE && next !== BACKSLASH) throw new ImapSyntaxError("Bad escape in quoted string");
        out.push(next);
      } else if (byte === 0 || byte === 0x0d) throw new ImapSyntaxError("Bad character in quoted string");
      else out.push(byte);
    }
    throw new ImapSyntaxError("Quoted string does not end");
  }

  /** The literal must be what the line ends with. */
  #literal(bytes: Uint8Array): Uint8Array {
    const head = latin1.decode(bytes.subarray(this.#at));
    if (!/^~?\{\d+\+?\}$/.test(head)) throw new ImapSyntaxError("Literal expected");
    const literal = this.#text.literals[this.#line];
    this.#line++;
    this.#at = 0;
    return literal ?? EMPTY;
  }

  /** `string` as text; throws on bytes that are no UTF-8. */
  string(): string {
    return decodeUtf8(this.stringBytes());
  }

  /** True before a quoted string or a literal. */
  get atString(): boolean {
    const byte = this.peek();
    return byte === QUOTE || byte === BRACE || (byte === TILDE && this.#bytes()[this.#at + 1] === BRACE);
  }

  astringBytes(): Uint8Array {
    if (this.atString) return this.stringBytes();
    return new TextEncoder().encode(this.#while(3, "String"));
  }

  astring(): string {
    return this.atString ? this.string() : this.#while(3, "String");
  }

  /** `list-mailbox`: wildcards allowed outside quotes. */
  listMailbox(): string {
    return this.atString ? this.string() : this.#while(7, "Mailbox pattern");
  }

  nstring(): string | undefined {
    if (this.atString) return this.string();
    if (this.keyword() !== "NIL") throw new ImapSyntaxError("String or NIL expected");
    return undefined;
  }

  /** `flag`: an atom or a backslash and one. */
  flag(): string {
    return this.tryChar("\\") ? `\\${this.atom()}` : this.atom();
  }

  /** `sequence-set` as text of its own characters; `SequenceSet.parse` reads it. */
  setText(): string {
    const bytes = this.#bytes();
    const start = this.#at;
    for (; this.#at < bytes.length; this.#at++) {
      const byte = bytes[this.#at]!;
      const inSet = (byte >= 0x30 && byte <= 0x3a) || byte === 0x2c || byte === 0x2a || byte === 0x24;
      if (!inSet) break;
    }
    if (this.#at === start) throw new ImapSyntaxError("Message set expected");
    return latin1.decode(bytes.subarray(start, this.#at));
  }

  /** `( … )`: items by `read`, single spaces between, no more than `max`. An empty list only if `empty`. */
  list<T>(read: () => T, options: { readonly empty?: boolean; readonly max?: number } = {}): T[] {
    const { max = LIST_ITEMS_MAX } = options;
    this.char("(");
    this.enter();
    const items: T[] = [];
    if (options.empty && this.tryChar(")")) {
      this.leave();
      return items;
    }
    do {
      if (items.length >= max) throw new ImapSyntaxError("List too long");
      items.push(read());
    } while (this.trySpace());
    this.char(")");
    this.leave();
    return items;
  }

  get atOpen(): boolean {
    return this.peek() === OPEN;
  }

  get atClose(): boolean {
    return this.peek() === CLOSE;
  }

  /** Counts a level of nesting; `leave` ends it. */
  enter(): void {
    if (++this.#depth > NESTING_MAX) throw new ImapSyntaxError("Nested too deeply");
  }

  leave(): void {
    this.#depth--;
  }

  /** The rest of the line from here, at most `bytesMax` of it, for those who look for words themselves; the cursor
   * stays. A list's items ask each: without a limit a long line would be read again for each of them. */
  rest(bytesMax: number = Number.POSITIVE_INFINITY): string {
    return latin1.decode(this.#bytes().subarray(this.#at, this.#at + bytesMax));
  }

  /** Moves on by `count` bytes of this line. */
  skip(count: number): void {
    this.#at += count;
  }
}

const EMPTY = new Uint8Array(0);

export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new ImapSyntaxError("Text is not UTF-8");
  }
}
