import type { Body, Message, Summary } from "@restante/engine";
import { decodeOffsets, type HeaderBlock, type PartOffsets } from "@restante/mime";

/** Sections up to this many octets, and those of bodies that are in memory, are sent with the answer around them; larger
 * ones as they are opened. */
export const WHOLE_SECTION_BYTES: number = 64 * 1024;

/** How one item is answered: at once from what is kept, or from the body, where that must be opened. */
export interface Writer {
  /** Its answer has a few octets. */
  readonly isShort: boolean;
  readonly needsBody?: (message: Message, kept: Kept) => boolean;
  readonly atOnce: (message: Message, kept: Kept) => string;
  readonly fromBody?: (message: Message, kept: Kept, body: Body) => Promise<void>;
}

/** A message's summary and header block, as far as the items of a FETCH need them. */
export class Kept {
  readonly #summary: Summary | undefined;
  readonly #header: HeaderBlock | undefined;
  #offsets: PartOffsets | undefined;
  /** Octets of parts that were decoded, by their numbers. */
  readonly decodedOctets: Map<string, number> = new Map();

  constructor(summary: Summary | undefined, header: HeaderBlock | undefined) {
    this.#summary = summary;
    this.#header = header;
  }

  get summary(): Summary {
    return needed(this.#summary);
  }
  get header(): HeaderBlock {
    return needed(this.#header);
  }
  get offsets(): PartOffsets {
    this.#offsets ??= decodeOffsets(this.summary.offsets);
    return this.#offsets;
  }
}

function needed<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("FETCH did not read what an item needs");
  return value;
}
