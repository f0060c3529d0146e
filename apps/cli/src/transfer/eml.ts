import { createReadStream, createWriteStream } from "node:fs";
import { appendFile, readdir, stat, utimes } from "node:fs/promises";
import { basename, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { makeFolder } from "@restante/host";
import { withCrlf } from "./line-ends.ts";
import {
  fileNameOf,
  levelOf,
  type MailSource,
  type MailTarget,
  parseLines,
  readIfThere,
  readSubscriptions,
  type SourceFolder,
  type SourceMail,
  type TargetMail,
  writeSubscriptions,
} from "./mail-place.ts";

/**
 * A file a message, a folder a mailbox. What an .eml file can't say stands beside it in `.restante.jsonl`, a line a
 * message: when it came and its flags.
 */
const FACTS_FILE = ".restante.jsonl";

interface Facts {
  readonly file: string;
  readonly receivedMs: number;
  readonly zoneMinutes: number;
  readonly flags: readonly string[];
}

export async function openEml(root: string): Promise<MailSource> {
  if ((await stat(root)).isFile()) {
    const single = openMail(root, undefined);
    return { total: 1, folders: [{ path: "INBOX", mails: () => each([single]) }], subscribed: undefined, problems: [] };
  }
  const folders: SourceFolder[] = [];
  const problems: string[] = [];
  let total = 0;
  const visit = async (folder: string, path: string): Promise<void> => {
    const entries = (await readdir(folder, { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1));
    const files = entries.filter((entry) => entry.isFile() && /\.eml$/i.test(entry.name)).map(({ name }) => name);
    total += files.length;
    if (files.length > 0 || path !== "") folders.push(await openFolder(folder, path || "INBOX", files, problems));
    for (const { name } of entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith(".")))
      await visit(join(folder, name), path ? `${path}/${levelOf(name)}` : levelOf(name));
  };
  await visit(root, "");
  return { total, folders, subscribed: await readSubscriptions(root), problems };
}

async function openFolder(
  folder: string,
  path: string,
  files: readonly string[],
  problems: string[],
): Promise<SourceFolder> {
  const lines = parseLines((await readIfThere(join(folder, FACTS_FILE))) ?? "");
  const facts = new Map<string, Facts>();
  for (const [at, line] of lines.entries()) {
    const fact = parseFacts(line);
    if (fact) facts.set(fact.file, fact);
    else problems.push(`${join(folder, FACTS_FILE)}, line ${at + 1} can't be read; its mail comes in without flags`);
  }
  return { path, mails: () => each(files.map((file) => openMail(join(folder, file), facts.get(file)))) };
}

/** What an export wrote; undefined if the line is no such thing. */
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

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

function openMail(file: string, facts: Facts | undefined): SourceMail {
  return {
    place: file,
    flags: facts?.flags ?? [],
    received: facts && { timeMs: facts.receivedMs, zoneMinutes: facts.zoneMinutes },
    weight: 1,
    open: () => withCrlf(createReadStream(file)),
  };
}

export class EmlTarget implements MailTarget {
  readonly #root: string;
  #folder = "";

  constructor(root: string) {
    this.#root = root;
  }

  async begin(path: string): Promise<void> {
    this.#folder = join(this.#root, ...path.split("/").map(fileNameOf));
    await makeFolder(this.#folder);
  }

  async write({ uid, received, flags, read }: TargetMail): Promise<void> {
    const file = join(this.#folder, `${String(uid).padStart(10, "0")}.eml`);
    await pipeline(read(), createWriteStream(file, { flags: "wx", mode: 0o600 }));
    await utimes(file, received.timeMs / 1000, received.timeMs / 1000);
    const facts: Facts = {
      file: basename(file),
      receivedMs: received.timeMs,
      zoneMinutes: received.zoneMinutes,
      flags,
    };
    await appendFile(join(this.#folder, FACTS_FILE), `${JSON.stringify(facts)}\n`, { mode: 0o600 });
  }

  end(subscribed: readonly string[]): Promise<void> {
    return writeSubscriptions(this.#root, subscribed);
  }
}
