import { PLACES } from "./code-pages.ts";
import type { Element } from "./element.ts";
import { SchemaError } from "./errors.ts";
import { CONTENT_BYTES_MAX, TEXT_BYTES_MAX } from "./limits.ts";
import type { Shape } from "./schema.ts";

const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const ENCODER = new TextEncoder();
const INTEGER = /^-?\d{1,10}$/;

/** Text of at most `bytesMax` octets of UTF-8; an empty element is "". Phones send it as STR_I or OPAQUE. */
export function text(bytesMax: number = TEXT_BYTES_MAX): Shape<string> {
  return { read: (element) => textOf(element, bytesMax), write: leaf };
}

/** A whole number from `min` to `max`. */
export function integer(min: number, max: number): Shape<number> {
  return {
    read: (element) => {
      const digits = textOf(element, TEXT_BYTES_MAX);
      const value = Number(digits);
      if (!INTEGER.test(digits) || value < min || value > max) throw invalid(element);
      return value;
    },
    write: (tag, value) => leaf(tag, String(value)),
  };
}

/** `0` or `1`; an empty element is true. */
export const boolean: Shape<boolean> = {
  read: (element) => {
    const digit = textOf(element, TEXT_BYTES_MAX);
    if (digit !== "" && digit !== "0" && digit !== "1") throw invalid(element);
    return digit !== "0";
  },
  write: (tag, value) => leaf(tag, value ? "1" : "0"),
};

/** Octets of at most `bytesMax`, such as a mail; read from STR_I too. They are a view into what was decoded. */
export function octets(bytesMax: number = CONTENT_BYTES_MAX): Shape<Uint8Array> {
  return { read: (element) => octetsOf(element, bytesMax), write: leaf };
}

/** An element that says all by being there. */
export const empty: Shape<true> = {
  read: (element) => {
    if (octetsOf(element, 0).length > 0) throw invalid(element);
    return true;
  },
  write: (tag) => leaf(tag, ""),
};

/** The element as it is, for what a handler reads by another schema. */
export const element: Shape<Element> = { read: (given) => given, write: (_, given) => given };

/** Empty contents are written as no content: phones read both the same. */
function leaf(tag: string, content: string | Uint8Array): Element {
  return {
    tag,
    children: [],
    content: content.length === 0 ? null : content,
    isOpaque: PLACES.get(tag)?.tag.isOpaque ?? false,
    offset: 0,
  };
}

function octetsOf(given: Element, bytesMax: number): Uint8Array {
  const { content, children } = given;
  if (children.length > 0) throw invalid(given);
  const held = typeof content === "string" ? ENCODER.encode(content) : (content ?? new Uint8Array());
  if (held.length > bytesMax) throw invalid(given);
  return held;
}

function textOf(given: Element, bytesMax: number): string {
  const held = octetsOf(given, bytesMax);
  try {
    return DECODER.decode(held);
  } catch {
    // Octets that are not UTF-8.
    throw invalid(given);
  }
}

function invalid(given: Element): SchemaError {
  return new SchemaError("invalid", given.tag, given.offset);
}
