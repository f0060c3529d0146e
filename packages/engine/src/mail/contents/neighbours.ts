import type { ObjectSpan } from "./email-page.ts";

/** Octets that are read together, and how far apart two may lie that one reads after the other. */
const WINDOW_BYTES: number = 128 * 1024;
const GAP_BYTES: number = 32 * 1024;

/** Reads a span, or as much of it as its object has; undefined if that is gone. */
type Read = (span: ObjectSpan) => Promise<Uint8Array | undefined>;

/** A part of an object that was read, or is being read. */
interface Window extends ObjectSpan {
  /** Held weakly once it is there: it goes when memory is wanted. */
  bytes: Promise<Uint8Array | undefined> | WeakRef<Uint8Array>;
}

/**
 * Small bodies that lie together are read together for a reader that asks for one after the other, forwards or backwards: a
 * search, a listing with bodies. The bytes are as sealed as they lie.
 */
export class Neighbours {
  #last: ObjectSpan | undefined;
  #window: Window | undefined;

  /** The octets of a span, or as many of them as there are; undefined if its object is gone. Rejects as `read` does. */
  async get(span: ObjectSpan, read: Read): Promise<Uint8Array | undefined> {
    const last = this.#last;
    this.#last = span;
    if (this.#window && holds(this.#window, span)) {
      const known = await this.#find(this.#window, span);
      if (known) return known;
    }
    const window = last && windowOf(last, span);
    if (!window) return read(span);
    const bytes = read(window);
    const opened: Window = { ...window, bytes };
    this.#window = opened;
    // A read that failed, or whose bytes are gone, is made again.
    const found = await bytes;
    if (found) opened.bytes = new WeakRef(found);
    return found && pieceOf(opened, found, span);
  }

  async #find(window: Window, span: ObjectSpan): Promise<Uint8Array | undefined> {
    // The reader of the window gets its error.
    const bytes = window.bytes instanceof WeakRef ? window.bytes.deref() : await window.bytes.catch(() => undefined);
    const piece = bytes && pieceOf(window, bytes, span);
    return piece?.length === span.length ? piece : undefined;
  }
}

function holds(window: ObjectSpan, { name, offset, length }: ObjectSpan): boolean {
  return window.name === name && offset >= window.offset && offset + length <= window.offset + window.length;
}

function pieceOf({ offset }: ObjectSpan, bytes: Uint8Array, span: ObjectSpan): Uint8Array {
  return bytes.subarray(span.offset - offset, span.offset - offset + span.length);
}

/** The window to read in place of a span that lies next to the one before; undefined for other spans. */
function windowOf(last: ObjectSpan, { name, offset, length }: ObjectSpan): ObjectSpan | undefined {
  if (last.name !== name || length > WINDOW_BYTES / 2) return undefined;
  const end = offset + length;
  const isNext = offset >= last.offset + last.length && offset - (last.offset + last.length) <= GAP_BYTES;
  const isBefore = end <= last.offset && last.offset - end <= GAP_BYTES;
  if (isNext) return { name, offset, length: WINDOW_BYTES };
  const start = Math.max(0, end - WINDOW_BYTES);
  return isBefore ? { name, offset: start, length: end - start } : undefined;
}
