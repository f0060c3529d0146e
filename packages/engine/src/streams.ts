/** First the pieces, then the stream. */
export async function* chain(
  first: readonly Uint8Array[],
  rest: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield* first;
  yield* rest;
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

/** A content whole, in memory of its own. */
export async function collect(content: Uint8Array | AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  if (content instanceof Uint8Array) return content.slice();
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of content) {
    pieces.push(piece.slice());
    size += piece.length;
  }
  return joined(pieces, size);
}

/** Pieces of `size` octets together as one. */
export function joined(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** A stream in blocks of `size` octets; the last is what is left, if there is any. Two buffers take turns: a block stands
 * until the one after the next is asked for. */
export async function* blocks(source: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  const buffers = [new Uint8Array(size), new Uint8Array(size)] as const;
  let turn: 0 | 1 = 0;
  let filled = 0;
  for await (const piece of source)
    for (let at = 0; at < piece.length; ) {
      const taken = Math.min(piece.length - at, size - filled);
      buffers[turn].set(piece.subarray(at, at + taken), filled);
      filled += taken;
      at += taken;
      if (filled < size) continue;
      yield buffers[turn];
      turn = turn === 0 ? 1 : 0;
      filled = 0;
    }
  if (filled > 0) yield buffers[turn].subarray(0, filled);
}
