/** Gaps that a tag makes in the text around it: an empty line, a new line, or a space. */
const BLANK = 3;
const LINE = 2;
const SPACE = 1;
const GAPS = ["", " ", "\r\n", "\r\n\r\n"] as const;

/** Tags that stand for more than nothing; an end tag does as its start tag. */
const TAGS: ReadonlyMap<string, number> = new Map([
  ...["p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "dl", "table", "pre", "hr"].map(
    (name) => [name, BLANK] as const,
  ),
  ...[
    "div",
    "li",
    "tr",
    "dt",
    "dd",
    "section",
    "article",
    "header",
    "footer",
    "address",
    "center",
    "form",
    "option",
  ].map((name) => [name, LINE] as const),
  ...["td", "th"].map((name) => [name, SPACE] as const),
]);
const HIDDEN: ReadonlySet<string> = new Set(["style", "script", "head", "title", "template"]);
/** Characters of the longest name of a tag that means anything here. */
const TAG_NAME = /^\/?([a-z][a-z0-9]{0,9})\b/i;
const NAME_CHARS_MAX = 12;

const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: " " };

/**
 * HTML as plain text, roughly: what stands between tags, white space as a reader of HTML takes it, line ends where its
 * blocks begin and end, at most one empty line at once. Linear in its input.
 */
export function stripHtml(html: string): string {
  let out = "";
  let gap = 0;
  const write = (raw: string): void => {
    const text = unescapeEntities(raw).replace(/[ \t\r\n\f]+/g, " ");
    const begin = text.startsWith(" ") ? 1 : 0;
    if (begin > 0) gap = Math.max(gap, SPACE);
    if (text.length === begin) return;
    const end = text.length - (text.endsWith(" ") ? 1 : 0);
    out += (out === "" ? "" : GAPS[gap]) + text.slice(begin, end);
    gap = end < text.length ? SPACE : 0;
  };
  for (let at = 0; at < html.length; ) {
    const open = html.indexOf("<", at);
    write(html.slice(at, open < 0 ? html.length : open));
    if (open < 0) break;
    const name = TAG_NAME.exec(html.slice(open + 1, open + 1 + NAME_CHARS_MAX))?.[1]?.toLowerCase() ?? "";
    const isStart = html[open + 1] !== "/";
    at = isStart && HIDDEN.has(name) ? endOfHidden(html, open, name) : endOfTag(html, open);
    // Two of them are an empty line.
    if (name === "br") gap = gap < LINE ? LINE : BLANK;
    else gap = Math.max(gap, TAGS.get(name) ?? 0);
  }
  return out;
}

/** Behind the tag or comment that begins at `open`. */
function endOfTag(html: string, open: number): number {
  const [end, length] = html.startsWith("<!--", open)
    ? [html.indexOf("-->", open + 4), 3]
    : [html.indexOf(">", open), 1];
  return end < 0 ? html.length : end + length;
}

function endOfHidden(html: string, from: number, tag: string): number {
  const end = new RegExp(`</${tag}\\s*>`, "gi");
  end.lastIndex = from;
  const match = end.exec(html);
  return match ? match.index + match[0].length : html.length;
}

function unescapeEntities(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,6}));/gi, (whole, decimal, hex, name) => {
    if (name) return ENTITIES[(name as string).toLowerCase()] ?? whole;
    const code = decimal ? Number(decimal) : Number.parseInt(hex as string, 16);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : "";
  });
}
