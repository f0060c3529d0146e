/** One element. It holds either elements, or a content, or nothing. */
export interface Element {
  /** With its page: "AirSync:Sync". */
  readonly tag: string;
  readonly children: readonly Element[];
  /** Octets in an element that was read; octets or text in one to be written. Null without content. */
  readonly content: Uint8Array | string | null;
  /** OPAQUE rather than STR_I. */
  readonly isOpaque: boolean;
  /** Octet of its tag in the bytes it was read from; 0 in what is to be written. */
  readonly offset: number;
}

/** Global tokens of WBXML 1.3 that ActiveSync uses, and the bits of a tag. */
export const SWITCH_PAGE = 0x00;
export const END = 0x01;
export const STR_I = 0x03;
export const OPAQUE = 0xc3;
export const HAS_CONTENT = 0x40;
export const HAS_ATTRIBUTES = 0x80;
/** The lowest token of a tag. */
export const TAG_MIN = 0x05;
/** Version 1.3, no public identifier, UTF-8, no string table. */
export const HEADER: readonly number[] = [0x03, 0x01, 0x6a, 0x00];
