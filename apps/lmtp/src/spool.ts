import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { open, unlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HELD_BYTES_MAX } from "./limits.ts";

/** A message that can be read as often as it has recipients. */
export interface Spooled extends AsyncDisposable {
  read(): AsyncIterable<Uint8Array>;
}

const PIECE_BYTES: number = 64 * 1024;

/**
 * Holds a message for its recipients: small ones in memory, larger ones in a file that is encrypted under a key which
 * exists in memory alone, and has no name by the time anything is in it.
 */
export async function spool(source: AsyncIterable<Uint8Array>): Promise<Spooled> {
  const held: Uint8Array[] = [];
  let size = 0;
  const pieces = source[Symbol.asyncIterator]();
  for (;;) {
    const next = await pieces.next();
    if (next.done) return inMemory(held);
    held.push(next.value);
    size += next.value.length;
    if (size > HELD_BYTES_MAX) return inFile(held, { [Symbol.asyncIterator]: () => pieces });
  }
}

function inMemory(held: readonly Uint8Array[]): Spooled {
  return {
    async *read() {
      yield* held;
    },
    async [Symbol.asyncDispose]() {},
  };
}

async function inFile(first: readonly Uint8Array[], rest: AsyncIterable<Uint8Array>): Promise<Spooled> {
  const path = join(tmpdir(), `restante-spool-${randomBytes(8).toString("hex")}`);
  const handle = await open(path, "wx+", 0o600);
  await unlink(path);
  const key = randomBytes(32);
  const nonce = randomBytes(16);
  let size = 0;
  // Confidentiality is what is wanted of it: the file is ours alone and lives for one delivery.
  const cipher = createCipheriv("chacha20", key, nonce);
  const write = async (piece: Uint8Array): Promise<void> => {
    await handle.write(cipher.update(piece));
    size += piece.length;
  };
  try {
    for (const piece of first) await write(piece);
    for await (const piece of rest) await write(piece);
  } catch (error) {
    await handle.close();
    throw error;
  }
  return {
    async *read() {
      const decipher = createDecipheriv("chacha20", key, nonce);
      for (let at = 0; at < size; ) {
        const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(PIECE_BYTES), 0, PIECE_BYTES, at);
        if (bytesRead === 0) throw new Error("spool file is shorter than it was");
        at += bytesRead;
        yield decipher.update(buffer.subarray(0, bytesRead));
      }
    },
    async [Symbol.asyncDispose]() {
      key.fill(0);
      await handle.close();
    },
  };
}
