const ascii = new TextDecoder("utf-8", { ignoreBOM: true });
/** Below this many octets making the text here is faster than a decoder's call. */
const SHORT_BYTES = 24;

/** Bytes as text of one character each, and back: header text before its charset is known. */
export function binaryText(bytes: Uint8Array): string {
  if (bytes.length > SHORT_BYTES) {
    // Nearly all header text is ASCII, which a decoder does many times faster.
    const text = ascii.decode(bytes);
    if (text.length === bytes.length && !NOT_ASCII.test(text)) return text;
  }
  if (bytes.length < 4096) return String.fromCharCode.apply(null, bytes as unknown as number[]);
  let text = "";
  for (let at = 0; at < bytes.length; at += 4096)
    text += String.fromCharCode.apply(null, bytes.subarray(at, at + 4096) as unknown as number[]);
  return text;
}

export function binaryBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i) & 0xff;
  return bytes;
}

const HIGH = /[\x80-\xff]/;
const NOT_ASCII = /[^\x00-\x7f]/;
const strict = new TextDecoder("utf-8", { fatal: true });
const western = new TextDecoder("windows-1252");

/** Unicode of header text that may hold raw 8-bit: UTF-8 if it is that, else windows-1252. */
export function decodeRaw(text: string): string {
  if (!HIGH.test(text)) return text;
  const bytes = binaryBytes(text);
  const whole = decodeStrict(bytes);
  if (whole !== undefined) return whole;
  // Text that ends within a character is UTF-8 all the same, if some other character of it is.
  const sound = bytes.subarray(0, endOfCharacters(bytes));
  const cut = sound.length < bytes.length && HIGH.test(text.slice(0, sound.length)) ? decodeStrict(sound) : undefined;
  return cut === undefined ? western.decode(bytes) : `${cut}\ufffd`;
}

function decodeStrict(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    // A TypeError is how the decoder says that it is no UTF-8.
    return undefined;
  }
}

/** Where the last character of UTF-8 begins if it is not whole, else where all ends. */
function endOfCharacters(bytes: Uint8Array): number {
  let start = bytes.length - 1;
  while (start > 0 && bytes.length - start < 3 && (bytes[start]! & 0xc0) === 0x80) start--;
  const lead = bytes[start]!;
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
  return start + length > bytes.length ? start : bytes.length;
}
