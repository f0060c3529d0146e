import { isDeepStrictEqual } from "node:util";
import { connectLmtp, deliver, type LineClient } from "./line-client.ts";
import type { FolderTerms, PhoneFolder } from "./phone/folder.ts";
import { CommandError, Phone } from "./phone/phone.ts";
import type { Version, WireOptions } from "./phone/wire.ts";
import type { Random } from "./random.ts";

/** A phone beside a mail program, both at random; after each round it holds what a phone that comes then is given. */
export interface PhoneRounds {
  readonly random: Random;
  readonly rounds: number;
  readonly user: string;
  readonly password: string;
  readonly version: Version;
  /** The ports as they are now: a server may have been started again. */
  readonly ports: () => Readonly<Record<string, number>>;
  readonly imap: () => Promise<LineClient>;
  /** Resolves when the server is there: asked before what the mail program does. */
  readonly ready?: () => Promise<void>;
  readonly loses?: () => boolean;
  readonly revive?: () => Promise<number>;
  readonly log?: (line: string) => void;
}

export interface RoundCounts {
  acts: number;
  refused: number;
  lost: number;
  sent: number;
  restarts: number;
}

const DAY_MS = 86_400_000;
const SUBJECTS = ["tea", "cake", "milk", "sugar", "Grüße", "plan"];
const NAMES = ["Trips", "Bills", "Family", "Work"];
/** Filters and the days that they reach. */
const FILTERS = [0, 1, 2, 3, 4];

/** Throws where the phone holds something else, and says what was done. */
export async function playRounds(terms: PhoneRounds): Promise<RoundCounts> {
  const counts: RoundCounts = { acts: 0, refused: 0, lost: 0, sent: 0, restarts: 0 };
  const { random } = terms;
  const folderTerms: FolderTerms = { window: random.between(1, 6), body: [{ type: 1, size: 64, preview: 20 }] };
  using phone = new Phone(optionsOf(terms, "WANDERER"), folderTerms);
  await phone.setUp();
  const done: string[] = [];
  const say = (line: string): void => {
    done.push(line);
    terms.log?.(line);
  };
  try {
    for (let round = 0; round < terms.rounds; round++) {
      for (let act = random.between(1, 8); act > 0; act--) {
        counts.acts += 1;
        if (random.next() < 0.5) {
          await terms.ready?.();
          await imapAct(terms, say);
        } else
          try {
            await phoneAct(phone, random, say);
          } catch (error) {
            if (!(error instanceof CommandError) || error.status.startsWith("HTTP 5")) throw error;
            counts.refused += 1;
            say(`  refused: ${error.message}`);
          }
      }
      say(`round ${round} is compared`);
      await compare(phone, terms);
    }
  } catch (error) {
    throw new Error(
      `${error instanceof Error ? error.message : error}\nat ${phone.version}, after:\n${done.slice(-60).join("\n")}`,
      {
        cause: error,
      },
    );
  }
  return { ...counts, ...phone.wire.counts, restarts: phone.restarts };
}

function optionsOf(
  { user, password, version, ports, loses, revive, random }: PhoneRounds,
  deviceId: string,
): WireOptions {
  return {
    port: ports().https!,
    user,
    password,
    deviceId,
    deviceType: "Test",
    version,
    query: random.next() < 0.5 ? "plain" : "base64",
    ...(loses && deviceId === "WANDERER" && { loses }),
    ...(revive && { revive }),
  };
}

/** Changes that come by themselves, such as mail on its way, come within this time. */
const TRIES = 20;
const PAUSE_MS = 250;

