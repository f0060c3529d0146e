/**
 * A dialogue as an operator may read it: what a command and an answer are, and nothing of what they hold. Of quoted strings and
 * literals (RFC 9051 §4.3) the size stays; so it is with what SEARCH looks for and with all that signs in.
 */
import type { CommandText } from "./command-reader.ts";

/** Characters of one line that are told. */
const LINE_CHARS_MAX = 500;

/** Of a tag (RFC 9051 §2.2.1). A client that says its password where a tag belongs says twelve characters at least. */
const TAG_CHARS_MAX = 11;

/** A line that a client sent, with its literals' sizes in place; of what is no command the size alone, since it may be a secret in a
 * wrong place. `isKnown`: whether there is a command of this name, in capitals. */
export function redactCommand({ lines, literals }: CommandText, isKnown: (name: string) => boolean): string {
  const text = lines
    .map(
      (line, at) =>
        redactQuoted(Buffer.from(line).toString("latin1")) + (literals[at] ? ` [${literals[at].length} octets]` : ""),
    )
    .join("");
  const [, first = text, uid = "", name = "", rest = ""] = /^(\S+) (UID )?(\S+)(.*)$/is.exec(text) ?? [];
  const tag = redactTag(first);
  if (!isKnown(name.toUpperCase())) return `${tag} [${text.length} characters]`;
  if (/^(?:LOGIN|AUTHENTICATE)$/i.test(name)) return `${tag} ${name} [redacted]`;
  const isSearch = /^(?:E?SEARCH|SORT|THREAD)$/i.test(name);
  return shortened(`${tag} ${uid}${name}${isSearch ? redactSearch(rest) : rest}`);
}

function redactTag(tag: string): string {
  return tag.length > TAG_CHARS_MAX ? `[${tag.length}]` : tag;
}

/** Keys whose next word is a text (RFC 9051 §6.4.4), unless its size is told already. */
const SEARCHED = /\b(BCC|BODY|CC|FROM|SUBJECT|TEXT|TO|HEADER [^\s]+) (?!"\[\d+\]"|\[\d+ octets\])[^\s()]+/gi;

function redactSearch(text: string): string {
  return text.replaceAll(SEARCHED, (_, key: string) => `${key} [redacted]`);
}

function redactQuoted(text: string): string {
  // A quotation that does not end is no quotation, and told no more.
  return text
    .replaceAll(/"((?:[^"\\]|\\.)*)"/g, (_, inside: string) => `"[${inside.length}]"`)
    .replace(/"(?!\[\d+\]")(?<!"\[\d+\]").*$/, "[redacted]");
}

function shortened(text: string): string {
  return text.length > LINE_CHARS_MAX ? `${text.slice(0, LINE_CHARS_MAX)} [${text.length} characters]` : text;
}

/** The server's side: lines out of bytes as they leave, in whatever pieces. */
export class AnswerRedactor {
  readonly #onLine: (line: string) => void;
  #line = "";
  /** Octets inside quotation marks; undefined outside of them. */
  #quoted: number | undefined;
  #escaped = false;
  /** Octets of a literal that are still to come. */
  #skipped = 0;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at++) {
      if (this.#skipped > 0) {
        const skipped = Math.min(this.#skipped, bytes.length - at);
        this.#skipped -= skipped;
        at += skipped - 1;
      } else this.#take(String.fromCharCode(bytes[at]!));
    }
  }

  #take(character: string): void {
    if (character === "\n") this.#endLine();
    else if (this.#quoted !== undefined) this.#takeQuoted(character);
    else if (character === '"') this.#quoted = 0;
    else if (character !== "\r" && this.#line.length < LINE_CHARS_MAX * 2) this.#line += character;
  }

  #takeQuoted(character: string): void {
    if (character === '"' && !this.#escaped) {
      this.#line += `"[${this.#quoted}]"`;
      this.#quoted = undefined;
      return;
    }
    this.#escaped = character === "\\" && !this.#escaped;
    this.#quoted!++;
  }

  #endLine(): void {
    // No quoted string goes over a line's end.
    this.#quoted = undefined;
    this.#escaped = false;
    const size = /\{(\d+)\}$/.exec(this.#line)?.[1];
    if (size === undefined) {
      this.#onLine(shortened(this.#line.replace(/^\S+/, redactTag)));
      this.#line = "";
      return;
    }
    this.#skipped = Number(size);
    this.#line = `${this.#line.slice(0, -size.length - 2)}[${size} octets]`;
  }
}
