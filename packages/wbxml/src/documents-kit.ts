import fc from "fast-check";
import { CODE_PAGES } from "./code-pages.ts";
import type { Element } from "./element.ts";

const TAGS = CODE_PAGES.flatMap(({ tags }) => tags.map(({ name }) => name));
const inline = fc
  .string({ unit: "binary" })
  .map((text) => new TextEncoder().encode(text).filter((octet) => octet >= 0x20 || octet === 0x0a));
const opaque = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ minLength: 120, maxLength: 400 }));

/** Random documents with tags of all pages, as `decode` gives them but for their offsets. */
export const documents: fc.Arbitrary<Element> = fc.letrec<{ element: Element }>((tie) => ({
  element: fc
    .record({
      tag: fc.constantFrom(...TAGS),
      inside: fc.oneof(
        { depthSize: "small" },
        fc.constant({}),
        inline.map((content) => ({ content })),
        opaque.map((content) => ({ content, isOpaque: true })),
        fc.array(tie("element"), { maxLength: 6 }).map((children) => ({ children })),
      ),
    })
    .map(({ tag, inside }) => ({ tag, children: [], content: null, isOpaque: false, offset: 0, ...inside })),
})).element;

/** The same without offsets. */
export function placeless(element: Element): Element {
  return { ...element, offset: 0, children: element.children.map(placeless) };
}
