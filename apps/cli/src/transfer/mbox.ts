import { createReadStream, createWriteStream, type WriteStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { makeFolder } from "@restante/host";
import { formatFromDate, parseFromDate } from "./from-line.ts";
import { isAllCrlf, readLines, withCrlf } from "./line-ends.ts";
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
import { readFileFields, writeFileFields } from "./mbox-fields.ts";
import {
  EXPORT_SENDER,
  EXPORT_SENDER_RAW,
  findMessages,
  isExported,
  isExportedRaw,
  MBOX_LINE_BYTES_MAX,
  MboxError,
  type MboxKind,
  type MboxMessage,
  type Octets,
  readMessage,
} from "./mbox-reader.ts";

/**
 * mbox: RFC 4155. A file a mailbox; mailboxes below it lie in `NAME.sbd`, as Thunderbird has them; Apple's lie in
 * `NAME.mbox/mbox`. What the files' octets mean stands in mbox-reader.ts. An export quotes as mboxrd does, and lines end
 * with LF in its files if they all end with CRLF in the message. A message without a line end at its end gets one.
 */
/** Files that lie beside mail and are none. */
const COMPANIONS = /^table_of_contents$|\.(?:msf|dat|plist|json|html|log)$/i;

const QUOTED_LINE = /^>*From /;

export async function openMbox(root: string, kind: MboxKind): Promise<MailSource> {
  const folders: SourceFolder[] = [];
  const problems: string[] = [];
  let total = 0;
  const add = async (file: string, path: string): Promise<void> => {
    const { size } = await stat(file);
    total += size;
    folders.push({ path: path.normalize("NFC"), mails: () => readMails(file, size, kind, problems) });
  };
  const visit = async (folder: string, path: string): Promise<void> => {
    const entries = (await readdir(folder, { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      const file = join(folder, entry.name);
      if (entry.name.startsWith(".")) continue;
      if (entry.isFile() && COMPANIONS.test(entry.name) && !(await beginsWithFrom(file))) continue;
      const level = levelOf(entry.name.replace(entry.isDirectory() ? /\.(?:sbd|mbox)$/ : /\.mbox$/, ""));
      const below = path ? `${path}/${level}` : level;
      const isApples = entry.isFile() && entry.name === "mbox" && folder.endsWith(".mbox");
      if (entry.isDirectory()) await visit(file, below);
      else if (entry.isFile()) await add(file, isApples ? path : below);
      else problems.push(`${file} is neither a file nor a folder`);
    }
  };
  if ((await stat(root)).isDirectory()) await visit(root, "");
  else await add(root, "INBOX");
  return { total, folders, subscribed: await readSubscriptions(root), problems };
}

async function beginsWithFrom(file: string): Promise<boolean> {
  const { value } = await createReadStream(file, { end: 4 })[Symbol.asyncIterator]().next();
  return value !== undefined && Buffer.from(value as Uint8Array).toString("latin1") === "From ";
}

function octetsOf(file: string, size: number): Octets {
  return {
    size,
    async *read(start, end) {
      if (end > start) yield* createReadStream(file, { start, end: end - 1 });
    },
  };
}

async function* readMails(file: string, size: number, kind: MboxKind, problems: string[]): AsyncGenerator<SourceMail> {
  const octets = octetsOf(file, size);
  let expunged = 0;
  try {
    for await (const message of findMessages(octets, kind)) {
      const { isExpunged, flags } = readFileFields(message.fields, isExported(message) ? / +/ : /[\s,]+/);
      if (isExpunged) expunged++;
      else yield openMail(file, octets, message, flags, kind);
    }
  } catch (error) {
    if (!(error instanceof MboxError)) throw error;
    problems.push(`${file}, line ${error.line}: ${error.message}; the mails before it are imported`);
  }
  if (expunged > 0) process.stderr.write(`restante: ${file}: ${expunged} expunged messages are left out\n`);
}

function openMail(
  file: string,
  octets: Octets,
  message: MboxMessage,
  flags: readonly string[],
  kind: MboxKind,
): SourceMail {
  const read = (): AsyncIterable<Uint8Array> => readMessage(octets, message, kind);
  return {
    place: `${file}, line ${message.line}`,
    flags,
    received: parseFromDate(message.fromLine),
    weight: message.end - message.start,
    open: isExportedRaw(message) ? read : () => withCrlf(read()),
  };
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
    await makeFolder(dirname(file));
    this.#file = createWriteStream(file, { flags: "wx", mode: 0o600 });
  }

  async write({ received, flags, read }: TargetMail): Promise<void> {
    const isText = await isAllCrlf(read());
    const sender = isText ? EXPORT_SENDER : EXPORT_SENDER_RAW;
    const head = [`From ${sender} ${formatFromDate(received.timeMs)}`, ...writeFileFields(flags)];
    await pipeline(quotedLines(head, read(), isText), this.#file!, { end: false });
  }

  async end(subscribed: readonly string[]): Promise<void> {
    await this.#close();
    await writeSubscriptions(this.#root, subscribed);
  }

  async #close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    if (file) await new Promise<void>((resolve, reject) => file.once("error", reject).end(() => resolve()));
  }
}

async function* quotedLines(
  head: readonly string[],
  message: AsyncIterable<Uint8Array>,
  isText: boolean,
): AsyncGenerator<Uint8Array> {
  yield Buffer.from(formatLines(head));
  let lineBegins = true;
  for await (const line of readLines(message, MBOX_LINE_BYTES_MAX)) {
    const isQuoted = lineBegins && QUOTED_LINE.test(line.subarray(0, 200).toString("latin1"));
    lineBegins = line.at(-1) === 10;
    if (isQuoted) yield Buffer.from(">");
    yield isText && lineBegins ? Buffer.concat([line.subarray(0, -2), Buffer.from("\n")]) : line;
  }
  yield Buffer.from(lineBegins ? "\n" : "\n\n");
}
