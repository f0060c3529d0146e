import { createReadStream, createWriteStream, type WriteStream } from "node:fs";
import { mkdir, open, readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { readLines, withCrlf } from "./line-ends.ts";
import {
  fileNameOf,
  formatLines,
  levelOf,
  type MailSource,
  type MailTarget,
  readSubscriptions,
  type SourceFolder,
  type SourceMail,
  type TargetMail,
  writeSubscriptions,
} from "./mail-place.ts";

/**
 * mbox: RFC 4155. A file a mailbox; mailboxes below it lie in `NAME.sbd`, as Thunderbird has them. Lines that begin with
 * `From ` are quoted as mboxrd does: each `>*From ` gets one `>` more, so that unquoting gives back what was there.
 * `mboxo:` reads files of programs that quoted `From ` alone. Flags stand in Status, X-Status and X-Keywords; these
 * fields belong to the file and are no part of the message.
 *
 * Lines end with LF in the file. A message without a line end at its end gets one.
 */
const LINE_BYTES_MAX: number = 64 * 1024;
const STATUS = { R: "\\Seen" } as const;
const X_STATUS = { A: "\\Answered", F: "\\Flagged", D: "\\Deleted", T: "\\Draft" } as const;
const OWN_FIELD = /^(status|x-status|x-keywords|x-uid|x-imap|x-imapbase):(.*)$/is;
const FROM_LINE = /^From \S.*\d/;
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"] as const;
const MONTHS: readonly string[] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export async function openMbox(root: string, quoting: "mboxrd" | "mboxo"): Promise<MailSource> {
  const folders: SourceFolder[] = [];
  let total = 0;
  const add = async (file: string, path: string): Promise<void> => {
    const { size } = await stat(file);
    if (size > 0 && !(await beginsWithFrom(file))) return;
    total += size;
    folders.push({ path, mails: () => readMails(file, quoting) });
  };
  const visit = async (folder: string, path: string): Promise<void> => {
    const entries = (await readdir(folder, { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      if (entry.name.startsWith(".") || entry.name.endsWith(".msf")) continue;
      const level = levelOf(entry.isDirectory() ? entry.name.replace(/\.sbd$/, "") : entry.name);
      const below = path ? `${path}/${level}` : level;
      if (entry.isDirectory()) await visit(join(folder, entry.name), below);
      else if (entry.isFile()) await add(join(folder, entry.name), below);
    }
  };
  if ((await stat(root)).isDirectory()) await visit(root, "");
  else await add(root, "INBOX");
  return { total, folders, subscribed: await readSubscriptions(root) };
}

async function beginsWithFrom(file: string): Promise<boolean> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(5), 0, 5, 0);
    return buffer.subarray(0, bytesRead).toString("latin1") === "From ";
  } finally {
    await handle.close();
  }
}

/** One message's place in the file. */
interface Found {
  readonly start: number;
  end: number;
  readonly fromLine: string;
  readonly fields: string[];
}

/** One pass finds where messages begin; each is read from there when it is asked for. */
async function* readMails(file: string, quoting: "mboxrd" | "mboxo"): AsyncGenerator<SourceMail> {
  let found: Found | undefined;
  let at = 0;
  let afterEmpty = true;
  let inHeader = false;
  let lineBegins = true;
  for await (const line of readLines(createReadStream(file), LINE_BYTES_MAX)) {
    const text = line.length > 1000 ? "" : line.toString("latin1");
    const ends = line.at(-1) === 10;
    if (lineBegins && afterEmpty && FROM_LINE.test(text)) {
      if (found) yield openMail(file, found, quoting);
      found = { start: at + line.length, end: at + line.length, fromLine: text.trim(), fields: [] };
      inHeader = true;
      afterEmpty = false;
    } else if (found) {
      afterEmpty = lineBegins && /^\r?\n$/.test(text);
      if (inHeader && afterEmpty) inHeader = false;
      else if (inHeader && OWN_FIELD.test(text.trim())) found.fields.push(text.trim());
      // The empty line before the next From line belongs to neither.
      found.end = at + line.length;
    }
    lineBegins = ends;
    at += line.length;
  }
  if (found) yield openMail(file, found, quoting);
}

function openMail(file: string, { start, end, fromLine, fields }: Found, quoting: "mboxrd" | "mboxo"): SourceMail {
  return {
    place: `${file} at byte ${start}`,
    flags: fields.flatMap(flagsIn),
    received: parseFromDate(fromLine),
    weight: end - start,
    open: () => withCrlf(messageLines(file, start, end, quoting)),
  };
}

function flagsIn(field: string): string[] {
  const [, name, value] = OWN_FIELD.exec(field)!;
  const letters = (table: Readonly<Record<string, string>>): string[] =>
    [...value!].map((letter) => table[letter]).filter((flag) => flag !== undefined);
  switch (name!.toLowerCase()) {
    case "status":
      return letters(STATUS);
    case "x-status":
      return letters(X_STATUS);
    case "x-keywords":
      return value!
        .trim()
        .split(/[\s,]+/)
        .filter((keyword) => keyword !== "");
    default:
      return [];
  }
}

