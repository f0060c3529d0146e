import { createScanner } from "@restante/mime";
import { type SealContext, sealObject, sealStream } from "../crypto/index.ts";
import { Rooms } from "../rooms.ts";
import { chain, tap } from "../streams.ts";
import { type Breathe, type Digest, digest } from "./contents/digest.ts";

/** Bodies up to this ride in the note or the log entry; larger ones are objects of their own. */
export const INLINE_BYTES_MAX: number = 16 * 1024;
/** Bodies up to this are held until the note or entry that names them is stored, and stored along with it. */
const HELD_BYTES_MAX: number = 128 * 1024;
const rooms = new Rooms(HELD_BYTES_MAX, 16);

export interface TakenBody {
  readonly digest: Digest;
  /** The whole sealed body, preamble first; undefined if it was stored by `putLarge`. */
  readonly sealed: Uint8Array | undefined;
  /** True if the body rides in the note or entry. */
  readonly inline: boolean;
  /** Octets of the stored body. */
  readonly length: number;
}

export interface Intake {
  readonly seal: SealContext;
  /** Stands before the sealed bytes. */
  readonly preamble: Uint8Array;
  readonly receivedMs: number;
  readonly putLarge: (content: AsyncIterable<Uint8Array>) => Promise<unknown>;
  readonly breathe: Breathe;
}

/**
 * Takes a message in as it streams: scanned and sealed in one pass, in bounded memory. It comes back sealed; a
 * large one is handed to `putLarge` as a stream.
 */
export async function takeBody(
  source: AsyncIterable<Uint8Array>,
  { seal, preamble, receivedMs, putLarge, breathe }: Intake,
): Promise<TakenBody> {
  const scanner = createScanner();
  const scanned = tap(source, (chunk) => scanner.push(chunk))[Symbol.asyncIterator]();
  const room = rooms.take();
  let used = room.length;
  try {
    const { size, next } = await fill(room, scanned);
    used = size;
    const held = room.subarray(0, size);
    if (next === undefined) {
      const sealed = sealObject(seal, held, preamble);
      const inline = size <= INLINE_BYTES_MAX;
      return { digest: await digest(scanner.finish(), receivedMs, breathe), sealed, inline, length: sealed.length };
    }
    const sealed = sealStream(seal, chain([held, next], { [Symbol.asyncIterator]: () => scanned }));
    let length = 0;
    await putLarge(
      tap(chain([preamble], sealed), (chunk) => {
        length += chunk.length;
      }),
    );
    return { digest: await digest(scanner.finish(), receivedMs, breathe), sealed: undefined, inline: false, length };
  } finally {
    // The mail's plain text.
    rooms.giveBack(room, used);
  }
}

/** Puts pieces into the room. Resolves with how far it is full, and with the piece that it was too small for, if any. */
async function fill(
  room: Uint8Array,
  pieces: AsyncIterator<Uint8Array>,
): Promise<{ readonly size: number; readonly next: Uint8Array | undefined }> {
  for (let size = 0; ; ) {
    const next = await pieces.next();
    if (next.done) return { size, next: undefined };
    if (size + next.value.length > room.length) return { size, next: next.value };
    room.set(next.value, size);
    size += next.value.length;
  }
}
