import { constants, createDeflateRaw, createInflateRaw, type DeflateRaw, type InflateRaw } from "node:zlib";

/** Of what is sent: a window of 2 KiB is what an idle connection can afford. Both ways come to 96 KB a connection. */
const DEFLATE_OPTIONS = { windowBits: 11, memLevel: 3, chunkSize: 2_048 } as const;
/** A client may use the whole window of 32 KiB. */
const INFLATE_OPTIONS = { windowBits: 15, chunkSize: 2_048, finishFlush: constants.Z_SYNC_FLUSH } as const;

/** The connection's outgoing octets, compressed: RFC 4978 §3. Each call gives all that the client needs to read what `pack`
 * was given. */
export class Deflater {
  readonly #stream: DeflateRaw = createDeflateRaw(DEFLATE_OPTIONS);
  #made: Uint8Array[] = [];

  constructor() {
    this.#stream.on("data", (chunk: Uint8Array) => this.#made.push(chunk));
  }

  /** One call at a time. Rejects once it is closed. */
  pack(pieces: readonly Uint8Array[]): Promise<Uint8Array[]> {
    return new Promise((resolve, reject) => {
      const failed = (error?: Error): void => reject(error ?? new Error("compression was ended"));
      if (this.#stream.destroyed) return failed();
      this.#stream.once("error", failed).once("close", failed);
      for (const piece of pieces) this.#stream.write(piece);
      this.#stream.flush(constants.Z_SYNC_FLUSH, () => {
        this.#stream.off("error", failed).off("close", failed);
        const made = this.#made;
        this.#made = [];
        resolve(made);
      });
    });
  }

  close(): void {
    this.#stream.destroy();
  }
}

export interface InflaterEvents {
  readonly onData: (bytes: Uint8Array) => void;
  /** The input is at its end, or can't be read. */
  readonly onEnd: () => void;
  /** All input was taken: there is room for more. */
  readonly onDrain: () => void;
}

/** The connection's incoming octets, decompressed. The stream works only some kilobytes ahead of its reader, however much a
 * little input expands to. */
export class Inflater {
  readonly #stream: InflateRaw = createInflateRaw(INFLATE_OPTIONS);

  constructor({ onData, onEnd, onDrain }: InflaterEvents) {
    this.#stream.on("data", onData).on("drain", onDrain).on("end", onEnd).on("error", onEnd);
  }

  /** True if the stream has room for more; else `onDrain` follows. */
  push(bytes: Uint8Array): boolean {
    return this.#stream.write(bytes);
  }

  /** There comes no more: `onEnd` when all of it was read. */
  finish(): void {
    this.#stream.end();
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  close(): void {
    this.#stream.destroy();
  }
}
