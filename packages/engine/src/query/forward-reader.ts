import type { Body } from "../mail/contents/contents.ts";
import type { Pace } from "./pace.ts";

/** Octets between two spans that are read over: another request would cost more. */
const GAP_BYTES_MAX: number = 256 * 1024;

/** Reads spans of a body, each behind the one before, by few requests. */
export class ForwardReader {
  readonly #body: Body;
  readonly #end: number;
  readonly #pace: Pace;
  #pieces: AsyncIterator<Uint8Array> | undefined;
  #held: Uint8Array = new Uint8Array(0);
  /** Where `#held` begins. */
  #at = 0;

  /** `end`: of the last span. */
  constructor(body: Body, end: number, pace: Pace) {
    this.#body = body;
    this.#pace = pace;
    this.#end = end;
  }

  /** Octets `start` up to `end`, which lie behind those that were read. A piece stands until the next is asked for. */
  async *read(start: number, end: number): AsyncGenerator<Uint8Array> {
    if (this.#pieces === undefined || start - this.#at - this.#held.length > GAP_BYTES_MAX) {
      await this.close();
      this.#pieces = this.#body.read(start, this.#end)[Symbol.asyncIterator]();
      this.#held = new Uint8Array(0);
      this.#at = start;
    }
    while (this.#at < end) {
      if (this.#held.length === 0) {
        const next = await this.#pieces.next();
        if (next.done) return;
        this.#held = next.value;
      }
      const skipped = Math.min(Math.max(start - this.#at, 0), this.#held.length);
      const taken = Math.min(this.#held.length - skipped, Math.max(end - this.#at - skipped, 0));
      const piece = this.#held.subarray(skipped, skipped + taken);
      this.#held = this.#held.subarray(skipped + taken);
      this.#at += skipped + taken;
      if (piece.length > 0) yield piece;
      if (this.#pace.isOver()) await this.#pace.take();
    }
  }

  /** Ends what is under way. */
  async close(): Promise<void> {
    await this.#pieces?.return?.();
    this.#pieces = undefined;
  }
}
