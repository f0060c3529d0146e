import type { SealContext } from "../crypto/index.ts";
import type { Digest } from "../mail/digest.ts";

/** Bytes of one room: some segments, so that the way between threads is short beside the work. */
export const ROOM_BYTES: number = 256 * 1024;
/** Rooms of a body that are on their way at once, each way: one is filled while the other is worked on. */
export const ROOMS = 2;

/** What the pool says to one of its threads of a body. Rooms change hands: whoever has one owns it alone. */
export type ToThread = { readonly job: number } & (
  | { readonly kind: "begin"; readonly seal: Omit<SealContext, "platform">; readonly receivedMs: number }
  | { readonly kind: "plain"; readonly room: ArrayBuffer; readonly length: number }
  | { readonly kind: "end" }
  /** A sealed room comes back. */
  | { readonly kind: "read"; readonly room: ArrayBuffer }
  /** Nobody waits for it any more. */
  | { readonly kind: "drop" }
);

/** What a thread says of a body; with `taken` a plain room comes back. */
export type FromThread = { readonly job: number } & (
  | { readonly kind: "taken"; readonly room: ArrayBuffer }
  | { readonly kind: "sealed"; readonly room: ArrayBuffer; readonly length: number }
  | { readonly kind: "done"; readonly digest: Digest }
  | { readonly kind: "failed"; readonly message: string }
);

/** Rooms that nobody uses now, a few. */
export class SpareRooms {
  readonly #rooms: ArrayBuffer[] = [];
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  take(): ArrayBuffer {
    return this.#rooms.pop() ?? new ArrayBuffer(ROOM_BYTES);
  }

  giveBack(room: ArrayBuffer): void {
    if (this.#rooms.length < this.#max) this.#rooms.push(room);
  }
}
