import { PLACES } from "./code-pages.ts";
import { type Element, END, HAS_CONTENT, HEADER, OPAQUE, STR_I, SWITCH_PAGE } from "./element.ts";
import { WbxmlError } from "./errors.ts";
import { CONTENT_BYTES_MAX, DEPTH_MAX, ELEMENTS_MAX } from "./limits.ts";

const ENCODER = new TextEncoder();
/** C0 but TAB, LF and CR: a NUL ends a STR_I, and phones stop at the others. */
const CONTROLS = /[\0-\x08\x0b\x0c\x0e-\x1f]/g;
const BUFFER_BYTES_MIN = 1024;
/** Octets of one unit of a string in UTF-8 at most. */
const UNIT_BYTES_MAX = 3;

/**
 * Writes one document of WBXML 1.3. Characters that STR_I can't carry (NUL and the other C0 but TAB, LF, CR) are left out.
 * Throws WbxmlError for a tag that no page has, for an element that holds both elements and a content, and beyond the
 * limits, which are those of `decode`.
 */
export function encode(root: Element): Uint8Array {
  return new Encoder().document(root);
}

class Encoder {
  #bytes: Uint8Array = new Uint8Array(BUFFER_BYTES_MIN);
  #at = 0;
  #page = 0;
  #elements = 0;

  document(root: Element): Uint8Array {
    for (const byte of HEADER) this.#byte(byte);
    this.#element(root, 1);
    return this.#bytes.slice(0, this.#at);
  }

  /** Calls itself for children: DEPTH_MAX bounds it. */
  #element(element: Element, depth: number): void {
    const { tag, children, content } = element;
    if (depth > DEPTH_MAX) throw new WbxmlError("depth", this.#at);
    if (++this.#elements > ELEMENTS_MAX) throw new WbxmlError("elements", this.#at);
    if (content !== null && children.length > 0) throw new WbxmlError("content", this.#at);
    const place = PLACES.get(tag);
    if (place === undefined) throw new WbxmlError("tag", this.#at);
    if (place.page !== this.#page) {
      this.#byte(SWITCH_PAGE);
      this.#byte(place.page);
      this.#page = place.page;
    }
    if (content === null && children.length === 0) {
      this.#byte(place.tag.token);
      return;
    }
    this.#byte(place.tag.token | HAS_CONTENT);
    if (content !== null) this.#content(content, element.isOpaque);
    for (const child of children) this.#element(child, depth + 1);
    this.#byte(END);
  }

  #content(content: Uint8Array | string, isOpaque: boolean): void {
    if (isOpaque) {
      this.#opaque(typeof content === "string" ? ENCODER.encode(content) : content);
      return;
    }
    this.#byte(STR_I);
    if (typeof content === "string") this.#text(content);
    else this.#inline(content);
    this.#byte(0);
  }

  #opaque(octets: Uint8Array): void {
    this.#check(octets.length);
    this.#byte(OPAQUE);
    this.#integer(octets.length);
    this.#octets(octets);
  }

  #text(text: string): void {
    const clean = text.replace(CONTROLS, "");
    this.#check(clean.length);
    this.#room(clean.length * UNIT_BYTES_MAX);
    const { written } = ENCODER.encodeInto(clean, this.#bytes.subarray(this.#at));
    this.#check(written);
    this.#at += written;
  }

  #inline(octets: Uint8Array): void {
    this.#check(octets.length);
    this.#octets(octets.some(isControl) ? octets.filter((octet) => !isControl(octet)) : octets);
  }

  #octets(octets: Uint8Array): void {
    this.#room(octets.length);
    this.#bytes.set(octets, this.#at);
    this.#at += octets.length;
  }

  #integer(value: number): void {
    let shift = 28;
    while (shift > 0 && value >>> shift === 0) shift -= 7;
    for (; shift > 0; shift -= 7) this.#byte(((value >>> shift) & 0x7f) | 0x80);
    this.#byte(value & 0x7f);
  }

  #byte(byte: number): void {
    if (this.#at === this.#bytes.length) this.#room(1);
    this.#bytes[this.#at++] = byte;
  }

  #check(bytes: number): void {
    if (bytes > CONTENT_BYTES_MAX) throw new WbxmlError("length", this.#at);
  }

  #room(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
  }
}

function isControl(octet: number): boolean {
  return octet < 0x20 && octet !== 0x09 && octet !== 0x0a && octet !== 0x0d;
}
