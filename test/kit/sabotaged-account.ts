import {
  type AccountSession,
  Accounts,
  type AccountsOptions,
  changePassword,
  checkAccount,
  checkSealed,
  EngineError,
  type ObjectStore,
  type Platform,
} from "@restante/engine";
import { MemoryPlace } from "@restante/engine/node";
import { dropbox, FIRST, mailText, SECOND, setUpAda, signingKeyPair, stream } from "@restante/engine/testing";
import { expect } from "vitest";

/** An account that two hosts use, as its store's saboteur finds it. */
const ADDRESS = "ada@example.org";
/** Entries of the log after which a checkpoint is made, and some. */
const APPENDED = 70;
const LARGE = 40_000;

type Objects = ReadonlyMap<string, Uint8Array>;
type Witnesses = NonNullable<Platform["witnesses"]>;
export type Seen = Parameters<Witnesses["write"]>[1];

export interface Scene {
  readonly tools: Omit<AccountsOptions, "store">;
  /** Objects of the store, without waiting deliveries and with them. */
  readonly settled: Objects;
  readonly waiting: Objects;
  /** All of it as it was earlier, and the same after a host that had seen no more had written on, and trimmed its log. */
  readonly old: Objects;
  readonly writtenOn: Objects;
  /** The same as `settled`, where all that its newest checkpoint covers has left the log. */
  readonly trimmed: Objects;
  /** With a delivery by a host that nobody trusts. */
  readonly strangers: Objects;
  /** Objects that the store held before: those that are gone since may be put back. */
  readonly before: Objects;
  /** The text of each message, by its place; and of those that wait. */
  readonly truth: ReadonlyMap<string, string>;
  readonly delivered: ReadonlySet<string>;
  /** Witnesses that both hosts kept, by account. */
  readonly seen: ReadonlyMap<string, Seen>;
}

/** Signs of a deed: words by the reader that saw them, and how many messages could be read afterwards. */
export interface Sight {
  readonly words: Readonly<Record<"session" | "opening" | "check" | "sealed", readonly string[]>>;
  readonly readable: number;
}

/** Witnesses in memory. `restores` are those that the host went along with. */
export function keeper(seen: Map<string, Seen>, restores: Set<string> = new Set()): Witnesses {
  return {
    read: async (account) => seen.get(account),
    write: async (account, witness) => void seen.set(account, witness),
    replace: async (account, witness) => void seen.set(account, witness),
    isRestored: async (_, restore) => restore !== undefined && !restores.has(restore),
    clearRestored: async (_, restore) => {
      if (restore !== undefined) restores.add(restore);
    },
  };
}

export async function makeScene(): Promise<Scene> {
  const { place, tools, accounts, user } = await setUpAda();
  const before = new Map<string, Uint8Array>();
  const note = (): void => {
    for (const [name, { bytes }] of place.objects) if (!before.has(name)) before.set(name, bytes);
  };
  const seen = new Map<string, Seen>();
  const host = { ...tools, platform: { ...tools.platform, witnesses: keeper(seen) } };
  const box = dropbox(place, user());
  for (let n = 0; n < 3; n++) await box.deliver(new Uint8Array(0), stream(mailText(n, n === 1 ? LARGE : 10)));
  note();
  const first = new Accounts({ ...host, store: place.open() });
  let session = await first.login(ADDRESS, FIRST, "");
  for (let n = 10; n < 10 + APPENDED; n++) {
    const size = n % 20 === 0 ? LARGE : 10;
    await session.append(
      session.getMailbox("Archive").id,
      await session.prepare(stream(mailText(n, size)), { mailbox: "Archive", flags: [] }),
    );
    note();
  }
  session.close();
  await first.dispose();
  await changePassword({ ...host, store: place.open() }, user(), FIRST, SECOND);
  const old = bytesOf(place);
  const second = accounts();
  session = await second.login(ADDRESS, SECOND, "");
  for (let n = 0; n < 3; n++)
    await session.append(
      session.getMailbox("Sent").id,
      await session.prepare(stream(mailText(200 + n)), { mailbox: "Sent", flags: [] }),
    );
  session.close();
  await second.dispose();
  note();
  // Both hosts have seen all of it.
  const last = new Accounts({ ...host, store: place.open() });
  session = await last.login(ADDRESS, SECOND, "");
  const truth = await readAll(session);
  expect(truth.size).toBe(3 + APPENDED + 3);
  session.close();
  await last.dispose();
  const settled = bytesOf(place);
  const texts = [mailText(300), mailText(301, LARGE)];
  for (const text of texts) await box.deliver(new Uint8Array(0), stream(text));
  const waiting = bytesOf(place);
  const byStranger = mailText(400);
  const stranger = signingKeyPair(new Uint8Array(32).fill(66));
  await dropbox(place, user(), stranger).deliver(new Uint8Array(0), stream(byStranger));
  return {
    tools: { ...tools },
    settled,
    waiting,
    strangers: bytesOf(place),
    old,
    trimmed: trim(settled),
    writtenOn: await writeOn(tools, old),
    before,
    truth,
    delivered: new Set([...texts, byStranger]),
    seen,
  };
}

