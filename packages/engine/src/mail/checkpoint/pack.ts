import type { PageStore } from "../../bay/snapshots.ts";
import { concat } from "../../crypto/index.ts";
import type { ObjectSpan } from "../contents/email-page.ts";
import type { Pack } from "../state/pages.ts";

/**
 * A pack: small bodies that a checkpoint took out of log entries and notes, so that those can be deleted
 * (docs/formats/body.md). Each stays sealed as it was, under its own key.
 *
 *     pack   format 1 ‖ count 4 ‖ count × (body id 16 ‖ length 4) ‖ bodies, one after the other
 *
 * The list in front is what salvage finds bodies by when every page is lost.
 */
const PACK_FORMAT = 1;
/** Bytes of bodies after which a pack is closed, and bodies of one. */
export const PACK_BYTES_MAX: number = 4 * 2 ** 20;
export const PACK_BODIES_MAX = 4096;

/** Takes bodies in order of lasting numbers and puts them into packs as those fill. */
export class Packer {
  readonly packs: Pack[] = [];
  readonly #pages: PageStore;
  #open: { readonly first: number; end: number; readonly bodies: PackedBody[]; size: number } | undefined;

  constructor(pages: PageStore) {
    this.#pages = pages;
  }

  /** The email's lasting number is `number`. `place` is called with where the body lies once its pack is stored. */
  async add(number: number, id: Uint8Array, bytes: Uint8Array, place: (span: ObjectSpan) => void): Promise<void> {
    const full =
      this.#open && (this.#open.size + bytes.length > PACK_BYTES_MAX || this.#open.bodies.length >= PACK_BODIES_MAX);
    if (full) await this.flush();
    this.#open ??= { first: number, end: number, bodies: [], size: 0 };
    this.#open.end = number + 1;
    this.#open.size += bytes.length;
    this.#open.bodies.push({ id, bytes, place });
  }

  async flush(): Promise<void> {
    if (!this.#open) return;
    const { first, end, bodies } = this.#open;
    this.#open = undefined;
    const name = this.#pages.packName();
    await this.#pages.putPack(name, encodePack(bodies));
    let offset = headLength(bodies.length);
    for (const { bytes, place } of bodies) {
      place({ name, offset, length: bytes.length });
      offset += bytes.length;
    }
    this.packs.push({ name, first, end, count: bodies.length });
  }
}

interface PackedBody {
  readonly id: Uint8Array;
  readonly bytes: Uint8Array;
  readonly place: (span: ObjectSpan) => void;
}

function headLength(count: number): number {
  return 5 + count * 20;
}

function encodePack(bodies: readonly PackedBody[]): Uint8Array {
  const head = new Uint8Array(headLength(bodies.length));
  const view = new DataView(head.buffer);
  head[0] = PACK_FORMAT;
  view.setUint32(1, bodies.length);
  for (const [at, { id, bytes }] of bodies.entries()) {
    head.set(id, 5 + at * 20);
    view.setUint32(5 + at * 20 + 16, bytes.length);
  }
  return concat(head, ...bodies.map(({ bytes }) => bytes));
}

/** Which bodies a pack holds, and where. Throws RangeError on anything that is no pack. */
export function readPack(
  bytes: Uint8Array,
): { readonly id: Uint8Array; readonly offset: number; readonly length: number }[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < 5 || bytes[0] !== PACK_FORMAT) throw new RangeError("pack of an unknown format");
  const count = view.getUint32(1);
  if (headLength(count) > bytes.length) throw new RangeError("pack is too short for its list");
  let offset = headLength(count);
  const bodies = Array.from({ length: count }, (_, at) => {
    const length = view.getUint32(5 + at * 20 + 16);
    const body = { id: bytes.subarray(5 + at * 20, 5 + at * 20 + 16), offset, length };
    offset += length;
    return body;
  });
  if (offset !== bytes.length) throw new RangeError("bodies do not fill the pack");
  return bodies;
}
