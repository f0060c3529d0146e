import { createReadStream, createWriteStream } from "node:fs";
import { rename, stat, unlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { makeFolder } from "@restante/host";
import { decodeMailboxName, encodeMailboxName } from "@restante/imap";
import { readHead } from "../file-octets.ts";
import { readFolder, walkFolders } from "../folder-walk.ts";
import { isText, withCrlf, withLf } from "../line-ends.ts";
import {
  formatLines,
  type MailSource,
  type MailTarget,
  parseLines,
  readIfThere,
  type SourceFolder,
  type SourceMail,
  subscriptionsOf,
  type TargetMail,
} from "../mail-place.ts";
import { readMozillaFields } from "../mbox/mbox-fields.ts";
import { readMaildirName, writeMaildirName } from "./maildir-name.ts";

/**
 * Maildir, with folders as Maildir++ has them (`.Archive.2024` beside `cur`) or nested (`Archive/2024/cur`). Keywords
 * are the letters a-z of file names, whose meaning stands in Dovecot's `dovecot-keywords`. INTERNALDATE is the file's
 * time, as Dovecot has it. Lines end with LF, as in all Maildirs; what would lose something by it keeps its own ends.
 */
const LETTERS: Readonly<Record<string, string>> = {
  D: "\\Draft",
  F: "\\Flagged",
  P: "$Forwarded",
  R: "\\Answered",
  S: "\\Seen",
  T: "\\Deleted",
};
/** Octets of a file that are looked at for what Thunderbird wrote, whose Maildirs hold .eml files. */
const HEAD_BYTES = 16 * 1024;
const PARTS: readonly string[] = ["cur", "new", "tmp"];
const KEYWORDS_FILE = "dovecot-keywords";
/** Dovecot's, then Courier's. */
const SUBSCRIPTIONS_FILES = ["subscriptions", "courierimapsubscribed"] as const;
/** Letters that there are for keywords. */
const KEYWORDS_MAX = 26;

export async function openMaildir(root: string): Promise<MailSource> {
  const problems: string[] = [];
  const notices: string[] = [];
  const onProblem = (problem: string): void => {
    problems.push(problem);
  };
  const subscribed = await readSubscribed(root);
  const folders: (SourceFolder & { readonly count: number })[] = [];
  const enters = (name: string): boolean => !PARTS.includes(name);
  for await (const { folder, levels, folders: inside } of walkFolders(root, { onProblem, enters })) {
    if (!inside.includes("cur") && !inside.includes("new")) continue;
    const path = pathOf(levels) || "INBOX";
    const files = await listFiles(folder, inside, onProblem);
    const keywords = parseKeywords((await readIfThere(join(folder, KEYWORDS_FILE))) ?? "");
    folders.push({
      path,
      subscribed: subscribed(path),
      count: files.length,
      async *mails() {
        for (const name of files) {
          const file = join(folder, name);
          try {
            const mail = await openMail(file, name.slice(4), keywords);
            const facts = name.endsWith(".eml") ? readMozillaFields(await readHead(file, HEAD_BYTES)) : undefined;
            if (facts?.isExpunged) notices.push(`${file} is left out: it was expunged before`);
            else yield facts ? { ...mail, flags: [...new Set([...mail.flags, ...facts.flags])] } : mail;
          } catch (error) {
            onProblem(`${file} can't be read: ${(error as Error).message}`);
          }
        }
      },
    });
  }
  const total = folders.reduce((sum, { count }) => sum + count, 0);
  return { total, unit: "messages", folders, problems, notices };
}

function pathOf(levels: readonly string[]): string {
  const names = levels.flatMap((name) => (name.startsWith(".") ? name.slice(1).split(".") : [name]));
  // Thunderbird's: `NAME.sbd` holds what lies below NAME.
  return names.map((name) => levelFrom(name.replace(/\.sbd$/, ""))).join("/");
}

/** Paths that are subscribed, by Dovecot's two forms and Courier's. Version 2 begins with a line `V\t2` and has tabs between
 * levels; version 1 has the layout's dots or slashes, and does not say which. */
async function readSubscribed(root: string): Promise<(path: string) => boolean | undefined> {
  for (const name of SUBSCRIPTIONS_FILES) {
    const text = await readIfThere(join(root, name));
    if (text === undefined) continue;
    const lines = parseLines(text);
    const isSecond = lines[0] === "V\t2";
    const divided = (isSecond ? lines.slice(1) : lines).flatMap((line) =>
      (isSecond ? ["\t"] : ["/", "."]).map((delimiter) => line.split(delimiter)),
    );
    const paths = divided.map((levels) => levels.map(levelFrom).join("/"));
    return subscriptionsOf(["INBOX", ...paths, ...paths.map((path) => path.replace(/^INBOX\//, ""))]);
  }
  return subscriptionsOf(undefined);
}

/** Modified UTF-7, as most write it; what is none stands for itself. */
function levelFrom(name: string): string {
  try {
    return decodeMailboxName(name);
  } catch {
    return name;
  }
}

/** `cur/NAME` and `new/NAME`, as they were delivered. */
async function listFiles(
  folder: string,
  inside: readonly string[],
  onProblem: (problem: string) => void,
): Promise<string[]> {
  const files: string[] = [];
  for (const part of ["cur", "new"].filter((name) => inside.includes(name))) {
    const found = await readFolder(join(folder, part), onProblem).catch((error: Error) => {
      onProblem(`${join(folder, part)} can't be read and is left out: ${error.message}`);
    });
    files.push(...(found?.files ?? []).filter((name) => !name.startsWith(".")).map((name) => `${part}/${name}`));
    for (const name of found?.folders ?? [])
      if (!name.startsWith(".")) onProblem(`${join(folder, part, name)} is left out: it is a folder among mails`);
  }
  const seconds = (file: string): number => readMaildirName(file.slice(4)).seconds;
  return files.sort((a, b) => seconds(a) - seconds(b) || (a < b ? -1 : 1));
}

function parseKeywords(text: string): ReadonlyMap<string, string> {
  const keywords = new Map<string, string>();
  for (const line of parseLines(text)) {
    const match = /^(\d+) (\S+)$/.exec(line);
    if (match && Number(match[1]) < KEYWORDS_MAX) keywords.set(letterOf(Number(match[1])), match[2]!);
  }
  return keywords;
}

async function openMail(file: string, name: string, keywords: ReadonlyMap<string, string>): Promise<SourceMail> {
  const { mtimeMs } = await stat(file);
  const { letters, isRaw } = readMaildirName(name);
  return {
    place: file,
    flags: [...new Set([...letters].map((letter) => LETTERS[letter] ?? keywords.get(letter)))].filter(
      (flag) => flag !== undefined,
    ),
    received: { timeMs: Math.floor(mtimeMs / 1000) * 1000, zoneMinutes: 0 },
    weight: 1,
    open: () => (isRaw ? createReadStream(file) : withCrlf(createReadStream(file))),
  };
}

export class MaildirTarget implements MailTarget {
  readonly #root: string;
  #folder = "";
  #letters: ReadonlyMap<string, string> = new Map();

  constructor(root: string) {
    this.#root = root;
  }

  async begin(path: string, keywords: readonly string[]): Promise<readonly string[]> {
    this.#folder = path === "INBOX" ? this.#root : join(this.#root, `.${path.split("/").map(levelTo).join(".")}`);
    for (const part of PARTS) await makeFolder(join(this.#folder, part));
    // Dovecot knows no `P` for $Forwarded: it is a keyword as well.
    const own = keywords.slice(0, KEYWORDS_MAX);
    this.#letters = new Map(own.map((keyword, at) => [keyword, letterOf(at)]));
    if (own.length > 0)
      await writeFile(join(this.#folder, KEYWORDS_FILE), formatLines(own.map((keyword, at) => `${at} ${keyword}`)));
    const others = keywords.slice(KEYWORDS_MAX).filter((keyword) => letterFor(keyword) === undefined);
    const lost = others.join(" ");
    return lost === "" ? [] : [`a Maildir's folder has ${KEYWORDS_MAX} keywords at most; left out of ${path}: ${lost}`];
  }

  async write({ uid, received, flags, read }: TargetMail): Promise<void> {
    const seconds = Math.floor(received.timeMs / 1000);
    const letters = flags.flatMap((flag) => [letterFor(flag) ?? "", this.#letters.get(flag) ?? ""]).sort();
    const isRaw = !(await isText(read()));
    const name = writeMaildirName(seconds, uid, isRaw);
    const temporary = join(this.#folder, "tmp", name);
    try {
      await pipeline(isRaw ? read() : withLf(read()), createWriteStream(temporary, { flags: "wx", mode: 0o600 }));
      await utimes(temporary, seconds, seconds);
      await rename(temporary, join(this.#folder, "cur", `${name}:2,${letters.join("")}`));
    } catch (error) {
      // The error to report is that of the write, not of the unlink.
      await unlink(temporary).catch(() => undefined);
      throw error;
    }
  }

  async end(subscribed: readonly string[]): Promise<void> {
    const lines = subscribed.map((path) => path.split("/").map(encodeMailboxName).join("\t"));
    await writeFile(join(this.#root, SUBSCRIPTIONS_FILES[0]), formatLines(["V\t2", "", ...lines]));
  }
}

function letterOf(number: number): string {
  return String.fromCharCode(97 + number);
}

function letterFor(flag: string): string | undefined {
  return Object.keys(LETTERS).find((letter) => LETTERS[letter]!.toLowerCase() === flag.toLowerCase());
}

/** A dot would divide levels: it is written as modified UTF-7 writes what is not ASCII. */
function levelTo(level: string): string {
  return encodeMailboxName(level).replaceAll(".", "&AC4-");
}
