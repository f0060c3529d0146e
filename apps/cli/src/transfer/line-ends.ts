const CR = 13;
const LF = 10;

/**
 * A message as IMAP has it: line ends are CRLF. A file whose first line ends so is taken as it is; another gets a CR
 * before each LF that has none.
 */
export async function* withCrlf(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let asItIs: boolean | undefined;
  let last = 0;
  for await (const chunk of source) {
    if (asItIs === undefined) {
      const at = chunk.indexOf(LF);
      if (at >= 0) asItIs = (at === 0 ? last : chunk[at - 1]) === CR;
    }
    yield asItIs === true ? chunk : addCr(chunk, last);
    last = chunk.at(-1) ?? last;
  }
}

/** True if {@link withLf} loses nothing: each LF has its CR before it, and no line ends with another CR. */
export async function isText(source: AsyncIterable<Uint8Array>): Promise<boolean> {
  let before = 0;
  let last = 0;
  for await (const chunk of source) {
    for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, at + 1)) {
      const first = at === 0 ? last : chunk[at - 1];
      const second = at > 1 ? chunk[at - 2] : at === 1 ? last : before;
      if (first !== CR || second === CR) return false;
    }
    before = chunk.length > 1 ? chunk.at(-2)! : last;
    last = chunk.at(-1) ?? last;
  }
  return true;
}

/** Text with LF for CRLF. */
export async function* withLf(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let isHeld = false;
  for await (const chunk of source) {
    const out = new Uint8Array(chunk.length + 1);
    let length = 0;
    for (const byte of chunk) {
      if (isHeld && byte !== LF) out[length++] = CR;
      isHeld = byte === CR;
      if (!isHeld) out[length++] = byte;
    }
    if (length > 0) yield out.subarray(0, length);
  }
  if (isHeld) yield Uint8Array.of(CR);
}

function addCr(chunk: Uint8Array, before: number): Uint8Array {
  const out = new Uint8Array(chunk.length * 2);
  let length = 0;
  let last = before;
  for (const byte of chunk) {
    if (byte === LF && last !== CR) out[length++] = CR;
    out[length++] = byte;
    last = byte;
  }
  return out.subarray(0, length);
}

/** Lines with their ends, whatever these are; a line longer than `lineBytesMax` comes in pieces. */
export async function* readLines(source: AsyncIterable<Uint8Array>, lineBytesMax: number): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    let bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : Buffer.from(chunk);
    for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF)) {
      yield bytes.subarray(0, at + 1);
      bytes = bytes.subarray(at + 1);
    }
    if (bytes.length > lineBytesMax) {
      // A CR waits for its LF.
      const cut = bytes.at(-1) === CR ? bytes.length - 1 : bytes.length;
      yield bytes.subarray(0, cut);
      bytes = bytes.subarray(cut);
    }
    rest = bytes;
  }
  if (rest.length > 0) yield rest;
}

/** Octets that are written at once. */
const GATHERED_BYTES = 64 * 1024;

/** The same octets in fewer pieces. */
export async function* gathered(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of source) {
    held.push(piece);
    bytes += piece.length;
    if (bytes < GATHERED_BYTES) continue;
    yield Buffer.concat(held);
    [held, bytes] = [[], 0];
  }
  if (bytes > 0) yield Buffer.concat(held);
}
