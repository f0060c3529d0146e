import { NAMES } from "./code-pages.ts";
import {
  type Element,
  END,
  HAS_ATTRIBUTES,
  HAS_CONTENT,
  HEADER,
  OPAQUE,
  STR_I,
  SWITCH_PAGE,
  TAG_MIN,
} from "./element.ts";
import { WbxmlError } from "./errors.ts";
import { CONTENT_BYTES_MAX, DEPTH_MAX, ELEMENTS_MAX, INTEGER_BYTES_MAX } from "./limits.ts";

interface OpenElement {
  readonly tag: string;
  readonly children: Element[];
  content: Uint8Array | null;
  isOpaque: boolean;
  readonly offset: number;
}

const NO_CHILDREN: readonly Element[] = [];

/**
 * Reads one document of WBXML 1.3, as ActiveSync uses it. Contents are views into `bytes`.
 * Throws WbxmlError, which names the octet at fault.
 */
export function decode(bytes: Uint8Array): Element {
  return new Decoder(bytes).document();
}

class Decoder {
  readonly #bytes: Uint8Array;
  #at = 0;
  #page = 0;
  #elements = 0;
  /** Elements that wait for their END; a list, since a stack of calls is no bound. */
  readonly #open: OpenElement[] = [];

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  document(): Element {
    for (const expected of HEADER) {
      if (this.#byte() !== expected) throw new WbxmlError("header", this.#at - 1);
    }
    let root: Element | null = null;
    while (root === null) root = this.#token();
    if (this.#at < this.#bytes.length) throw new WbxmlError("trailing", this.#at);
    return root;
  }

  /** One token. Gives the root once it is closed. */
  #token(): Element | null {
    const offset = this.#at;
    const token = this.#byte();
    switch (token) {
      case SWITCH_PAGE:
        this.#page = this.#byte();
        if (this.#page >= NAMES.length) throw new WbxmlError("page", this.#at - 1);
        return null;
      case END:
        return this.#close(offset);
      case STR_I:
        this.#fill(this.#inline(), false, offset);
        return null;
      case OPAQUE:
        this.#fill(this.#opaque(), true, offset);
        return null;
      default:
        return this.#tag(token, offset);
    }
  }

  #tag(token: number, offset: number): Element | null {
    const number = token & 0x3f;
    if (number < TAG_MIN) throw new WbxmlError("token", offset);
    if ((token & HAS_ATTRIBUTES) !== 0) throw new WbxmlError("attributes", offset);
    const tag = NAMES[this.#page]![number];
    if (tag === undefined) throw new WbxmlError("tag", offset);
    if (++this.#elements > ELEMENTS_MAX) throw new WbxmlError("elements", offset);
    if (this.#open.length >= DEPTH_MAX) throw new WbxmlError("depth", offset);
    const parent = this.#open.at(-1);
    if (parent !== undefined && parent.content !== null) throw new WbxmlError("content", offset);
    if ((token & HAS_CONTENT) !== 0) {
      const element: OpenElement = { tag, children: [], content: null, isOpaque: false, offset };
      parent?.children.push(element);
      this.#open.push(element);
      return null;
    }
    const element: Element = { tag, children: NO_CHILDREN, content: null, isOpaque: false, offset };
    parent?.children.push(element);
    return parent === undefined ? element : null;
  }

  #close(offset: number): Element | null {
    const element = this.#open.pop();
    if (element === undefined) throw new WbxmlError("token", offset);
    return this.#open.length === 0 ? element : null;
  }

  #fill(content: Uint8Array, isOpaque: boolean, offset: number): void {
    const element = this.#open.at(-1);
    if (element === undefined || element.content !== null || element.children.length > 0)
      throw new WbxmlError("content", offset);
    element.content = content;
    element.isOpaque = isOpaque;
  }

  #inline(): Uint8Array {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0) throw new WbxmlError("cut", this.#bytes.length);
    return this.#view(end, end + 1);
  }

  #opaque(): Uint8Array {
    const length = this.#integer();
    if (length > this.#bytes.length - this.#at) throw new WbxmlError("cut", this.#bytes.length);
    return this.#view(this.#at + length, this.#at + length);
  }

  #view(end: number, next: number): Uint8Array {
    if (end - this.#at > CONTENT_BYTES_MAX) throw new WbxmlError("length", this.#at);
    const view = this.#bytes.subarray(this.#at, end);
    this.#at = next;
    return view;
  }

  /** mb_u_int32: seven bits an octet, most significant first. */
  #integer(): number {
    const offset = this.#at;
    let value = 0;
    for (let count = 0; count < INTEGER_BYTES_MAX; count++) {
      const byte = this.#byte();
      value = value * 0x80 + (byte & 0x7f);
      if (byte < 0x80) {
        if (value > 0xffff_ffff) break;
        return value;
      }
    }
    throw new WbxmlError("integer", offset);
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new WbxmlError("cut", this.#at);
    this.#at++;
    return byte;
  }
}
