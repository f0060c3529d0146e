import { createReadStream, createWriteStream } from "node:fs";
import { readdir, rename, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { makeFolder } from "@restante/host";
import { decodeMailboxName, encodeMailboxName } from "@restante/imap";
import { withCrlf } from "./line-ends.ts";
import {
  formatLines,
  type MailSource,
  type MailTarget,
  parseLines,
  readIfThere,
  type SourceFolder,
  type SourceMail,
  type TargetMail,
} from "./mail-place.ts";

/**
 * Maildir, with folders as Maildir++ has them (`.Archive.2024` beside `cur`) or nested (`Archive/2024/cur`). Keywords
 * are the letters a-z of file names, whose meaning stands in Dovecot's `dovecot-keywords`. INTERNALDATE is the file's
 * time, as Dovecot has it. A message keeps its line ends.
 */
const LETTERS: Readonly<Record<string, string>> = {
  D: "\\Draft",
  F: "\\Flagged",
  P: "$Forwarded",
  R: "\\Answered",
  S: "\\Seen",
  T: "\\Deleted",
};
const KEYWORDS_FILE = "dovecot-keywords";
const SUBSCRIPTIONS_FILE = "subscriptions";
/** Letters that there are for keywords. */
const KEYWORDS_MAX = 26;

export async function openMaildir(root: string): Promise<MailSource> {
  const folders: (SourceFolder & { readonly count: number })[] = [];
  const problems: string[] = [];
  const visit = async (folder: string, path: string): Promise<void> => {
    const names = (await readdir(folder, { withFileTypes: true }))
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .sort();
    if (names.includes("cur") || names.includes("new"))
      folders.push(await openFolder(folder, path || "INBOX", problems));
    for (const name of names) {
      if (["cur", "new", "tmp"].includes(name)) continue;
      if (!name.startsWith(".")) await visit(join(folder, name), path ? `${path}/${levelFrom(name)}` : levelFrom(name));
      else if (path === "" && name.length > 1)
        await visit(join(folder, name), name.slice(1).split(".").map(levelFrom).join("/"));
    }
  };
  await visit(root, "");
  if (folders.length === 0) problems.push(`${root} is no Maildir: no folder of it has cur or new`);
  const listed = await readIfThere(join(root, SUBSCRIPTIONS_FILE));
  return {
    total: folders.reduce((sum, { count }) => sum + count, 0),
    folders,
    subscribed: listed === undefined ? undefined : new Set(parseSubscriptions(listed)),
    problems,
  };
}

/** Dovecot's two forms: version 2 begins with a line `V\t2` and has tabs between levels, version 1 has dots. */
function parseSubscriptions(text: string): string[] {
  const lines = parseLines(text);
  const isSecond = lines[0] === "V\t2";
  return (isSecond ? lines.slice(1) : lines).map((line) =>
    line
      .split(isSecond ? "\t" : /[./]/)
      .map(levelFrom)
      .join("/"),
  );
}

/** Modified UTF-7, as most write it; what is none stands for itself. */
function levelFrom(name: string): string {
  try {
    return decodeMailboxName(name);
  } catch {
    return name;
  }
}

async function openFolder(
  folder: string,
  path: string,
  problems: string[],
): Promise<SourceFolder & { readonly count: number }> {
  const keywords = new Map<string, string>();
  for (const line of parseLines((await readIfThere(join(folder, KEYWORDS_FILE))) ?? "")) {
    const match = /^(\d+) (\S+)$/.exec(line);
    if (match && Number(match[1]) < KEYWORDS_MAX) keywords.set(letterOf(Number(match[1])), match[2]!);
  }
  const files: string[] = [];
  for (const part of ["cur", "new"])
    for (const name of await readdir(join(folder, part)).catch(absentIsNone)) {
      const file = join(folder, part, name);
      if (name.startsWith(".")) continue;
      // A dead link, or what this user may not look at: it is told below, whatever the reason.
      const found = await stat(file).catch(() => undefined);
      if (found?.isFile()) files.push(join(part, name));
      else problems.push(`${file} is no file that can be read; it is left out`);
    }
  // A name begins with the time of its delivery.
  files.sort((a, b) => Number.parseInt(a.slice(4), 10) - Number.parseInt(b.slice(4), 10) || (a < b ? -1 : 1));
  return {
    path,
    count: files.length,
    async *mails() {
      for (const name of files) yield await openMail(join(folder, name), keywords);
    },
  };
}

async function openMail(file: string, keywords: ReadonlyMap<string, string>): Promise<SourceMail> {
  const { mtimeMs } = await stat(file);
  const letters = /[:;!]2,([A-Za-z]*)$/.exec(file)?.[1] ?? "";
  return {
    place: file,
    flags: [...letters].map((letter) => LETTERS[letter] ?? keywords.get(letter)).filter((flag) => flag !== undefined),
    received: { timeMs: Math.floor(mtimeMs / 1000) * 1000, zoneMinutes: 0 },
    weight: 1,
    open: () => withCrlf(createReadStream(file)),
  };
}

export class MaildirTarget implements MailTarget {
  readonly #root: string;
  #folder = "";
  #letters: ReadonlyMap<string, string> = new Map();

  constructor(root: string) {
    this.#root = root;
  }

  async begin(path: string, keywords: readonly string[]): Promise<void> {
    this.#folder = path === "INBOX" ? this.#root : join(this.#root, `.${path.split("/").map(levelTo).join(".")}`);
    for (const part of ["cur", "new", "tmp"]) await makeFolder(join(this.#folder, part));
    const own = keywords.filter((keyword) => letterFor(keyword) === undefined).slice(0, KEYWORDS_MAX);
    this.#letters = new Map(own.map((keyword, at) => [keyword, letterOf(at)]));
    if (own.length > 0)
      await writeFile(join(this.#folder, KEYWORDS_FILE), formatLines(own.map((keyword, at) => `${at} ${keyword}`)));
  }

  async write({ uid, received, flags, read }: TargetMail): Promise<void> {
    const seconds = Math.floor(received.timeMs / 1000);
    const letters = flags.map((flag) => letterFor(flag) ?? this.#letters.get(flag) ?? "").sort();
    // Uids ascend, so names do: programs sort by them.
    const name = `${seconds}.M${String(uid).padStart(10, "0")}.restante`;
    const temporary = join(this.#folder, "tmp", name);
    await pipeline(read(), createWriteStream(temporary, { flags: "wx", mode: 0o600 }));
    await utimes(temporary, seconds, seconds);
    await rename(temporary, join(this.#folder, "cur", `${name}:2,${letters.join("")}`));
  }

  async end(subscribed: readonly string[]): Promise<void> {
    const lines = subscribed.map((path) => path.split("/").map(encodeMailboxName).join("\t"));
    await writeFile(join(this.#root, SUBSCRIPTIONS_FILE), formatLines(["V\t2", "", ...lines]));
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

function absentIsNone(error: NodeJS.ErrnoException): string[] {
  if (error.code === "ENOENT") return [];
  throw error;
}
