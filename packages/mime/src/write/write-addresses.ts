import { type FoldedLine, type HeaderStyle, utf8Length } from "./folded-line.ts";
import { oneLine } from "./write-text.ts";

/** A mailbox to be written, in Unicode: RFC 8621 §4.1.2.3. */
export interface NewMailbox {
  readonly name?: string | undefined;
  /** `addr-spec`; its local part may be quoted. */
  readonly email: string;
}

/** A group; with no name its mailboxes stand for themselves: RFC 8621 §4.1.2.4. */
export interface NewGroup {
  readonly name: string | undefined;
  readonly addresses: readonly NewMailbox[];
}

/** Octets of an address: RFC 5321 §4.5.3.1 has 64, "@" and 255; quotes and escapes come on top. */
const ADDRESS_BYTES_MAX = 500;
const ATEXT = "A-Za-z0-9!#$%&'*+\\-/=?^_`{|}~";
const ATOMS = new RegExp(`^[${ATEXT}]+(?: [${ATEXT}]+)*$`);
const DOT_ATOM = new RegExp(`^[${ATEXT}]+(?:\\.[${ATEXT}]+)*$`);
const UTF8_DOT_ATOM = new RegExp(`^[${ATEXT}\\x80-\\u{10ffff}]+(?:\\.[${ATEXT}\\x80-\\u{10ffff}]+)*$`, "u");
const DOMAIN_LITERAL = /^\[[\x21-\x5a\x5e-\x7e]*\]$/;
/** Octets of a quoted name: longer ones are encoded, so that they can be folded. */
const QUOTED_BYTES_MAX = 60;

/** Mailboxes and groups, with commas between: RFC 5322 §3.4. Throws RangeError for what is no address, and for one that
 * needs SMTPUTF8 where that is not wanted. */
export function writeAddresses(line: FoldedLine, groups: readonly NewGroup[], style: HeaderStyle): void {
  let isFirst = true;
  for (const { name, addresses } of groups) {
    if (name === undefined && addresses.length === 0) continue;
    if (!isFirst) line.close(",");
    isFirst = false;
    if (name !== undefined) {
      // A space stands between an encoded-word and a sign: RFC 2047 §5 (3).
      if (writePhrase(line, name, style)) line.piece(":");
      else line.close(":");
    }
    for (const [index, mailbox] of addresses.entries()) {
      if (index > 0) line.close(",");
      writeMailbox(line, mailbox, style);
    }
    if (name !== undefined) line.close(";");
  }
}

function writeMailbox(line: FoldedLine, { name, email }: NewMailbox, style: HeaderStyle): void {
  if (style.draft && !isAddress(email, style)) {
    writeDraft(line, { name, email }, style);
    return;
  }
  const address = formatAddrSpec(email, style);
  if (name === undefined || oneLine(name).trim() === "") {
    line.piece(address);
    return;
  }
  writePhrase(line, name, style);
  line.piece(`<${address}>`);
}

function isAddress(email: string, style: HeaderStyle): boolean {
  try {
    formatAddrSpec(email, style);
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** In angles, where readers take quotes and encoded-words for what they say. */
function writeDraft(line: FoldedLine, { name, email }: NewMailbox, style: HeaderStyle): void {
  if (name !== undefined && oneLine(name).trim() !== "") writePhrase(line, name, style);
  const text = oneLine(email);
  if (text === "") line.piece("<>");
  else if (/^[\x20-\x7e]*$/.test(text) && !text.includes("=?") && text.length <= QUOTED_BYTES_MAX)
    line.piece(`<"${text.replace(/["\\]/g, "\\$&")}">`);
  else {
    line.piece("<");
    line.encoded(text);
    line.piece(">");
  }
}

/** Words, a quoted string, or encoded-words, whichever says the name as it is. Returns whether it is encoded. */
function writePhrase(line: FoldedLine, name: string, { utf8 }: HeaderStyle): boolean {
  const text = oneLine(name).trim();
  const isPlain = !text.includes("=?") && (utf8 || /^[\x20-\x7e]*$/.test(text));
  if (!isPlain || utf8Length(text) > QUOTED_BYTES_MAX) {
    line.encoded(text);
    return true;
  }
  if (ATOMS.test(text)) for (const word of text.split(" ")) line.piece(word);
  else line.piece(`"${text.replace(/["\\]/g, "\\$&")}"`);
  return false;
}

/** `local@domain` as it is written: RFC 5322 §3.4.1, RFC 6532 §3.2. Throws RangeError. */
export function formatAddrSpec(email: string, { utf8 }: HeaderStyle): string {
  const at = email.lastIndexOf("@");
  if (at <= 0 || email.length > ADDRESS_BYTES_MAX || /[\x00-\x1f\x7f]/.test(email) || !email.isWellFormed())
    throw new RangeError("not an address");
  const local = formatLocal(email.slice(0, at), utf8);
  const spec = `${local}@${formatDomain(email.slice(at + 1), utf8)}`;
  if (utf8Length(spec) > ADDRESS_BYTES_MAX) throw new RangeError("an address is too long");
  return spec;
}

/** A local part that is no word is quoted; spaces are meant only where it was quoted before. */
function formatLocal(local: string, utf8: boolean): string {
  if (!utf8 && /[^\x00-\x7f]/.test(local)) throw new RangeError("an address needs SMTPUTF8");
  if (QUOTED.test(local) || (utf8 ? UTF8_DOT_ATOM : DOT_ATOM).test(local)) return local;
  if (/\s/.test(local)) throw new RangeError("not an address");
  return `"${local.replace(/["\\]/g, "\\$&")}"`;
}

const QUOTED = /^"(?:[^"\\]|\\.)*"$/u;

/** A domain as DNS has it, unless it may stay Unicode: RFC 5890 §2.3.2.1. */
function formatDomain(domain: string, utf8: boolean): string {
  if (DOT_ATOM.test(domain) || DOMAIN_LITERAL.test(domain) || (utf8 && UTF8_DOT_ATOM.test(domain))) return domain;
  const url = `http://${domain}`;
  // Nothing but letters, digits and hyphens: other signs mean something in a URL.
  const ascii = /^[A-Za-z0-9\-.\x80-\u{10ffff}]+$/u.test(domain) && URL.canParse(url) ? new URL(url).hostname : "";
  if (!DOT_ATOM.test(ascii) || /^[\d.]*$/.test(ascii)) throw new RangeError("not a domain");
  return ascii;
}
