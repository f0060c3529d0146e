/** An element: its name, its attributes, and what is in it. */
export interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly content: string | readonly Element[];
}

export function element(
  name: string,
  content: Element["content"] = [],
  attributes: Element["attributes"] = {},
): Element {
  return { name, attributes, content };
}

/** A document: XML 1.0 §2.1. Names and `doctype` are ours; contents and values of attributes may be anybody's. */
export function formatXml(root: Element, doctype = ""): Uint8Array {
  return Buffer.from(`<?xml version="1.0" encoding="utf-8"?>\n${doctype}${formatElement(root)}\n`);
}

function formatElement({ name, attributes, content }: Element): string {
  const tag = [name, ...Object.entries(attributes).map(([key, value]) => `${key}="${escaped(value)}"`)].join(" ");
  if (content.length === 0) return `<${tag}/>`;
  return `<${tag}>${typeof content === "string" ? escaped(content) : content.map(formatElement).join("")}</${name}>`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
};

/** Characters that XML has not (XML 1.0 §2.2) become U+FFFD, as halves of one do in UTF-8. White space that attributes and lines would
 * lose is kept: XML 1.0 §2.11, §3.3.3. */
function escaped(text: string): string {
  return text
    .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd")
    .replaceAll(/[&<>"']/g, (char) => ENTITIES[char]!)
    .replaceAll(/[\t\n\r]/g, (char) => `&#${char.charCodeAt(0)};`);
}
