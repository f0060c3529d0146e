import { isText, readLines, withLf } from "../line-ends.ts";
import type { TargetMail } from "../mail-place.ts";
import { formatFromDate } from "./from-line.ts";
import { writeFileFields } from "./mbox-fields.ts";
import { exportSender, isCountedKind, MBOX_LINE_BYTES_MAX, type MboxKind } from "./mbox-reader.ts";

type WrittenKind = Exclude<MboxKind, "mbox">;

/** Octets of a line that tell whether it is quoted. */
const LOOK_BYTES = 1000;
const QUOTED: Readonly<Record<WrittenKind, RegExp | undefined>> = {
  mboxrd: /^>*From /,
  mboxo: /^From /,
  mboxcl: /^From /,
  mboxcl2: undefined,
};

/**
 * One message of an mbox file, with its From_ line and the empty line behind it. Lines end with LF, unless that would lose
 * something. A message without a line end at its end gets one where the kind does not count octets.
 */
export async function* writeMessage(
  { received, flags, read }: Omit<TargetMail, "uid">,
  kind: WrittenKind,
): AsyncGenerator<Uint8Array> {
  const isRaw = !(await isText(read()));
  const open = (): AsyncIterable<Uint8Array> => (isRaw ? read() : withLf(read()));
  const head = [`From ${exportSender(kind, isRaw)} ${formatFromDate(received.timeMs)}`, ...writeFileFields(flags)];
  if (isCountedKind(kind)) head.push(`Content-Length: ${(await countBody(quotedLines(open(), kind))) ?? ""}`);
  yield Buffer.from(head.map((line) => `${line}\n`).join(""), "utf8");
  let last = 10;
  for await (const { octets } of quotedLines(open(), kind)) {
    yield octets;
    last = octets.at(-1) ?? last;
  }
  yield Buffer.from(last === 10 ? "\n" : "\n\n");
}

interface QuotedLine {
  readonly octets: Uint8Array;
  readonly inHeader: boolean;
  /** The empty line behind a header. */
  readonly isHeaderEnd: boolean;
}

async function* quotedLines(message: AsyncIterable<Uint8Array>, kind: WrittenKind): AsyncGenerator<QuotedLine> {
  let lineBegins = true;
  let inHeader = true;
  for await (const line of readLines(message, MBOX_LINE_BYTES_MAX)) {
    const text = lineBegins ? line.subarray(0, LOOK_BYTES).toString("latin1") : "";
    // A header is not counted: in mboxcl2, too, it must not hold what begins a message.
    const quoted = inHeader && kind === "mboxcl2" ? QUOTED.mboxrd : QUOTED[kind];
    if (quoted?.test(text)) yield { octets: Buffer.from(">"), inHeader, isHeaderEnd: false };
    const isHeaderEnd = inHeader && lineBegins && /^\r*\n$/.test(text);
    yield { octets: line, inHeader, isHeaderEnd };
    if (isHeaderEnd) inHeader = false;
    lineBegins = line.at(-1) === 10;
  }
}

/** Undefined if there is no end of a header to count from. */
async function countBody(lines: AsyncIterable<QuotedLine>): Promise<number | undefined> {
  let count: number | undefined;
  for await (const { octets, inHeader, isHeaderEnd } of lines)
    if (isHeaderEnd) count = 0;
    else if (!inHeader) count = (count ?? 0) + octets.length;
  return count;
}
