import type { FileHandle } from "node:fs/promises";

/** Written at once; two such buffers take turns. */
const BUFFER_BYTES: number = 512 * 1024;

/**
 * Writes all pieces of a stream to a file: a buffer is written while the next is filled, so that the disk and whoever
 * makes the pieces work at the same time. Pieces are copied as they come. Resolves with how many bytes it was; rejects as
 * the source or the file does, when nothing is being written any more.
 */
export async function writeStream(handle: FileHandle, source: AsyncIterable<Uint8Array>): Promise<number> {
  const buffers = [Buffer.allocUnsafeSlow(BUFFER_BYTES), Buffer.allocUnsafeSlow(BUFFER_BYTES)] as const;
  let turn: 0 | 1 = 0;
  let filled = 0;
  let size = 0;
  let writing: Promise<unknown> = Promise.resolve();
  const flush = async (): Promise<void> => {
    await writing;
    writing = writeAll(handle, buffers[turn].subarray(0, filled));
    // Told when it is waited for.
    writing.catch(() => undefined);
    turn = turn === 0 ? 1 : 0;
    filled = 0;
  };
  try {
    for await (const piece of source)
      for (let at = 0; at < piece.length; ) {
        const taken = Math.min(piece.length - at, BUFFER_BYTES - filled);
        buffers[turn].set(piece.subarray(at, at + taken), filled);
        filled += taken;
        size += taken;
        at += taken;
        if (filled === BUFFER_BYTES) await flush();
      }
    await flush();
    await writing;
    return size;
  } finally {
    await writing.catch(() => undefined);
  }
}

/** The file's position is where the last write ended. */
export async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await handle.write(bytes, at)).bytesWritten;
}
