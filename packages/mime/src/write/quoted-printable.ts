/** Characters of one line: RFC 2045 §6.7 rule 5. */
const LINE_CHARS = 76;
const HEX = "0123456789ABCDEF";
const CR = 0x0d;
const LF = 0x0a;
const EQUALS = 0x3d;
const DOT = 0x2e;
/** `From ` */
const FROM = [0x46, 0x72, 0x6f, 0x6d, 0x20] as const;

/** 1 for octets that stand for themselves in the midst of a line. */
const STANDS: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte === 0x20 || (byte > 0x20 && byte < 0x7f && byte !== EQUALS) ? 1 : 0,
);

/** Octets in quoted-printable: RFC 2045 §6.7. CRLF stays a line end; all else that a gateway might change is escaped, as are
 * dots and "From " at the beginning of a line (RFC 2049 §3). */
export function quotedPrintable(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length * 3 + 2 * Math.ceil((bytes.length * 3) / (LINE_CHARS - 3)) + 2);
  let to = 0;
  let column = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    // Nearly all octets of a text.
    if (column > 0 && column < LINE_CHARS - 1 && (byte > 0x20 || bytes[at + 1]! > 0x20) && STANDS[byte] === 1) {
      out[to++] = byte;
      column++;
      continue;
    }
    if (byte === CR && bytes[at + 1] === LF) {
      out[to++] = CR;
      out[to++] = LF;
      at++;
      column = 0;
      continue;
    }
    const width = isPlain(bytes, at, column) ? 1 : 3;
    // The last column is for the sign of a soft break, unless the line ends here.
    const room = isLineEnd(bytes, at + 1) ? LINE_CHARS : LINE_CHARS - 1;
    if (column + width > room) {
      out[to++] = EQUALS;
      out[to++] = CR;
      out[to++] = LF;
      column = 0;
      at--;
      continue;
    }
    if (width === 1) out[to++] = byte;
    else {
      out[to++] = EQUALS;
      out[to++] = HEX.charCodeAt(byte >> 4);
      out[to++] = HEX.charCodeAt(byte & 15);
    }
    column += width;
  }
  return out.slice(0, to);
}

function isPlain(bytes: Uint8Array, at: number, column: number): boolean {
  const byte = bytes[at]!;
  if (byte === 0x20 || byte === 0x09) return !isLineEnd(bytes, at + 1);
  if (byte < 0x21 || byte > 0x7e || byte === EQUALS) return false;
  if (column > 0) return true;
  return byte !== DOT && !FROM.every((octet, index) => bytes[at + index] === octet);
}

function isLineEnd(bytes: Uint8Array, at: number): boolean {
  return at >= bytes.length || (bytes[at] === CR && bytes[at + 1] === LF);
}