/** The time at the end of a From line, in UTC: RFC 4155, Appendix A. */
function parseFromDate(line: string): SourceMail["received"] {
  const match = /(\w{3}) +(\d{1,2}) (\d{2}):(\d{2})(?::(\d{2}))?(?: \S+)? (\d{4})$/.exec(line);
  const month = MONTHS.indexOf(match?.[1] ?? "");
  if (!match || month < 0) return undefined;
  const [, , day, hour, minute, second, year] = match.map(Number);
  return { timeMs: Date.UTC(year!, month, day, hour, minute, second || 0), zoneMinutes: 0 };
}

function formatFromDate(timeMs: number): string {
  const date = new Date(timeMs);
  const two = (value: number): string => String(value).padStart(2, "0");
  const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two).join(":");
  const day = String(date.getUTCDate()).padStart(2, " ");
  return `${DAYS[date.getUTCDay()]} ${MONTHS[date.getUTCMonth()]} ${day} ${time} ${date.getUTCFullYear()}`;
}

/** The message's lines, unquoted, without the fields that are the file's, and without the empty line behind it. */
async function* messageLines(
  file: string,
  start: number,
  end: number,
  quoting: "mboxrd" | "mboxo",
): AsyncGenerator<Uint8Array> {
  if (end <= start) return;
  const quoted = quoting === "mboxrd" ? /^>+From / : /^>From /;
  let inHeader = true;
  let lineBegins = true;
  let empty: Buffer | undefined;
  for await (const line of readLines(createReadStream(file, { start, end: end - 1 }), LINE_BYTES_MAX)) {
    if (empty) yield empty;
    empty = undefined;
    const text = line.subarray(0, 200).toString("latin1");
    const begins = lineBegins;
    lineBegins = line.at(-1) === 10;
    if (!begins) yield line;
    else if (/^\r?\n$/.test(text)) {
      if (inHeader) yield line;
      else empty = line;
      inHeader = false;
    } else if (inHeader && OWN_FIELD.test(text.trim())) continue;
    else yield quoted.test(text) ? line.subarray(1) : line;
  }
}

export class MboxTarget implements MailTarget {
  readonly #root: string;
  #file: WriteStream | undefined;

  constructor(root: string) {
    this.#root = root;
  }

  async begin(path: string): Promise<void> {
    await this.#close();
    const levels = path.split("/").map(fileNameOf);
    const file = join(this.#root, ...levels.slice(0, -1).map((level) => `${level}.sbd`), levels.at(-1)!);
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    this.#file = createWriteStream(file, { flags: "wx", mode: 0o600 });
  }

  async write({ received, flags, read }: TargetMail): Promise<void> {
    const head = [`From restante@localhost ${formatFromDate(received.timeMs)}`, ...statusFields(flags)];
    await pipeline(quotedLines(head, read()), this.#file!, { end: false });
  }

  async end(subscribed: readonly string[]): Promise<void> {
    await this.#close();
    await writeSubscriptions(this.#root, subscribed);
  }

  async #close(): Promise<void> {
    const file = this.#file;
    if (file) await new Promise<void>((resolve, reject) => file.once("error", reject).end(() => resolve()));
  }
}

function statusFields(flags: readonly string[]): string[] {
  const letters = (table: Readonly<Record<string, string>>): string =>
    Object.keys(table)
      .filter((letter) => flags.includes(table[letter]!))
      .join("");
  const keywords = flags.filter((flag) => !flag.startsWith("\\"));
  return [
    // O: it is no longer new to the file.
    `Status: ${letters(STATUS)}O`,
    ...(letters(X_STATUS) ? [`X-Status: ${letters(X_STATUS)}`] : []),
    ...(keywords.length > 0 ? [`X-Keywords: ${keywords.join(" ")}`] : []),
  ];
}

async function* quotedLines(head: readonly string[], message: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield Buffer.from(formatLines(head));
  let inHeader = true;
  let lineBegins = true;
  for await (const line of readLines(message, LINE_BYTES_MAX)) {
    const text = line.subarray(0, 200).toString("latin1");
    if (lineBegins && /^\r?\n$/.test(text)) inHeader = false;
    const isOwn = inHeader && lineBegins && OWN_FIELD.test(text.trim());
    const isQuoted = lineBegins && /^>*From /.test(text);
    lineBegins = line.at(-1) === 10;
    if (isOwn) continue;
    if (isQuoted) yield Buffer.from(">");
    yield line.at(-2) === 13 && lineBegins ? Buffer.concat([line.subarray(0, -2), Buffer.from("\n")]) : line;
  }
  yield Buffer.from(lineBegins ? "\n" : "\n\n");
}
