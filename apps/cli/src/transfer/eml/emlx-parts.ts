import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Part, scan } from "@restante/mime";
import { withCrlf } from "../line-ends.ts";

/** A part of a `.partial.emlx` whose octets lie in a file of its own. Places are octets from the start of the message. */
interface LeftOut {
  /** As IMAP numbers it: RFC 9051 §6.4.5.1. */
  readonly path: string;
  readonly headerStart: number;
  readonly bodyStart: number;
  readonly bodyEnd: number;
  readonly isMessage: boolean;
}

/** Where the octets of a part lie: in its transfer encoding, or without it. */
interface PartFile {
  readonly file: string;
  readonly isEncoded: boolean;
}

/** The parts that are left out of a message, each with its file; undefined for one that has none. */
export type LeftOutParts = readonly (LeftOut & { readonly at: PartFile | undefined })[];

/** Names the length of what was left out. */
const MARK = /^X-Apple-Content-Length:.*\r\n(?:[ \t].*\r\n)*/gim;
const ENCODING = /^Content-Transfer-Encoding:.*\r\n(?:[ \t].*\r\n)*/gim;
/** Octets of base64's lines: RFC 2045 §6.8. */
const LINE_BYTES = 57;

/** `message` has CRLF; `file` is the `.partial.emlx` that it lies in. */
export async function findLeftOut(file: string, message: Buffer): Promise<LeftOutParts> {
  const number = /(\d+)\.partial\.emlx$/i.exec(file)?.[1];
  const found: LeftOutParts[number][] = [];
  for (const part of leftOutOf(message)) {
    const at = number === undefined ? undefined : await findFile(dirname(file), number, part.path);
    found.push({ ...part, at });
  }
  return found;
}

/** A message with all parts of which it is known where they lie. */
export async function* fillIn(message: Buffer, parts: LeftOutParts): AsyncGenerator<Uint8Array> {
  let written = 0;
  for (const { headerStart, bodyStart, bodyEnd, isMessage, at } of parts) {
    if (!at) continue;
    yield message.subarray(written, headerStart);
    written = bodyEnd;
    const isBase64 = !at.isEncoded && !isMessage;
    let header = message.toString("latin1", headerStart, bodyStart).replace(/\r\n$/, "").replace(MARK, "");
    if (isBase64) header = `${header.replace(ENCODING, "")}Content-Transfer-Encoding: base64\r\n`;
    yield Buffer.from(`${header}\r\n`, "latin1");
    const octets = createReadStream(at.file);
    yield* isBase64 ? base64Lines(octets) : withCrlf(octets);
    if (message.toString("latin1", bodyEnd, bodyEnd + 2) !== "\r\n") yield Buffer.from("\r\n");
  }
  yield message.subarray(written);
}

/** From front to back. */
function leftOutOf(message: Buffer): LeftOut[] {
  const found: LeftOut[] = [];
  const left: { readonly part: Part; readonly path: string }[] = [];
  const enter = (part: Part, prefix: string): void => {
    const parts = part.kind === "multipart" ? part.children : [part];
    for (const [at, child] of [...parts.entries()].reverse()) left.push({ part: child, path: `${prefix}${at + 1}` });
  };
  enter(scan(message).root, "");
  for (let next = left.pop(); next; next = left.pop()) {
    const { part, path } = next;
    const { headerStart, bodyStart, bodyEnd, type } = part;
    const isEmpty = message.toString("latin1", bodyStart, bodyEnd).trim() === "";
    if (isEmpty && message.toString("latin1", headerStart, bodyStart).search(MARK) >= 0)
      found.push({ path, headerStart, bodyStart, bodyEnd, isMessage: type === "message" });
    else if (part.kind === "multipart") enter(part, `${path}.`);
    else if (part.kind === "message" && part.children[0]) enter(part.children[0], `${path}.`);
  }
  return found;
}

/** Beside the mail as `12.2.emlxpart`, or in `../Attachments/12/2/` under its own name. No link is followed. */
async function findFile(folder: string, number: string, path: string): Promise<PartFile | undefined> {
  const beside = await filesOf(folder, (name) => name.toLowerCase() === `${number}.${path}.emlxpart`);
  if (beside !== undefined) return { file: beside, isEncoded: true };
  const file = await filesOf(join(folder, "..", "Attachments", number, path), (name) => !name.startsWith("."));
  return file === undefined ? undefined : { file, isEncoded: false };
}

/** The one file of that folder that is meant; undefined for none, and where there are several. */
async function filesOf(folder: string, isMeant: (name: string) => boolean): Promise<string | undefined> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile() && isMeant(entry.name));
  return files.length === 1 ? join(folder, files[0]!.name) : undefined;
}

async function* base64Lines(source: AsyncIterable<Buffer>): AsyncGenerator<Uint8Array> {
  let rest: Buffer = Buffer.alloc(0);
  const lines = (bytes: Buffer): Buffer => Buffer.from(bytes.toString("base64").replace(/.{76}(?=.)/g, "$&\r\n"));
  let isFirst = true;
  for await (const piece of source) {
    const bytes = Buffer.concat([rest, piece]);
    const whole = bytes.length - (bytes.length % LINE_BYTES);
    if (whole > 0) {
      if (!isFirst) yield Buffer.from("\r\n");
      isFirst = false;
      yield lines(bytes.subarray(0, whole));
    }
    rest = bytes.subarray(whole);
  }
  if (rest.length === 0) return;
  if (!isFirst) yield Buffer.from("\r\n");
  yield lines(rest);
}
