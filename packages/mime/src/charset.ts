/** The library for charsets that TextDecoder lacks. A browser may not be able to load it, and does without. */
const iconv = await import("iconv-lite").then(
  (loaded) => loaded.default,
  () => undefined,
);

/** Labels that mail uses and the Encoding Standard doesn't know. */
const ALIASES: Record<string, string> = {
  ascii: "windows-1252",
  "ansi_x3.4-1968": "windows-1252",
  utf8mb4: "utf-8",
  "utf-8mb4": "utf-8",
  "unicode-1-1-utf-8": "utf-8",
  cp1250: "windows-1250",
  cp1251: "windows-1251",
  cp1252: "windows-1252",
  cp932: "shift_jis",
  ms932: "shift_jis",
  cp949: "euc-kr",
  ms949: "euc-kr",
  uhc: "euc-kr",
  cp936: "gbk",
  cp950: "big5",
  "iso-8859-8-i": "iso-8859-8",
  "iso-2022-jp-ms": "iso-2022-jp",
  "iso-2022-jp-1": "iso-2022-jp",
  "iso-2022-jp-2": "iso-2022-jp",
  "iso-2022-jp-3": "iso-2022-jp",
  cp874: "windows-874",
  "mac-roman": "macintosh",
  "x-mac-roman": "macintosh",
};
const UTF7_LABELS = new Set(["utf-7", "utf7", "unicode-1-1-utf-7", "x-unicode-2-0-utf-7", "csunicode11utf7"]);
/** Labels that TextDecoder has not and iconv-lite has: UTF-32, the code pages of DOS and of old Macs, other ways to write
 * ISO 8859. It takes "hex" and the like for charsets too, so nothing else is handed to it. */
const OTHERS =
  /^(?:utf-?32|utf-?32[bl]e|ucs-?4|(?:cp|ibm|csibm|cspc)?-?\d{3,5}|cspc8codepage437|cspc850multilingual|latin-?\d|iso[-_]?8859[-_]\d{1,2}|(?:x-)?mac-?[a-z]{4,12}|hp-?roman8|viscii|tcvn|armscii-?8|koi8-?t)$/;
type Decoder = InstanceType<typeof TextDecoder>;
/** Labels whose decoder is kept, and characters of one: the longest that is registered has 45. */
const DECODERS_KEPT = 1000;
const LABEL_CHARS_MAX = 64;
const decoders = new Map<string, Decoder | undefined>();

export interface DecodedText {
  readonly text: string;
  /** The label is not known: the text was read as windows-1252. */
  readonly unknownCharset?: string;
  /** Some of the bytes are none of the charset. */
  readonly isMalformed?: boolean;
}

/** Bytes of a charset as Unicode. Never throws: bytes that are none of it become U+FFFD. */
export function decodeCharset(bytes: Uint8Array, label: string): DecodedText {
  const name = nameOf(label);
  if (UTF7_LABELS.has(name)) return { text: decodeUtf7(bytes) };
  const decoder = findDecoder(isSwapped(bytes, name) ? "utf-16be" : name);
  if (decoder) {
    const text = decoder.decode(bytes);
    return text.includes("\ufffd") && isMalformed(bytes, decoder.encoding) ? { text, isMalformed: true } : { text };
  }
  if (iconv && isOther(name)) {
    const text = iconv.decode(bytes, name);
    return text.includes("\ufffd") ? { text, isMalformed: true } : { text };
  }
  return { text: findDecoder("windows-1252")!.decode(bytes), unknownCharset: label };
}

/** .NET has names of its own for the code pages of DOS. */
function nameOf(label: string): string {
  return label
    .trim()
    .toLowerCase()
    .replace(/^dos-(\d)/, "cp$1");
}

/** UTF-16 says by its byte order mark how it is written: RFC 2781 §4.3. */
function isSwapped(bytes: Uint8Array, name: string): boolean {
  return bytes[0] === 0xfe && bytes[1] === 0xff && findDecoder(name)?.encoding === "utf-16le";
}

/** True for a charset that `decodeCharset` knows, and doesn't read as another. */
export function isKnownCharset(label: string): boolean {
  const name = nameOf(label);
  return UTF7_LABELS.has(name) || findDecoder(name) !== undefined || isOther(name);
}

function isOther(name: string): boolean {
  return iconv !== undefined && OTHERS.test(name) && iconv.encodingExists(name);
}

/** U+FFFD may be a character of the text as well. */
function isMalformed(bytes: Uint8Array, encoding: string): boolean {
  try {
    new TextDecoder(encoding, { fatal: true }).decode(bytes);
    return false;
  } catch {
    // A TypeError is how the decoder says so.
    return true;
  }
}

function findDecoder(name: string): Decoder | undefined {
  if (name.length > LABEL_CHARS_MAX) return undefined;
  if (decoders.has(name)) return decoders.get(name);
  if (decoders.size >= DECODERS_KEPT) decoders.clear();
  let decoder: Decoder | undefined;
  try {
    decoder = new TextDecoder(ALIASES[name] ?? name);
  } catch {
    // A RangeError is how TextDecoder says that it doesn't know a label.
    decoder = undefined;
  }
  decoders.set(name, decoder);
  return decoder;
}

/** RFC 2152. Shifted runs are base64 of UTF-16; what is broken is left out. */
function decodeUtf7(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte & 0x7f);
  return text.replace(/\+([A-Za-z0-9+/]*)-?/g, (_, base64: string) => {
    if (base64 === "") return "+";
    let bits = 0;
    let count = 0;
    let out = "";
    for (const char of base64) {
      bits = ((bits << 6) | BASE64.indexOf(char)) & 0x3fffff;
      count += 6;
      if (count >= 16) {
        count -= 16;
        out += String.fromCharCode((bits >> count) & 0xffff);
      }
    }
    return out;
  });
}

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
