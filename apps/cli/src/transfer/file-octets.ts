import { createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { Octets } from "./mbox/mbox-reader.ts";

/** Octets that are read at once. */
const READ_BYTES = 64 * 1024;

/** A file's first octets, one character each. */
export async function readHead(file: string, bytes: number): Promise<string> {
  await using octets = await FileOctets.open(file);
  const pieces = await Array.fromAsync(octets.read(0, Math.min(octets.size, bytes)));
  return Buffer.concat(pieces).toString("latin1");
}

/** A file, held open for many short reads; what is read once it is let go opens it anew. */
export class FileOctets implements Octets, AsyncDisposable {
  readonly #file: string;
  readonly size: number;
  #handle: FileHandle | undefined;

  private constructor(file: string, size: number, handle: FileHandle) {
    this.#file = file;
    this.size = size;
    this.#handle = handle;
  }

  static async open(file: string): Promise<FileOctets> {
    const handle = await open(file);
    const { size } = await handle.stat();
    return new FileOctets(file, size, handle);
  }

  async *read(start: number, end: number): AsyncGenerator<Uint8Array> {
    for (let at = start; at < end; ) {
      const handle = this.#handle;
      if (!handle) {
        yield* createReadStream(this.#file, { start: at, end: end - 1 });
        return;
      }
      const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, end - at));
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) throw new Error("the file became shorter while it was read");
      yield buffer.subarray(0, bytesRead);
      at += bytesRead;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }
}
