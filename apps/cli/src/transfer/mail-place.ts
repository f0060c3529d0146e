import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { MailDate } from "@restante/mime";
import type { MboxKind } from "./mbox-reader.ts";

/** Beside exported mbox and .eml files: the paths that are subscribed, one a line. */
const SUBSCRIPTIONS_FILE = ".subscriptions";

/** Mail outside the store, as an import reads it. */
export interface MailSource {
  /** What a progress bar counts: messages, or bytes where counting messages would mean to read all. */
  readonly total: number;
  readonly folders: readonly SourceFolder[];
  /** Paths that are subscribed; undefined if the source does not say: then all are. */
  readonly subscribed: ReadonlySet<string> | undefined;
  /** What could not be read, each a sentence that names its place. Grows while mails are read. */
  readonly problems: string[];
}

export interface SourceFolder {
  /** The mailbox's path: Unicode, levels divided by `/`. */
  readonly path: string;
  mails(): AsyncIterable<SourceMail>;
}

export interface SourceMail {
  /** Where it lies, for messages to people. */
  readonly place: string;
  readonly flags: readonly string[];
  /** INTERNALDATE; undefined if the source does not tell: then the mail's own fields do. */
  readonly received: MailDate | undefined;
  /** Its part of {@link MailSource.total}. */
  readonly weight: number;
  /** The message with CRLF line ends; may be called again. */
  open(): AsyncIterable<Uint8Array>;
}

/** Mail outside the store, as an export writes it. */
export interface MailTarget {
  /** Begins a mailbox; its mails follow. */
  begin(path: string, keywords: readonly string[]): Promise<void>;
  write(mail: TargetMail): Promise<void>;
  /** All is written. */
  end(subscribed: readonly string[]): Promise<void>;
}

export interface TargetMail {
  readonly uid: number;
  readonly received: MailDate;
  readonly flags: readonly string[];
  read(): AsyncIterable<Uint8Array>;
}

export type TransferFormat = "maildir" | "eml" | MboxKind;

/** `maildir:PATH` and so on. Undefined if it is none. */
export function parsePlace(text: string): { readonly format: TransferFormat; readonly path: string } | undefined {
  const match = /^(maildir|mbox|mboxrd|mboxo|mboxcl2|mboxcl|eml):(.+)$/s.exec(text);
  return match ? { format: match[1] as TransferFormat, path: match[2]! } : undefined;
}

/** Octets that a file's name may have on most file systems; `.sbd` must fit as well. */
const FILE_NAME_BYTES_MAX = 250;
const ESCAPED =
  /^\.|[\u0000-\u001f\u007f%\\/:*?"<>|]|\.(?=(?:sbd|msf|mbox|dat|plist|json|html|log)$)|[. ]$|^t(?=able_of_contents$)/gi;

/**
 * A level of a mailbox's path as the name of a file or folder: what file systems or our own endings mean is escaped.
 * Throws if it is too long for one.
 */
export function fileNameOf(level: string): string {
  const name = level.replace(ESCAPED, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
  if (Buffer.byteLength(name) > FILE_NAME_BYTES_MAX) throw new RangeError(`no file can have the name ${name}`);
  return name;
}

/** What {@link fileNameOf} made; a name that is no such thing stands for itself. */
export function levelOf(fileName: string): string {
  try {
    return decodeURIComponent(fileName);
  } catch {
    return fileName;
  }
}

/** A text file's content; undefined if there is none, or `file`'s folder is a file itself. */
export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}

/** {@link MailSource.subscribed} of mail that {@link writeSubscriptions} may have been called for. */
export async function readSubscriptions(root: string): Promise<ReadonlySet<string> | undefined> {
  const listed = await readIfThere(join(root, SUBSCRIPTIONS_FILE));
  return listed === undefined ? undefined : new Set(parseLines(listed));
}

export function writeSubscriptions(root: string, subscribed: readonly string[]): Promise<void> {
  return writeFile(join(root, SUBSCRIPTIONS_FILE), formatLines(subscribed));
}

/** Paths one a line, as Dovecot keeps subscriptions. */
export function formatLines(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}

export function parseLines(text: string): string[] {
  return text.split(/\r?\n/).filter((line) => line !== "");
}
