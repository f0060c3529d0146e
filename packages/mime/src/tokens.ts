/** Reading structured fields: RFC 5322 §3.2. Text is binary; nothing throws. */

/** The end of the comment that begins at `at`; comments nest. */
export function commentEnd(text: string, at: number): number {
  let depth = 0;
  for (let i = at; i < text.length; i++) {
    const char = text[i];
    if (char === "\\") i++;
    else if (char === "(") depth++;
    else if (char === ")" && --depth === 0) return i + 1;
  }
  return text.length;
}

/** A quoted string's content and end. One without a closing quote reaches to the text's end. */
export function readQuoted(text: string, at: number): { readonly value: string; readonly end: number } {
  let value = "";
  for (let i = at + 1; i < text.length; i++) {
    const char = text[i]!;
    if (char === '"') return { value, end: i + 1 };
    if (char === "\\" && i + 1 < text.length) value += text[++i];
    else value += char;
  }
  return { value, end: text.length };
}

/** Text without the white space around it. Only ASCII's counts: 0xA0, which `trim` takes away too, ends many a letter. */
export function trimSpace(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

/** Space, and the controls from TAB to CR. */
export function isSpace(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d);
}

/** Passes over white space and comments. */
export function skipSpace(text: string, at: number): number {
  for (;;) {
    const char = text[at];
    if (char === " " || char === "\t" || char === "\r" || char === "\n") at++;
    else if (char === "(") at = commentEnd(text, at);
    else return at;
  }
}
