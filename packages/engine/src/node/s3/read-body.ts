import type { GetObjectCommandOutput } from "@aws-sdk/client-s3";
import { type ByteRange, StoreError } from "../../storage/object-store.ts";

export interface Read {
  readonly bytes: Uint8Array;
  readonly size: number;
  readonly created: number;
}

/** Reads an answer's body, and holds it against what was asked for. */
export async function readBody(
  answer: GetObjectCommandOutput,
  range: ByteRange | undefined,
  came: (bytes: number) => void,
): Promise<Read> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  came(0);
  for await (const piece of answer.Body as unknown as AsyncIterable<Uint8Array>) {
    pieces.push(piece);
    length += piece.length;
    came(piece.length);
  }
  const all = Buffer.concat(pieces, length);
  const created = answer.LastModified?.getTime() ?? 0;
  const bytes = (from: Uint8Array): Uint8Array => new Uint8Array(from.buffer, from.byteOffset, from.length);
  if (!range) return { bytes: bytes(all), size: all.length, created };
  // A store that knows no ranges sends all.
  if (answer.ContentRange === undefined)
    return { bytes: bytes(all.subarray(range.start, range.end)), size: all.length, created };
  const [start, end, size] = contentRange(answer.ContentRange);
  const wanted = Math.min(range.end, size);
  if (start !== range.start || end !== wanted || all.length !== end - start)
    throw new StoreError("unavailable", "the store sent another range");
  return { bytes: bytes(all), size, created };
}

/** `bytes FIRST-LAST/SIZE`: RFC 9110 §14.4. Start, end (not included) and size. */
function contentRange(text: string): readonly [number, number, number] {
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(text);
  if (!match) throw new StoreError("unavailable", "the store sent no clear range");
  return [Number(match[1]), Number(match[2]) + 1, Number(match[3])];
}
