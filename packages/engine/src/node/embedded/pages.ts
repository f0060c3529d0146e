import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/** https://sqlite.org/fileformat2.html §1.3: where the head of the file says how large pages are, and what it begins with. */
const MAGIC = "SQLite format 3\0";
const PAGE_SIZE_AT = 16;
/** Page size of our stores, for a file whose head does not tell it. */
const PAGE_SIZE = 4096;
/** §4.1: the head of the write-ahead log, and that of a frame. */
const LOG_HEAD = 32;
const LOG_MAGIC = 0x377f0682;
const FRAME_HEAD = 24;

/**
 * The pages of an SQLite file as its last commit left them, those in the write-ahead log included, read without SQLite:
 * so whatever else is damaged keeps none back. Nobody else may have the file open.
 */
export class Pages implements Disposable {
  readonly size: number;
  /** Pages are numbered from 1 to this. */
  readonly count: number;
  readonly #file: number;
  readonly #log: number | undefined;
  /** Where in the log a page's newest committed copy lies. */
  readonly #logged = new Map<number, number>();

  constructor(path: string) {
    this.#file = openSync(path, "r");
    this.#log = openIfThere(`${path}-wal`);
    const head = this.#bytes(this.#file, 0, 100);
    const sound = head.length === 100 && head.toString("latin1", 0, 16) === MAGIC;
    const size = sound ? head.readUInt16BE(PAGE_SIZE_AT) : PAGE_SIZE;
    this.size = size >= 512 && (size & (size - 1)) === 0 ? size : PAGE_SIZE;
    const inLog = this.#log === undefined ? 0 : this.#readLog(this.#log);
    this.count = Math.max(inLog, Math.floor(fstatSync(this.#file).size / this.size));
  }

  /** A copy of the page; zeros where the file ends before it. */
  read(page: number): Buffer {
    const logged = this.#logged.get(page);
    const bytes =
      logged === undefined
        ? this.#bytes(this.#file, (page - 1) * this.size, this.size)
        : this.#bytes(this.#log!, logged, this.size);
    return bytes.length === this.size ? bytes : Buffer.concat([bytes], this.size);
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
    if (this.#log !== undefined) closeSync(this.#log);
  }

  /** Notes where the committed frames lie; returns how many pages the last commit left, 0 if there was none. §4.2 */
  #readLog(log: number): number {
    const head = this.#bytes(log, 0, LOG_HEAD);
    if (head.length < LOG_HEAD || (head.readUInt32BE(0) & ~1) !== LOG_MAGIC) return 0;
    if (head.readUInt32BE(8) !== this.size) return 0;
    const isBig = (head.readUInt32BE(0) & 1) === 1;
    let sum = checksum(isBig, [0, 0], head.subarray(0, 24));
    if (!isSum(sum, head, 24)) return 0;
    let count = 0;
    const uncommitted = new Map<number, number>();
    for (let at = LOG_HEAD; ; at += FRAME_HEAD + this.size) {
      const frame = this.#bytes(log, at, FRAME_HEAD + this.size);
      if (frame.length < FRAME_HEAD + this.size || frame.compare(head, 16, 24, 8, 16) !== 0) return count;
      sum = checksum(isBig, checksum(isBig, sum, frame.subarray(0, 8)), frame.subarray(FRAME_HEAD));
      if (!isSum(sum, frame, 16)) return count;
      uncommitted.set(frame.readUInt32BE(0), at + FRAME_HEAD);
      const pages = frame.readUInt32BE(4);
      if (pages === 0) continue;
      count = pages;
      for (const [page, place] of uncommitted) this.#logged.set(page, place);
      uncommitted.clear();
    }
  }

  #bytes(file: number, at: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    let read = 0;
    while (read < length) {
      const more = readSync(file, bytes, read, length - read, at + read);
      if (more === 0) break;
      read += more;
    }
    return bytes.subarray(0, read);
  }
}

type Sum = readonly [number, number];

function checksum(isBig: boolean, [first, second]: Sum, bytes: Buffer): Sum {
  for (let at = 0; at < bytes.length; at += 8) {
    first = (first + second + (isBig ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at))) >>> 0;
    second = (second + first + (isBig ? bytes.readUInt32BE(at + 4) : bytes.readUInt32LE(at + 4))) >>> 0;
  }
  return [first, second];
}

function isSum([first, second]: Sum, bytes: Buffer, at: number): boolean {
  return bytes.readUInt32BE(at) === first && bytes.readUInt32BE(at + 4) === second;
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
