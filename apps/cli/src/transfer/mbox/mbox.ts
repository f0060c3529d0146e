import { type FileHandle, open, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { makeFolder } from "@restante/host";
import { fileNameOf, levelOf } from "../file-names.ts";
import { FileOctets, readHead } from "../file-octets.ts";
import { walkFolders } from "../folder-walk.ts";
import { gathered, withCrlf } from "../line-ends.ts";
import {
  type Destination,
  type MailSource,
  type MailTarget,
  readSubscriptions,
  type SourceFolder,
  type SourceMail,
  type TargetMail,
  writeSubscriptions,
} from "../mail-place.ts";
import { parseFromDate } from "./from-line.ts";
import { type Labelled, readTakeoutLabels } from "./gmail-labels.ts";
import { readFileFields } from "./mbox-fields.ts";
import {
  exportOf,
  findMessages,
  MboxError,
  type MboxKind,
  type MboxMessage,
  type Octets,
  readMessage,
} from "./mbox-reader.ts";
import { writeMessage } from "./mbox-writer.ts";

/**
 * mbox: RFC 4155. A file a mailbox; mailboxes below it lie in `NAME.sbd`, as Thunderbird has them; Apple's lie in
 * `NAME.mbox/mbox`. mbox-reader.ts and mbox-writer.ts say what the files' octets mean.
 */
/** Files that lie beside mail and are none. */
const COMPANIONS = /^table_of_contents$|\.(?:msf|dat|plist|json|html|log)$/i;
const APPLE_FOLDER = /\.mbox$/i;

export async function openMbox(root: string, kind: MboxKind): Promise<MailSource> {
  const problems: string[] = [];
  const notices: string[] = [];
  const told: Told = { problems, notices };
  const subscribed = await readSubscriptions(root);
  const folders: SourceFolder[] = [];
  let total = 0;
  const add = async (file: string, path: string): Promise<void> => {
    const { size } = await stat(file);
    total += size;
    folders.push({ path, subscribed: subscribed(path), mails: () => readMails(file, kind, told) });
  };
  if ((await stat(root)).isFile()) await add(root, "INBOX");
  else
    for await (const { folder, levels, files } of walkFolders(root, { onProblem: (text) => problems.push(text) })) {
      const above = levels.map((name) => levelOf(name.replace(/\.(?:sbd|mbox)$/i, "")));
      for (const name of files) {
        const file = join(folder, name);
        if (name.startsWith(".") || (COMPANIONS.test(name) && !(await readHead(file, 5)).startsWith("From "))) continue;
        const isApples = name === "mbox" && APPLE_FOLDER.test(basename(resolve(folder)));
        const path = [...above, ...(isApples ? [] : [levelOf(name.replace(/\.mbox$/i, ""))])].join("/");
        await add(file, path || "INBOX");
      }
    }
  return { total, unit: "bytes", folders, problems, notices };
}

/** Lists that a reader of mbox files adds sentences to. */
export type Told = Pick<MailSource, "problems" | "notices">;

/** The mails of one file. */
export async function* readMails(
  file: string,
  kind: MboxKind,
  { problems, notices }: Told,
): AsyncGenerator<SourceMail> {
  let expunged = 0;
  try {
    await using octets = await FileOctets.open(file);
    for await (const message of findMessages(octets, kind)) {
      const separator = exportOf(message) ? / +/ : /[\s,]+/;
      const { isExpunged, flags, labels } = readFileFields(message.fields, separator, message.leading);
      if (isExpunged) expunged++;
      else
        yield openMail({
          file,
          octets,
          message,
          flags,
          labelled: labels ? readTakeoutLabels(labels) : undefined,
          kind,
        });
    }
  } catch (error) {
    problems.push(
      error instanceof MboxError
        ? `${file}, line ${error.line}: ${error.message}; ${error.line > 1 ? "the mails before it are imported" : "nothing of it is imported"}`
        : `${file} can't be read to its end: ${(error as Error).message}`,
    );
  }
  if (expunged > 0)
    notices.push(`${file}: ${expunged} messages are left out that were expunged before, and wait there for compacting`);
}

interface FoundMail {
  readonly file: string;
  readonly octets: Octets;
  readonly message: MboxMessage;
  readonly flags: readonly string[];
  readonly labelled: Labelled | undefined;
  readonly kind: MboxKind;
}

function openMail({ file, octets, message, flags, labelled, kind }: FoundMail): SourceMail {
  const read = (): AsyncIterable<Uint8Array> => gathered(readMessage(octets, message, kind));
  const into: readonly Destination[] | undefined = labelled?.into;
  return {
    place: `${file}, line ${message.line}`,
    flags: [...new Set([...flags, ...(labelled?.flags ?? [])])],
    received: parseFromDate(message.fromLine),
    weight: message.end - message.start,
    into,
    open: exportOf(message)?.isRaw ? read : () => withCrlf(read()),
  };
}

export class MboxTarget implements MailTarget {
  readonly #root: string;
  readonly #kind: Exclude<MboxKind, "mbox">;
  #file: FileHandle | undefined;

  constructor(root: string, kind: Exclude<MboxKind, "mbox">) {
    this.#root = root;
    this.#kind = kind;
  }

  async begin(path: string): Promise<readonly string[]> {
    await this.#close();
    const levels = path.split("/").map(fileNameOf);
    const file = join(this.#root, ...levels.slice(0, -1).map((level) => `${level}.sbd`), levels.at(-1)!);
    await makeFolder(dirname(file));
    this.#file = await open(file, "wx", 0o600);
    return [];
  }

  async write(mail: TargetMail): Promise<void> {
    await this.#file!.appendFile(gathered(writeMessage(mail, this.#kind)));
  }

  async end(subscribed: readonly string[]): Promise<void> {
    await this.#close();
    await writeSubscriptions(this.#root, subscribed);
  }

  async #close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }
}
