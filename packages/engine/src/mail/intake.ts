import { createScanner } from "@restante/mime";
import { type SealContext, sealObject, sealStream } from "../crypto/index.ts";
import { chain } from "../streams.ts";
import { type Digest, digest } from "./digest.ts";

/** Bodies up to this ride in the note or the log entry; larger ones are objects of their own. */
export const INLINE_BYTES_MAX: number = 16 * 1024;
/** Bodies up to this are held until the note or entry that names them is stored, and stored along with it. */
export const HELD_BYTES_MAX: number = 128 * 1024;
/** Rooms for held bodies that are kept for the next ones: as garbage they would cost more than all that fills them. */
const ROOMS_KEPT = 16;
const rooms: Uint8Array[] = [];

export interface TakenBody {
  readonly digest: Digest;
  /** The whole sealed body, preamble first; undefined if it was stored by `putLarge`. */
  readonly sealed: Uint8Array | undefined;
  /** Whether it rides in the note or entry. */
  readonly inline: boolean;
  /** Octets of the stored body. */
  readonly length: number;
}

/** Scans and seals a body as it streams, in bounded memory; `done` is told what was scanned before the stream ends. A
 * piece stands until the next is asked for. */
export type ScanAndSeal = (
  source: AsyncIterable<Uint8Array>,
  seal: SealContext,
  receivedMs: number,
  done: (digest: Digest) => void,
) => AsyncGenerator<Uint8Array>;

export const scanAndSeal: ScanAndSeal = async function* (source, seal, receivedMs, done) {
  const scanner = createScanner();
  yield* sealStream(
    seal,
    tap(source, (chunk) => scanner.push(chunk)),
  );
  done(digest(scanner.finish(), receivedMs));
};

export interface Taking {
  readonly seal: SealContext;
  /** Stands before the sealed bytes. */
  readonly preamble: Uint8Array;
  readonly receivedMs: number;
  /** For large bodies: here, or in another thread. */
  readonly scanAndSeal?: ScanAndSeal | undefined;
  readonly putLarge: (content: AsyncIterable<Uint8Array>) => Promise<unknown>;
}

/** Takes a message in as it streams, in bounded memory. It comes back sealed; a large one is handed to `putLarge` as a
 * stream. */
export async function takeBody(source: AsyncIterable<Uint8Array>, taking: Taking): Promise<TakenBody> {
  const pieces = source[Symbol.asyncIterator]();
  const room = rooms.pop() ?? new Uint8Array(HELD_BYTES_MAX);
  let size = 0;
  try {
    for (;;) {
      const next = await pieces.next();
      if (next.done) return takeSmall(room.subarray(0, size), taking);
      if (size + next.value.length > room.length) {
        const held = [room.subarray(0, size), next.value];
        return await takeLarge(chain(held, { [Symbol.asyncIterator]: () => pieces }), taking);
      }
      room.set(next.value, size);
      size += next.value.length;
    }
  } finally {
    if (rooms.length < ROOMS_KEPT) rooms.push(room);
  }
}

function takeSmall(body: Uint8Array, { seal, preamble, receivedMs }: Taking): TakenBody {
  const scanner = createScanner();
  scanner.push(body);
  const sealed = sealObject(seal, body, preamble);
  const inline = body.length <= INLINE_BYTES_MAX;
  return { digest: digest(scanner.finish(), receivedMs), sealed, inline, length: sealed.length };
}

async function takeLarge(body: AsyncIterable<Uint8Array>, taking: Taking): Promise<TakenBody> {
  const { seal, preamble, receivedMs, putLarge } = taking;
  let known: Digest | undefined;
  let length = 0;
  const sealed = (taking.scanAndSeal ?? scanAndSeal)(body, seal, receivedMs, (scanned) => {
    known = scanned;
  });
  await putLarge(
    tap(chain([preamble], sealed), (piece) => {
      length += piece.length;
    }),
  );
  if (!known) throw new Error("a body was stored that was not read to its end");
  return { digest: known, sealed: undefined, inline: false, length };
}

/** The stream, of which `see` sees each piece first. */
export async function* tap(
  source: AsyncIterable<Uint8Array>,
  see: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    see(chunk);
    yield chunk;
  }
}
