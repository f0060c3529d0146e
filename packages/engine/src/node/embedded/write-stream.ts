import type { FileHandle } from "node:fs/promises";
import { blocks } from "../../streams.ts";

/** Written at once. */
const BLOCK_BYTES: number = 512 * 1024;

/**
 * Writes all pieces of a stream to a file: a block is written while the next is filled, so that the disk and whoever makes
 * the pieces work at the same time. Pieces are copied as they come. Resolves with how many bytes it was; rejects as the
 * source or the file does, when nothing is being written any more.
 */
export async function writeStream(handle: FileHandle, source: AsyncIterable<Uint8Array>): Promise<number> {
  const filled = blocks(source, BLOCK_BYTES);
  let size = 0;
  try {
    for (let next = await filled.next(); !next.done; ) {
      size += next.value.length;
      const both = [filled.next(), writeAll(handle, next.value)] as const;
      await Promise.allSettled(both);
      [next] = await Promise.all(both);
    }
    return size;
  } finally {
    await filled.return(undefined);
  }
}

/** The file's position is where the last write ended. */
export async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await handle.write(bytes, at)).bytesWritten;
}
