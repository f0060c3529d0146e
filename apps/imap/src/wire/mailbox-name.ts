import { MAILBOX_NAME_CHARS_MAX } from "../limits.ts";
import { ImapSyntaxError } from "./parser.ts";

/** Mailbox names as IMAP4rev1 writes them, modified UTF-7: RFC 3501 §5.1.3. Inside Restante they are Unicode. */
const ENCODED = /&([A-Za-z0-9+,]*)-/g;

/** The name of a mailbox. Raw UTF-8 is taken too (some clients send it); throws on a `&` that begins no valid run. */
export function decodeMailboxName(name: string): string {
  let end = 0;
  const decoded = name.replace(ENCODED, (run: string, base64: string, at: number) => {
    if (name.slice(end, at).includes("&")) throw new ImapSyntaxError("Mailbox name is not modified UTF-7");
    end = at + run.length;
    return base64 === "" ? "&" : decodeRun(base64);
  });
  if (name.slice(end).includes("&")) throw new ImapSyntaxError("Mailbox name is not modified UTF-7");
  return decoded;
}

function decodeRun(base64: string): string {
  const padded = base64.replaceAll(",", "/").padEnd(Math.ceil(base64.length / 4) * 4, "=");
  let binary: string;
  try {
    binary = atob(padded);
  } catch {
    throw new ImapSyntaxError("Mailbox name is not modified UTF-7");
  }
  if (binary.length % 2 !== 0) throw new ImapSyntaxError("Mailbox name is not modified UTF-7");
  let text = "";
  for (let at = 0; at < binary.length; at += 2)
    text += String.fromCharCode(binary.charCodeAt(at) * 256 + binary.charCodeAt(at + 1));
  if (!text.isWellFormed()) throw new ImapSyntaxError("Mailbox name is not modified UTF-7");
  return text;
}

/** The name in modified UTF-7: printable ASCII only. */
export function encodeMailboxName(name: string): string {
  return name.replace(/&|[^\x20-\x7e]+/g, (run) => {
    if (run === "&") return "&-";
    let binary = "";
    for (let at = 0; at < run.length; at++)
      binary += String.fromCharCode(run.charCodeAt(at) >> 8, run.charCodeAt(at) & 0xff);
    return `&${btoa(binary).replaceAll("=", "").replaceAll("/", ",")}-`;
  });
}

/** No path has a control character: a name that begins so is no mailbox's, and none can be made of it. */
const NO_NAME = "\0";

/** The path that a name or a pattern means, composed (Unicode Annex 15): a mailbox has one name. It is written in modified
 * UTF-7, or as it is if `utf8`. One that is neither means none, and what is asked of it is answered so. */
export function pathOfName(name: string, utf8 = false): string {
  if (name.length > MAILBOX_NAME_CHARS_MAX) return NO_NAME + name;
  if (utf8) return name.normalize("NFC");
  try {
    return decodeMailboxName(name).normalize("NFC");
  } catch (error) {
    if (error instanceof ImapSyntaxError) return NO_NAME + name;
    throw error;
  }
}
