/** Values into the wire's words: RFC 9051 §9. */

const QUOTABLE = /^[\x20-\x7e]*$/;
const ATOM = /^[^\x00-\x20(){%*"\\\]\x7f-\uffff]+$/;
/** A quoted string longer than this is sent as a literal: some clients read lines into small buffers. */
const QUOTED_CHARS_MAX = 1000;

/** A `string` of ASCII text (or UTF-8 text, as a literal). */
export function formatString(text: string): string {
  if (QUOTABLE.test(text) && text.length <= QUOTED_CHARS_MAX) return `"${text.replace(/["\\]/g, "\\$&")}"`;
  const bytes = new TextEncoder().encode(text);
  return `{${bytes.length}}\r\n${String.fromCharCode(...bytes)}`;
}

/** A `string` of octets; `literal8` where they hold a NUL: RFC 3516 §4.4. */
export function formatOctets(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString("latin1");
  if (QUOTABLE.test(text) && text.length <= QUOTED_CHARS_MAX) return formatString(text);
  return `${text.includes("\0") ? "~" : ""}{${bytes.length}}\r\n${text}`;
}

/** A `string` of text that may be UTF-8 in quotes, one character an octet: RFC 9051 §4.3. */
export function formatUtf8(text: string): string {
  if (QUOTABLE.test(text) || /[\0\r\n]/.test(text) || text.length > QUOTED_CHARS_MAX) return formatAstring(text);
  return `"${Buffer.from(text.replace(/["\\]/g, "\\$&")).toString("latin1")}"`;
}

/** An `astring`: bare where it may be. */
export function formatAstring(text: string): string {
  return ATOM.test(text) && text.toUpperCase() !== "NIL" ? text : formatString(text);
}

/** An engine error's message, with a capital letter. */
export function asSentence(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
