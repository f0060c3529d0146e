import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SpecialUse } from "@restante/engine";
import { composed, type MailDate } from "@restante/mime";
import type { MboxKind } from "./mbox/mbox-reader.ts";

/** Beside exported mbox and .eml files: the paths that are subscribed, one a line. */
const SUBSCRIPTIONS_FILE = ".subscriptions";

/** Mail outside the store, as an import reads it. */
export interface MailSource {
  /** Units of a progress bar: messages, or bytes where counting messages would mean to read all. */
  readonly total: number;
  readonly unit: "messages" | "bytes";
  readonly folders: readonly SourceFolder[];
  /** Sentences about mails and folders that could not be read, each with its place. The list grows while mails are read. */
  readonly problems: string[];
  /** Sentences to print that tell of no failure. The list grows while mails are read. */
  readonly notices: string[];
}

/** A mailbox that mail goes to. */
export interface Destination {
  /** Unicode, levels divided by `/`. */
  readonly path: string;
  /** The account's mailbox for this use stands in for `path`, if there is one. */
  readonly specialUse?: SpecialUse | undefined;
  /** False: a mailbox that is made for it is not subscribed. */
  readonly subscribed?: boolean | undefined;
}

export interface SourceFolder extends Destination {
  mails(): AsyncIterable<SourceMail>;
  /** All mails up to this one are in the store. */
  onStored?(mail: SourceMail): Promise<void>;
}

export interface SourceMail {
  /** Where it lies, for messages to people. */
  readonly place: string;
  readonly flags: readonly string[];
  /** INTERNALDATE; undefined if the source does not tell: then the mail's own fields do. */
  readonly received: MailDate | undefined;
  /** Its part of {@link MailSource.total}. */
  readonly weight: number;
  /** Where it goes, if that is not its folder: one email in each of these. */
  readonly into?: readonly Destination[] | undefined;
  /** The message as IMAP has it; may be called again. */
  open(): AsyncIterable<Uint8Array>;
}

/** Mail outside the store, as an export writes it. */
export interface MailTarget {
  /** Begins a mailbox; its mails follow. Resolves with sentences that tell what of it can't be kept. */
  begin(path: string, keywords: readonly string[]): Promise<readonly string[]>;
  write(mail: TargetMail): Promise<void>;
  /** All is written. */
  end(subscribed: readonly string[]): Promise<void>;
}

export interface TargetMail {
  readonly uid: number;
  readonly received: MailDate;
  readonly flags: readonly string[];
  /** May be called again. */
  read(): AsyncIterable<Uint8Array>;
}

export type TransferFormat = "maildir" | "eml" | MboxKind;
/** A place by its kind: `maildir:PATH` and so on. */
export interface Place {
  readonly format: TransferFormat;
  readonly path: string;
}

/** Undefined if it is none. */
export function parsePlace(text: string): Place | undefined {
  const match = /^(maildir|mbox|mboxrd|mboxo|mboxcl2|mboxcl|eml):(.+)$/s.exec(text);
  return match ? { format: match[1] as TransferFormat, path: match[2]! } : undefined;
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

/** Tells of a path whether {@link writeSubscriptions} has it; undefined of all where no such list is. */
export async function readSubscriptions(root: string): Promise<(path: string) => boolean | undefined> {
  const listed = await readIfThere(join(root, SUBSCRIPTIONS_FILE));
  return subscriptionsOf(listed === undefined ? undefined : parseLines(listed));
}

/** The same of paths. */
export function subscriptionsOf(paths: readonly string[] | undefined): (path: string) => boolean | undefined {
  const subscribed = paths && new Set(paths.map((path) => composed(path)));
  return (path) => subscribed?.has(composed(path));
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
