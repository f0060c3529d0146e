import { type Element, octets, text } from "wbxml";

/** How answers are written: elements out of values, in the order in which they stand. */

const TEXT = text();
const OCTETS = octets();

/** An element with what is in it; what is undefined is left out. */
export function group(tag: string, ...children: readonly (Element | undefined)[]): Element {
  const held = children.filter((child) => child !== undefined);
  return { tag, children: held, content: null, isOpaque: false, offset: 0 };
}

/** Text, or octets where its page says so. */
export function leaf(tag: string, value: string | number | Uint8Array): Element {
  return typeof value === "object" ? OCTETS.write(tag, value) : TEXT.write(tag, String(value));
}

export function empty(tag: string): Element {
  return group(tag);
}

/** Octets as they are, whatever the page says: MIME that is no text. */
export function opaque(tag: string, content: Uint8Array): Element {
  return { tag, children: [], content, isOpaque: true, offset: 0 };
}

/** The child with this tag. */
export function childOf(element: Element, tag: string): Element | undefined {
  return element.children.find((child) => child.tag === tag);
}
