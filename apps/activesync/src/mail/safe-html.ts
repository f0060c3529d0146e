import sanitize from "sanitize-html";

/** Elements within one another: what lies deeper is left out. */
const NESTING_MAX = 250;

/** Elements that a mail's HTML may have: text and its looks, tables, lists, links, pictures. No script, no form, no frame,
 * and nothing that loads by itself but pictures. */
const OPTIONS: sanitize.IOptions = {
  allowedTags: [
    ...["a", "abbr", "acronym", "address", "article", "aside", "b", "bdi", "bdo", "big", "blockquote", "br", "caption"],
    ...["center", "cite", "code", "col", "colgroup", "dd", "del", "details", "dfn", "dir", "div", "dl", "dt", "em"],
    ...[
      "figcaption",
      "figure",
      "font",
      "footer",
      "h1",
      "h2",
      "h3",
      "h4",
      "h5",
      "h6",
      "header",
      "hr",
      "i",
      "img",
      "ins",
    ],
    ...["kbd", "li", "main", "map", "area", "mark", "menu", "nav", "ol", "p", "pre", "q", "s", "samp", "section"],
    ...["small", "span", "strike", "strong", "style", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th"],
    ...["thead", "time", "tr", "tt", "u", "ul", "var", "wbr"],
  ],
  allowedAttributes: {
    "*": [
      ...["align", "alt", "aria-label", "bgcolor", "border", "cellpadding", "cellspacing", "class", "color", "cols"],
      ...["colspan", "dir", "face", "height", "hspace", "id", "lang", "name", "nowrap", "rowspan", "size", "style"],
      ...["title", "type", "valign", "vspace", "width", "start", "value"],
    ],
    a: ["href", "name", "target", "rel"],
    area: ["href", "shape", "coords"],
    img: ["src", "alt", "usemap", "width", "height"],
    td: ["background"],
    table: ["background"],
  },
  allowedSchemes: ["http", "https", "mailto", "tel", "sms"],
  allowedSchemesByTag: { img: ["http", "https", "cid", "data"] },
  allowedSchemesAppliedToAttributes: ["href", "src", "background"],
  allowProtocolRelative: false,
  // Style sheets and attributes are passed as they are: what runs no script today ran none in these.
  allowVulnerableTags: true,
  parseStyleAttributes: false,
  nonTextTags: ["script", "textarea", "option", "noscript", "title", "iframe", "object", "svg", "math", "template"],
  nestingLimit: NESTING_MAX,
};

/** HTML as a mail program may show it. */
export function safeHtml(html: string): string {
  return sanitize(withoutDepths(html), OPTIONS);
}

/** Elements that are open at once: with each tag the parser goes through them. Mails that close nothing have some hundreds;
 * what lies so deep would be left out. */
const OPEN_MAX = 2_000;
const TAG = /<(\/?)([a-zA-Z][^\s/>]*)/g;
/** Elements without content (HTML §13.1.2), and elements that end where the next of them begins: neither are deep by
 * themselves. */
const SHALLOW: ReadonlySet<string> = new Set([
  ...["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"],
  ...["p", "li", "dd", "dt", "td", "th", "tr", "tbody", "thead", "tfoot", "option"],
]);

/** HTML up to where too much is open. */
function withoutDepths(html: string): string {
  const open: string[] = [];
  const counts = new Map<string, number>();
  const count = (name: string, by: 1 | -1): void => void counts.set(name, (counts.get(name) ?? 0) + by);
  for (const { 1: slash, 2: written, index } of html.matchAll(TAG)) {
    const name = written!.toLowerCase();
    if (SHALLOW.has(name)) continue;
    if (!slash) {
      if (open.push(name) > OPEN_MAX) return html.slice(0, index);
      count(name, 1);
    } else if ((counts.get(name) ?? 0) > 0) {
      // With an element ends what is open in it.
      for (let last = open.pop()!; ; last = open.pop()!) {
        count(last, -1);
        if (last === name) break;
      }
    }
  }
  return html;
}