/** Objects after a host that never saw the account before wrote on: other messages under the same numbers, and checkpoints. */
async function writeOn(tools: Omit<AccountsOptions, "store">, objects: Objects): Promise<Objects> {
  const place = new MemoryPlace(Date.now);
  for (const [name, bytes] of objects) place.write(name, bytes);
  const host = new Accounts({ ...tools, store: place.open() });
  const session = await host.login(ADDRESS, SECOND, "");
  for (let n = 0; n < APPENDED; n++)
    await session.append(
      session.getMailbox("Sent").id,
      await session.prepare(stream(mailText(500 + n)), { mailbox: "Sent", flags: [] }),
    );
  session.close();
  await host.dispose();
  return trim(bytesOf(place));
}

function trim(objects: Objects): Objects {
  const listed = (kind: string): string[] => [...objects.keys()].filter((name) => name.includes(kind)).sort();
  const [newest, ...others] = listed("/checkpoint/");
  const covers = 2 ** 53 - Number.parseInt(newest!.slice(-14), 16);
  const covered = listed("/log/").filter((name) => Number.parseInt(name.slice(-14), 16) <= covers);
  const gone = new Set([...others, ...covered]);
  return new Map([...objects].filter(([name]) => !gone.has(name)));
}

function bytesOf(place: MemoryPlace): Objects {
  return new Map([...place.objects].map(([name, { bytes }]) => [name, bytes]));
}

/** The sight of both hosts and the checks after `deed`, which is done to a store that holds `objects`. Fails where anything
 * is shown wrongly. */
export async function look(
  { tools, truth, delivered, seen }: Scene,
  store: () => ObjectStore,
  deed: () => Promise<void>,
  hasSession: boolean,
): Promise<Sight> {
  const host = (): Accounts =>
    new Accounts({ ...tools, store: store(), platform: { ...tools.platform, witnesses: keeper(new Map(seen)) } });
  const words: Record<keyof Sight["words"], string[]> = { session: [], opening: [], check: [], sealed: [] };
  const texts = new Set(truth.values());
  let readable = 0;
  const judge = async (session: AccountSession, told: string[]): Promise<void> => {
    if (session.barred !== undefined) told.push(session.barred);
    await session.refresh().catch((error: unknown) => told.push(foreseen(error)));
    // Waits for what a sign-in over a slow store leaves for later; what can't be opened is told by the check.
    if (session.barred === undefined) await session.retryNotes().catch((error: unknown) => told.push(foreseen(error)));
    readable = 0;
    const isAlerted = session.barred?.includes("older history") === true;
    for (const [place, text] of await readAll(session, told)) {
      if (text === truth.get(place)) readable++;
      else if (session.isPartial && texts.has(text)) readable++;
      else if (isAlerted) told.push("under that alert other messages stand at known numbers");
      else if (!truth.has(place) && (delivered.has(text) || isNotice(text, told))) {
        readable += delivered.has(text) ? 1 : 0;
        if (place.startsWith("Unverified ")) told.push("put into Unverified");
      } else throw new Error(`${place} is shown wrongly: ${text.slice(0, 200)}`);
    }
  };
  const here = host();
  const session = hasSession ? await here.login(ADDRESS, SECOND, "") : undefined;
  await deed();
  if (session) await judge(session, words.session).catch((error: unknown) => words.session.push(foreseen(error)));
  await here.dispose();
  try {
    for await (const { problem } of checkSealed(store())) if (problem !== undefined) words.sealed.push(problem);
  } catch (error) {
    words.sealed.push(foreseen(error));
  }
  const there = host();
  readable = 0;
  try {
    const opened = await there.login(ADDRESS, SECOND, "");
    await judge(opened, words.opening);
    for (const { problem } of (await checkAccount(opened)).findings) words.check.push(problem);
  } catch (error) {
    words.opening.push(foreseen(error));
  }
  const old = await there.login(ADDRESS, FIRST, "").catch(foreseen);
  if (typeof old !== "string") throw new Error("an old password opens");
  await there.dispose();
  return { words, readable };
}

/** All texts by mailbox, UIDVALIDITY and uid; what can't be read is `told`, or thrown. */
async function readAll(session: AccountSession, told?: string[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const { path, uidValidity } of session.state.liveMailboxes()) {
    const view = session.openView(session.getMailbox(path).id, { readOnly: true });
    for (let position = 0; position < view.length; position++)
      try {
        const body = await session.openBody(view.message(position));
        const pieces: Buffer[] = [];
        for await (const piece of body.read(0, body.size)) pieces.push(Buffer.from(piece));
        found.set(`${path} ${uidValidity} ${view.uidAt(position)}`, Buffer.concat(pieces).toString("latin1"));
      } catch (error) {
        if (!told) throw error;
        told.push(foreseen(error));
      }
  }
  return found;
}

/** A message of ours to the owner, whose subject is told. */
function isNotice(text: string, told: string[]): boolean {
  const subject = /^Subject: (.*)\r$/m.exec(text)?.[1];
  if (subject === undefined || !/^From: .*restante/im.test(text)) return false;
  told.push(`message: ${subject}`);
  return true;
}

/** The words of a refusal that is foreseen; all else fails the test. */
function foreseen(error: unknown): string {
  if (!(error instanceof EngineError)) throw error;
  return `${error.code}: ${error.message}`;
}