async function compare(phone: Phone, terms: PhoneRounds): Promise<void> {
  using fresh = new Phone(optionsOf(terms, "FRESH"), phone.inbox.terms);
  await fresh.setUp();
  for (let attempt = 1; ; attempt++) {
    await catchUp(phone);
    await fresh.folderSync();
    for (const folder of fresh.mailFolders) folder.terms = phone.folders.get(folder.id)?.terms ?? folder.terms;
    await fresh.syncEverything();
    const [held, given] = [comparable(phone), comparable(fresh)];
    if (isDeepStrictEqual(held, given)) return;
    if (attempt === TRIES) throw new Error(`the phone holds something else: ${difference(held, given)}`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

/** A phone's copy, without the times of answers, which change by themselves: no Sync tells of that alone. No verb is 0. */
function comparable(phone: Phone): Readonly<Record<string, unknown>> {
  const isTold = (key: string, value: unknown): boolean =>
    key !== "LastVerbExecutionTime" && !(key === "LastVerbExecuted" && value === "0");
  return JSON.parse(JSON.stringify(phone.copy(), (key, value) => (isTold(key, value) ? value : undefined)));
}

async function catchUp(phone: Phone): Promise<void> {
  await phone.syncEverything();
  // A draft that it wrote it knows by its own words: the server's are what counts.
  const drafts = phone.ofType(3);
  for (const [id, { Body }] of drafts.items)
    if (Body !== undefined && !Object.hasOwn(Object(Body), "EstimatedDataSize")) await phone.refresh(drafts, id);
}

function difference(held: Readonly<Record<string, unknown>>, given: Readonly<Record<string, unknown>>): string {
  const lines: string[] = [];
  const look = (path: string, a: unknown, b: unknown): void => {
    if (isDeepStrictEqual(a, b)) return;
    const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;
    if (isObject(a) && isObject(b))
      for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) look(`${path}/${key}`, a[key], b[key]);
    else lines.push(`${path}: ${JSON.stringify(a)?.slice(0, 300)} instead of ${JSON.stringify(b)?.slice(0, 300)}`);
  };
  look("", held, given);
  return lines.slice(0, 8).join("\n");
}

// Acts of the mail program

async function imapAct(terms: PhoneRounds, say: (line: string) => void): Promise<void> {
  const { random, user } = terms;
  if (random.next() < 0.25) {
    const subject = random.pick(SUBJECTS);
    say(`a mail comes: ${subject}`);
    const lmtp = await connectLmtp(terms.ports().lmtp!);
    await deliver(lmtp, [user], message(random, subject));
    lmtp.end();
    return;
  }
  const imap = await terms.imap();
  const run = async (command: string): Promise<string> => {
    const answer = await imap.command(command);
    say(`imap: ${command.split("\r\n")[0]} ${/ (OK|NO|BAD) /.exec(answer.split(/\r\n/).at(-2) ?? "")?.[1]}`);
    return answer;
  };
  const listed = await imap.command('LIST "" *');
  const boxes = [...listed.matchAll(/^\* LIST \(([^)]*)\) "." "?([^"\r\n]+)"?\r$/gm)]
    .filter(([, flags]) => !/noselect|nonexistent/i.test(flags!))
    .map(([, , name]) => name!);
  const box = random.next() < 0.6 ? "INBOX" : random.pick(boxes);
  const kind = random.between(0, 9);
  if (kind === 0)
    return void (await run(`CREATE ${random.pick(NAMES)}${random.next() < 0.3 ? `/${random.pick(NAMES)}` : ""}`));
  const own = boxes.filter((name) => NAMES.some((one) => name.startsWith(one)));
  if (kind === 1 && own.length > 0) {
    if (random.next() < 0.5) return void (await run(`DELETE ${random.pick(own)}`));
    return void (await run(`RENAME ${random.pick(own)} ${random.pick(NAMES)}`));
  }
  if (kind <= 3) {
    const when = new Date(Date.now() - random.between(0, 20) * DAY_MS - DAY_MS / 2);
    const date = `${String(when.getUTCDate()).padStart(2, " ")}-${when.toUTCString().slice(8, 11)}-${when.getUTCFullYear()} ${when.toISOString().slice(11, 19)} +0000`;
    const text = message(random, random.pick(SUBJECTS));
    const flags = random.next() < 0.3 ? "(\\Seen)" : "()";
    return void (await run(`APPEND ${box} ${flags} "${date}" {${text.length}+}\r\n${text}`));
  }
  const selected = await imap.command(`SELECT ${box}`);
  const count = Number(/^\* (\d+) EXISTS/m.exec(selected)?.[1] ?? 0);
  if (count === 0) return;
  const [from, to] = [random.between(1, count), random.between(1, count)];
  const set = random.next() < 0.8 ? String(from) : `${Math.min(from, to)}:${Math.max(from, to)}`;
  if (kind === 4) return void (await run(`COPY ${set} ${random.pick(boxes)}`));
  if (kind === 5) return void (await run(`MOVE ${set} ${random.pick(boxes)}`));
  if (kind === 6) {
    await run(`STORE ${set} +FLAGS.SILENT (\\Deleted)`);
    if (random.next() < 0.7) await run("EXPUNGE");
    return;
  }
  if (kind === 7) return void (await run(`STORE ${set} -FLAGS.SILENT (\\Deleted \\Seen)`));
  const flag = random.pick(["\\Seen", "\\Flagged", "\\Answered", "$Forwarded", "red", "blue"]);
  await run(`STORE ${set} ${random.pick(["+", "-"])}FLAGS.SILENT (${flag})`);
}

function message(random: Random, subject: string): string {
  const references = random.next() < 0.3 ? `References: <${random.between(1, 20)}@x.example>\r\n` : "";
  return Buffer.from(
    `From: Bea <bea@example.net>\r\nTo: you@example.org\r\nSubject: ${subject}\r\nMIME-Version: 1.0\r\n` +
      `Message-ID: <${random.between(1, 20)}@x.example>\r\n${references}Content-Type: text/plain; charset=utf-8\r\n\r\n` +
      `${"Ein schöner Text. ".repeat(random.between(1, 8))}\r\n`,
  ).toString("latin1");
}

// Acts of the phone

async function phoneAct(phone: Phone, random: Random, say: (line: string) => void): Promise<void> {
  const folder = random.next() < 0.6 ? phone.inbox : random.pick(phone.mailFolders);
  const ids = [...folder.items.keys()];
  const id = ids.length > 0 ? random.pick(ids) : undefined;
  const kind = random.between(0, 14);
  const act = (what: string): void => say(`phone: ${what} in ${folder.name}${id === undefined ? "" : ` (${id})`}`);
  if (kind === 0) {
    act("lists folders");
    return void (await phone.folderSync());
  }
  if (kind <= 2) {
    act("one window");
    await phone.sync([{ folder }]);
    return;
  }
  if (kind === 3) {
    const folders = [...new Set([folder, random.pick(phone.mailFolders), phone.inbox])];
    say(`phone: one Sync of ${folders.map(({ name }) => name).join(", ")}`);
    await phone.sync(
      folders.map((one) => ({ folder: one })),
      { window: random.between(1, 8) },
    );
    return;
  }
  if (kind === 4) {
    const filter = random.pick(FILTERS);
    act(`filter ${filter}`);
    folder.terms = { ...folder.terms, filter, window: random.between(1, 6) };
    await phone.sync([{ folder }]);
    return;
  }
  if (kind === 5) {
    act("starts again");
    folder.restart();
    return void (await phone.syncAll(folder));
  }
  if (kind === 6) {
    const there = phone.mailFolders.filter((one) => one.type === "12" && NAMES.some((name) => one.name === name));
    if (there.length > 0 && random.next() < 0.5) {
      const one = random.pick(there);
      if (random.next() < 0.5) {
        say(`phone: deletes folder ${one.name}`);
        return void (await phone.deleteFolder(one));
      }
      const name = random.pick(NAMES);
      say(`phone: calls folder ${one.name} ${name}`);
      return void (await phone.updateFolder(one, name));
    }
    const name = random.pick(NAMES);
    say(`phone: makes folder ${name}`);
    return void (await phone.createFolder(name));
  }
  if (kind === 7 && phone.speaks("16.0")) return draftAct(phone, random, say);
  if (kind === 8) {
    say("phone: sends a mail to itself");
    return void (await phone.sendMail(
      `From: ${phone.wire.options.user}\r\nTo: ${phone.wire.options.user}\r\nSubject: ${random.pick(SUBJECTS)}\r\nMessage-ID: <${phone.newClientId()}@phone.example>\r\n\r\nsent\r\n`,
    ));
  }
  if (id === undefined || folder.key === "0") return;
  return itemAct(phone, folder, id, random, act);
}

async function itemAct(
  phone: Phone,
  folder: PhoneFolder,
  id: string,
  random: Random,
  act: (what: string) => void,
): Promise<void> {
  const kind = random.between(0, 5);
  const getChanges = random.next() < 0.6;
  if (kind === 0) {
    const to = random.pick(phone.mailFolders);
    act(`moves to ${to.name}`);
    return void (await phone.move(folder, to, id));
  }
  if (kind === 1) {
    const deletesForGood = random.next() < 0.5;
    act(deletesForGood ? "deletes for good" : "deletes");
    await phone.sync([{ folder, getChanges, deletesForGood, commands: [{ kind: "delete", id }] }]);
    return;
  }
  const source = { folderId: folder.id, itemId: id };
  if (kind === 2 && random.next() < 0.5) {
    act("answers");
    const own = phone.wire.options.user;
    const head = `From: ${own}\r\nTo: ${own}\r\nSubject: Re\r\nMessage-ID: <${phone.newClientId()}@phone.example>\r\n`;
    return void (await phone.smartReply(source, `${head}\r\nanswer\r\n`));
  }
  const data = random.pick([
    ["Email:Read", "1"] as const,
    ["Email:Read", "0"] as const,
    ["Email:Flag", ["Status", "2"], ["FlagType", "for Follow Up"]] as const,
    ["Email:Flag"] as const,
    ...(phone.speaks("14.0") ? [["Email:Categories", ["Category", "red"]] as const] : []),
  ]);
  act(`says ${JSON.stringify(data)}`);
  await phone.sync([{ folder, getChanges, commands: [{ kind: "change", id, data: [data] }] }]);
}

async function draftAct(phone: Phone, random: Random, say: (line: string) => void): Promise<void> {
  const drafts = phone.ofType(3);
  const text = `draft ${random.between(1, 1000)}`;
  const body = ["AirSyncBase:Body", ["Type", "1"], ["Data", text]] as const;
  const ids = [...drafts.items].filter(([, item]) => item.IsDraft === "1").map(([id]) => id);
  if (ids.length === 0 || random.next() < 0.5) {
    say(`phone: ${text}`);
    await phone.addDraft(`c${random.between(1, 1_000_000)}`, ["Email:Subject", text], body);
    return;
  }
  const id = random.pick(ids);
  const send = random.next() < 0.2;
  say(`phone: ${text} in place of ${id}${send ? ", and sends it" : ""}`);
  const to = send ? ([["Email:To", phone.wire.options.user]] as const) : [];
  await phone.sync([
    { folder: drafts, commands: [{ kind: "change", id, data: [...to, ["Email:Subject", text], body], send }] },
  ]);
  if (!send) await phone.refresh(drafts, id);
}
