import { createReadStream, createWriteStream } from "node:fs";
import { appendFile, open, stat, unlink, utimes } from "node:fs/promises";
import { basename, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { makeFolder } from "@restante/host";
import { fileNameOf, levelOf } from "../file-names.ts";
import { readHead } from "../file-octets.ts";
import { type Listing, walkFolders } from "../folder-walk.ts";
import { isText, withCrlf } from "../line-ends.ts";
import {
  type MailSource,
  type MailTarget,
  parseLines,
  readIfThere,
  readSubscriptions,
  type SourceFolder,
  type SourceMail,
  type TargetMail,
  writeSubscriptions,
} from "../mail-place.ts";
import { readMails, type Told } from "../mbox/mbox.ts";
import { readMozillaFields } from "../mbox/mbox-fields.ts";
import { EMLX_HEAD_BYTES, readEmlxHead, readEmlxTail } from "./emlx.ts";
import { fillIn, findLeftOut } from "./emlx-parts.ts";

/**
 * A file a message, a folder a mailbox. Facts that an .eml file can't hold stand beside it in `.restante.jsonl`, a line a
 * message: when it came and its flags. Apple Mail's .emlx says it itself. Files that are named by a number are MH's.
 */
const FACTS_FILE = ".restante.jsonl";

interface Facts {
  readonly file: string;
  readonly receivedMs: number;
  readonly zoneMinutes: number;
  readonly flags: readonly string[];
  /** Its line ends stand as they are. */
  readonly raw?: boolean;
}

type Form = "eml" | "emlx";

/** Octets of a file that are looked at for what a program wrote at its beginning. */
const HEAD_BYTES = 16 * 1024;
/** Names of files that lie beside mail and are none. */
const COMPANIONS =
  /^(?:\.|desktop\.ini$|thumbs\.db$|table_of_contents$|info\.plist$)|\.(?:emlxpart|mbox_cache|plist|json|html|log)$/i;
/** Levels that Apple Mail puts between a mailbox's folder and its mails. */
const APPLE_LEVEL = /^(?:[0-9A-F]{8}-[0-9A-F-]{27}|Data|Messages|\d)$/i;

export async function openEml(root: string): Promise<MailSource> {
  const problems: string[] = [];
  const told: Told = { problems, notices: [] };
  const onProblem = (problem: string): void => {
    problems.push(problem);
  };
  if ((await stat(root)).isFile()) {
    const mails = (): AsyncIterable<SourceMail> => openMails(root, [""], new Map(), told);
    return { total: 1, unit: "messages", folders: [{ path: "INBOX", mails }], ...told };
  }
  const subscribed = await readSubscriptions(root);
  const folders: (SourceFolder & { readonly count: number })[] = [];
  // Apple Mail keeps there what is left out of its .partial.emlx.
  const enters = (name: string, { levels }: Pick<Listing, "levels">): boolean =>
    !name.startsWith(".") && !(name === "Attachments" && isInApples(levels));
  for await (const listing of walkFolders(root, { onProblem, enters })) {
    const files = listing.files.filter((name) => isMail(listing, name, onProblem));
    const path = pathOf(listing);
    const isPlace = listing.levels.length > 0 && !isBetween(listing);
    if (files.length === 0 && !isPlace) continue;
    const facts = await readFacts(listing.folder, onProblem);
    folders.push({
      path,
      subscribed: subscribed(path),
      count: files.length,
      mails: () => openMails(listing.folder, files, facts, told),
    });
  }
  // The mails of one of Apple's mailboxes lie in folders below it.
  const filled = new Set(folders.filter(({ count }) => count > 0).map(({ path }) => path));
  const total = folders.reduce((sum, { count }) => sum + count, 0);
  const own = folders.filter(({ count, path }) => count > 0 || !filled.has(path));
  return { total, unit: "messages", folders: own, ...told };
}

function isInApples(levels: readonly string[]): boolean {
  return levels.some((name) => /\.i?mbox$/i.test(name));
}

/** A folder of Apple Mail that is no mailbox of its own. */
function isBetween({ levels }: Pick<Listing, "levels">): boolean {
  return isInApples(levels) && APPLE_LEVEL.test(levels.at(-1)!);
}

function pathOf({ levels, files }: Pick<Listing, "levels" | "files">): string {
  const isApples = isInApples(levels) || files.some((name) => /\.emlx$/i.test(name));
  const own = isApples ? levels.filter((name) => !APPLE_LEVEL.test(name)) : levels;
  return own.map((name) => levelOf(name.replace(/\.i?mbox$/i, ""))).join("/") || "INBOX";
}

function isMail({ folder, files }: Listing, name: string, onProblem: (problem: string) => void): boolean {
  const file = join(folder, name);
  if (/\.(?:eml|emlx)$/i.test(name) && !name.startsWith(".")) {
    const whole = name.replace(/\.partial\.emlx$/i, ".emlx");
    if (whole === name) return true;
    // Beside the whole one it is of no use.
    return !files.includes(whole);
  }
  if (/^\d+$/.test(name)) return true;
  if (/\.msg$/i.test(name)) onProblem(`${file} is left out: Outlook's .msg is not supported; save it as .eml`);
  else if (!COMPANIONS.test(name)) onProblem(`${file} is left out: it is no .eml`);
  return false;
}

async function readFacts(folder: string, onProblem: (problem: string) => void): Promise<ReadonlyMap<string, Facts>> {
  const lines = parseLines((await readIfThere(join(folder, FACTS_FILE))) ?? "");
  const facts = new Map<string, Facts>();
  for (const [at, line] of lines.entries()) {
    const fact = parseFacts(line);
    if (fact) facts.set(fact.file, fact);
    else onProblem(`${join(folder, FACTS_FILE)}, line ${at + 1} can't be read; its mail comes in without flags`);
  }
  return facts;
}

/** One line of the facts that an export wrote; undefined for any other line. */
function parseFacts(line: string): Facts | undefined {
  try {
    const fact = JSON.parse(line) as Partial<Facts> | null;
    const isWhole =
      typeof fact?.file === "string" &&
      Number.isFinite(fact.receivedMs) &&
      Number.isFinite(fact.zoneMinutes) &&
      Array.isArray(fact.flags) &&
      fact.flags.every((flag) => typeof flag === "string");
    return isWhole ? (fact as Facts) : undefined;
  } catch {
    return undefined;
  }
}

/** In the order of names, but for numbers, which are in their own. */
async function* openMails(
  folder: string,
  names: readonly string[],
  facts: ReadonlyMap<string, Facts>,
  told: Told,
): AsyncGenerator<SourceMail> {
  const number = (name: string): number =>
    /^\d+(?:\.partial)?(?:\.emlx)?$/.test(name) ? Number.parseInt(name, 10) : 0;
  for (const name of [...names].sort((a, b) => number(a) - number(b) || (a < b ? -1 : 1))) {
    const file = join(folder, name);
    const form: Form = /\.emlx$/i.test(file) ? "emlx" : "eml";
    try {
      if (form === "emlx") yield await openEmlx(file, told);
      else yield* openFile(file, facts.get(name), told);
    } catch (error) {
      told.problems.push(`${file} can't be read: ${(error as Error).message}`);
    }
  }
}

/** A file of others may be an mbox of one mail, and may say what Thunderbird knows of it. */
async function* openFile(file: string, facts: Facts | undefined, told: Told): AsyncGenerator<SourceMail> {
  if (facts) return yield openMail(file, facts);
  const head = await readHead(file, HEAD_BYTES);
  if (head.startsWith("From ")) return yield* readMails(file, "mbox", told);
  const { flags, isExpunged } = readMozillaFields(head);
  if (isExpunged) told.notices.push(`${file} is left out: it was expunged before`);
  else yield { ...openMail(file, undefined), flags };
}

function openMail(file: string, facts: Facts | undefined): SourceMail {
  return {
    place: file,
    flags: facts?.flags ?? [],
    received: facts && { timeMs: facts.receivedMs, zoneMinutes: facts.zoneMinutes },
    weight: 1,
    open: () => (facts?.raw === true ? createReadStream(file) : withCrlf(createReadStream(file))),
  };
}

/** Octets of a property list that are read. */
const PLIST_BYTES_MAX = 256 * 1024;

/** Octets of a .partial.emlx, which are all held. */
const PARTIAL_BYTES_MAX = 32 * 2 ** 20;

async function openEmlx(file: string, { problems }: Told): Promise<SourceMail> {
  await using handle = await open(file);
  const { size } = await handle.stat();
  const head = await readAt(handle, 0, EMLX_HEAD_BYTES);
  const facts = readEmlxHead(head, size);
  if (!facts) throw new RangeError("its first line does not say how long its message is, as that of an .emlx does");
  const end = facts.start + facts.length;
  const { flags, received } = readEmlxTail((await readAt(handle, end, PLIST_BYTES_MAX)).toString("utf8"));
  const read = async function* (): AsyncGenerator<Uint8Array> {
    if (facts.length > 0) yield* withCrlf(createReadStream(file, { start: facts.start, end: end - 1 }));
  };
  const mail = { place: file, flags, received, weight: 1 };
  if (!/\.partial\.emlx$/i.test(file)) return { ...mail, open: read };
  const whole = async (): Promise<Buffer> => Buffer.concat(await Array.fromAsync(read()));
  const parts = facts.length > PARTIAL_BYTES_MAX ? [] : await findLeftOut(file, await whole());
  const missing = parts.filter(({ at }) => at === undefined).map(({ path }) => path);
  if (parts.length === 0) problems.push(`${file} comes in without its attachments: it does not say where they belong`);
  else if (missing.length > 0)
    problems.push(
      `${file} comes in without its part ${missing.join(", ")}: that is neither beside it nor in ../Attachments`,
    );
  if (parts.length === missing.length) return { ...mail, open: read };
  return {
    ...mail,
    async *open() {
      yield* fillIn(await whole(), parts);
    },
  };
}

async function readAt(handle: Awaited<ReturnType<typeof open>>, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await handle.read(buffer, 0, length, position);
  return buffer.subarray(0, bytesRead);
}

export class EmlTarget implements MailTarget {
  readonly #root: string;
  #folder = "";

  constructor(root: string) {
    this.#root = root;
  }

  async begin(path: string): Promise<readonly string[]> {
    this.#folder = join(this.#root, ...path.split("/").map(fileNameOf));
    await makeFolder(this.#folder);
    return [];
  }

  async write({ uid, received, flags, read }: TargetMail): Promise<void> {
    const file = join(this.#folder, `${String(uid).padStart(10, "0")}.eml`);
    const isRaw = !(await isText(read()));
    try {
      await pipeline(read(), createWriteStream(file, { flags: "wx", mode: 0o600 }));
    } catch (error) {
      // The error to report is that of the write, not of the unlink.
      await unlink(file).catch(() => undefined);
      throw error;
    }
    await utimes(file, received.timeMs / 1000, received.timeMs / 1000);
    const facts: Facts = {
      file: basename(file),
      receivedMs: received.timeMs,
      zoneMinutes: received.zoneMinutes,
      flags,
      ...(isRaw && { raw: true }),
    };
    await appendFile(join(this.#folder, FACTS_FILE), `${JSON.stringify(facts)}\n`, { mode: 0o600 });
  }

  end(subscribed: readonly string[]): Promise<void> {
    return writeSubscriptions(this.#root, subscribed);
  }
}
