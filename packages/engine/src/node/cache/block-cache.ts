import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";

/** Octets of one piece of an object: a range needs no other pieces than its own. */
export const BLOCK_BYTES: number = 64 * 1024;
/** Checksum of what follows, the object's size and its date. */
const HEAD_BYTES = 4 + 8 + 8;
/** Octets that a file takes beside its content, about. */
const FILE_BYTES = 512;

/** A block of an object, and what was said of the whole. */
export interface Block {
  readonly bytes: Uint8Array;
  readonly size: number;
  readonly created: number;
}

/**
 * Blocks of immutable objects in files, as sealed as they came, least recently used out first. It stays over a restart.
 * Nothing is synced: a block that a crash has left torn fails its checksum and is none. A cache that can't be read or
 * written is as good as empty, and whoever asked goes on without.
 */
export class BlockCache {
  readonly #folder: string;
  readonly #bytesMax: number;
  /** Told once when writing begins to fail. */
  readonly #warn: (error: unknown) => void;
  /** Sizes by file name, least recently used first. */
  readonly #files = new Map<string, number>();
  #bytes = 0;
  /** So many were written: no two write to one temporary file. */
  #written = 0;
  #known: Promise<void> | undefined;
  #isFailing = false;
  #hits = 0;
  #misses = 0;

  constructor(folder: string, bytesMax: number, warn: (error: unknown) => void) {
    this.#folder = folder;
    this.#bytesMax = bytesMax;
    this.#warn = warn;
  }

  /** Blocks that were asked for and kept, or not; bytes that are kept. */
  get counts(): { readonly hits: number; readonly misses: number; readonly bytes: number } {
    return { hits: this.#hits, misses: this.#misses, bytes: this.#bytes };
  }

  async get(name: string, block: number): Promise<Block | undefined> {
    const found = await this.#find(name, block);
    if (found) this.#hits++;
    else this.#misses++;
    return found;
  }

  async #find(name: string, block: number): Promise<Block | undefined> {
    await this.#lookOnce();
    const file = fileName(name, block);
    const length = this.#files.get(file);
    if (length === undefined) return undefined;
    // Gone or unreadable: the store has it, and is asked.
    const bytes = await readFile(join(this.#folder, file)).catch(() => undefined);
    const found = bytes && decode(bytes);
    this.#forget(file);
    if (found) this.#count(file, length);
    return found;
  }

  /** True if the block is kept, as far as is known without reading the folder. */
  has(name: string, block: number): boolean {
    return this.#files.has(fileName(name, block));
  }

  async put(name: string, block: number, content: Block): Promise<void> {
    await this.#lookOnce();
    const file = fileName(name, block);
    const bytes = encode(content);
    const temporary = join(this.#folder, `${file}.${process.pid}-${++this.#written}`);
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      await writeFile(temporary, bytes, { mode: 0o600 });
      await rename(temporary, join(this.#folder, file));
      this.#forget(file);
      this.#count(file, bytes.length);
      await this.#evict();
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing) this.#warn(error);
      this.#isFailing = true;
    }
  }

  /** Drops all blocks of these objects. */
  async drop(names: readonly string[]): Promise<void> {
    await this.#lookOnce();
    const objects = new Set(names.map(objectHash));
    for (const file of [...this.#files.keys()])
      if (objects.has(file.slice(0, file.indexOf("-")))) await this.#remove(file);
  }

  /** Reads once which files an earlier process left. */
  #lookOnce(): Promise<void> {
    this.#known ??= this.#look().catch((error: unknown) => {
      // A folder that is not there yet is an empty cache.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") this.#warn(error);
    });
    return this.#known;
  }

  async #look(): Promise<void> {
    const found = await Promise.all(
      (await readdir(this.#folder)).map(async (name) => ({ name, ...(await stat(join(this.#folder, name))) })),
    );
    for (const { name, size } of found.sort((a, b) => a.mtimeMs - b.mtimeMs)) this.#count(name, size);
    await this.#evict();
  }

  #count(file: string, length: number): void {
    this.#files.set(file, length);
    this.#bytes += length + FILE_BYTES;
  }

  #forget(file: string): void {
    const length = this.#files.get(file);
    if (length === undefined) return;
    this.#files.delete(file);
    this.#bytes -= length + FILE_BYTES;
  }

  async #evict(): Promise<void> {
    for (const file of this.#files.keys()) {
      if (this.#bytes <= this.#bytesMax) return;
      await this.#remove(file);
    }
  }

  async #remove(file: string): Promise<void> {
    this.#forget(file);
    await rm(join(this.#folder, file), { force: true });
  }
}

function fileName(name: string, block: number): string {
  return `${objectHash(name)}-${block}`;
}

/** Names tell accounts apart, which is nothing that a listing of files is to show. */
function objectHash(name: string): string {
  return createHash("sha256").update(name).digest("hex");
}

function encode({ bytes, size, created }: Block): Uint8Array {
  const file = Buffer.alloc(HEAD_BYTES + bytes.length);
  file.writeDoubleBE(size, 4);
  file.writeDoubleBE(created, 12);
  file.set(bytes, HEAD_BYTES);
  file.writeUInt32BE(crc32(file.subarray(4)), 0);
  return file;
}

function decode(file: Buffer): Block | undefined {
  if (file.length < HEAD_BYTES || file.readUInt32BE(0) !== crc32(file.subarray(4))) return undefined;
  const bytes = new Uint8Array(file.buffer, file.byteOffset + HEAD_BYTES, file.length - HEAD_BYTES);
  return { bytes, size: file.readDoubleBE(4), created: file.readDoubleBE(12) };
}
