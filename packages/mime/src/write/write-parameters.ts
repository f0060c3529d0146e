import { type FoldedLine, type HeaderStyle, utf8Length } from "./folded-line.ts";
import { oneLine } from "./write-text.ts";

/** Octets of a parameter's value: as many as its reader takes in pieces. */
const VALUE_BYTES_MAX = 2048;
/** Octets of a name and its value on a line, and of the signs around a piece of a longer value. */
const PIECE_BYTES_MAX = 74;
const PIECE_FRAME_BYTES = "*123*=".length;
const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`{|}~-]+$/;
/** A value without quotes: tokens that hold no sign of RFC 2231, which confuse programs. */
const BARE = /^[A-Za-z0-9!#$&+.^_`{|}~-]+$/;
const ATTRIBUTE_CHAR = /[A-Za-z0-9!#$&+.^_`{|}~-]/;
const NAME_CHARS_MAX = 40;
const utf8Encoder = new TextEncoder();

/** Parameters behind a value: RFC 2045 §5.1; RFC 2231 for what is not ASCII, or long. Throws RangeError for a name that is no
 * token, and for a value that is too long. */
export function writeParameters(
  line: FoldedLine,
  parameters: Readonly<Record<string, string>>,
  style: HeaderStyle,
): void {
  const seen = new Set<string>();
  for (const [name, value] of Object.entries(parameters)) {
    assertToken(name);
    // A reader takes the first: it must not be another's than the one that is meant.
    if (seen.has(name.toLowerCase())) throw new RangeError("a parameter that stands twice");
    seen.add(name.toLowerCase());
    if (name.length > NAME_CHARS_MAX || /[*'%]/.test(name)) throw new RangeError("not a parameter's name");
    for (const piece of piecesOf(name, oneLine(value), style)) {
      line.close(";");
      line.piece(piece);
    }
  }
}

export function assertToken(text: string): void {
  if (!TOKEN.test(text)) throw new RangeError("not a token");
}

function piecesOf(name: string, value: string, { utf8 }: HeaderStyle): string[] {
  const bytes = utf8Encoder.encode(value);
  if (bytes.length > VALUE_BYTES_MAX) throw new RangeError("a parameter is too long");
  const isPlain = utf8 || /^[\x20-\x7e]*$/.test(value);
  const whole = `${name}=${BARE.test(value) ? value : `"${value.replace(/["\\]/g, "\\$&")}"`}`;
  // Many programs decode encoded-words here, against RFC 2047 §5.
  if (isPlain && utf8Length(whole) <= PIECE_BYTES_MAX && !value.includes("=?")) return [whole];
  const pieces: string[] = [];
  let piece = "utf-8''";
  for (const char of value) {
    const encoded = ATTRIBUTE_CHAR.test(char) ? char : percent(char);
    if (piece.length + encoded.length > PIECE_BYTES_MAX - name.length - PIECE_FRAME_BYTES) {
      pieces.push(piece);
      piece = "";
    }
    piece += encoded;
  }
  pieces.push(piece);
  if (pieces.length === 1) return [`${name}*=${piece}`];
  return pieces.map((text, number) => `${name}*${number}*=${text}`);
}

function percent(char: string): string {
  return Array.from(utf8Encoder.encode(char), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(
    "",
  );
}
