/** The beginning of a text: so many octets of UTF-8 at most, in whole characters, and of HTML outside of tags (RFC 8621
 * §4.2, maxBodyValueBytes). */
export function cutText(text: string, bytesMax: number, isHtml: boolean): string {
  if (text.length * 3 <= bytesMax) return text;
  const room = new Uint8Array(Math.min(bytesMax, text.length * 3));
  const { read } = new TextEncoder().encodeInto(text, room);
  if (read === text.length) return text;
  const cut = text.slice(0, read);
  return isHtml ? cut.slice(0, openTagOf(cut)) : cut;
}

/** Signs before the end from which on a tag is looked for: where they stand in another's value it is soon seen. */
const SIGNS_BACK = 64;

/** Where the tag or comment begins that the text ends within; its length if it ends in none. Quoted values may hold `>`. */
function openTagOf(html: string): number {
  let from = html.length;
  for (let signs = 0; signs < SIGNS_BACK && from > 0; signs++) {
    const before = html.lastIndexOf("<", from - 1);
    if (before < 0) break;
    from = before;
  }
  for (let at = html.indexOf("<", from); at >= 0; ) {
    // The last "<" may begin a tag.
    if (at === html.length - 1) return at;
    if (!/[A-Za-z/!?]/.test(html[at + 1]!)) {
      at = html.indexOf("<", at + 1);
      continue;
    }
    const end = endOfTag(html, at);
    if (end < 0) return at;
    at = html.indexOf("<", end);
  }
  return html.length;
}

const TAG_SIGN = /[>"']/g;

function endOfTag(html: string, open: number): number {
  if (html.startsWith("<!--", open)) {
    const end = html.indexOf("-->", open + 4);
    return end < 0 ? -1 : end + 3;
  }
  for (let at = open + 1; ; ) {
    TAG_SIGN.lastIndex = at;
    const match = TAG_SIGN.exec(html);
    if (!match) return -1;
    if (match[0] === ">") return match.index + 1;
    at = match.index + 1;
    // A quote begins a value only behind "=".
    if (!/=\s*$/.test(html.slice(Math.max(open, match.index - 8), match.index))) continue;
    const close = html.indexOf(match[0], at);
    if (close < 0) return -1;
    at = close + 1;
  }
}
