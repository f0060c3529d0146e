import { extent } from "@restante/engine/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { JmapClient, type Json } from "../kit/jmap-client.ts";
import { connectImap, connectLmtp, deliver, type LineClient } from "../kit/line-client.ts";
import type { PhoneFolder } from "../kit/phone/folder.ts";
import { Phone } from "../kit/phone/phone.ts";
import { Random } from "../kit/random.ts";
import { testSeed } from "../kit/seed.ts";
import { makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "../kit/server.ts";

/**
 * One store, changed at random by LMTP, IMAP, JMAP and ActiveSync: after each change the same conditions give the same emails in
 * the same order, counts are what queries find, and a phone holds what is there. A protocol that comes brings its changes
 * (`CHANGES`) and what it shows (`checks`). `ROUNDS=2000` runs longer.
 */
const ROUNDS = Number(process.env.ROUNDS ?? extent(400, 100));
const USER = "ada@example.org";
const PASSWORD = "tests-have-a-password";
const PATHS = ["INBOX", "A", "B", "Trash"] as const;
type Path = (typeof PATHS)[number];
/** Messages beyond which one goes before another comes. */
const MESSAGES_MAX = 40;
const WORDS = ["ant", "bee", "cow"] as const;
const FLAGS = ["\\Seen", "\\Flagged", "\\Deleted", "\\Draft", "work"] as const;

interface Membership {
  readonly path: Path;
  readonly uid: number;
  readonly email: string;
  readonly thread: string;
  readonly subject: string;
  readonly flags: ReadonlySet<string>;
}

let server: RunningServer;
let jmap: JmapClient;
let lmtp: LineClient;
let phone: Phone;
let writer: LineClient;
const readers = new Map<Path, LineClient>();
const ids = new Map<Path, string>();
let made = 0;

beforeAll(async () => {
  const data = await makeDataFolder();
  await restante(data, ["account", "add", USER, "--password-stdin"], `${PASSWORD}\n`);
  server = await startServer(data, { env: { RESTANTE_HTTPS_TLS: "off" } });
  jmap = await JmapClient.connect(server.ports.https!, USER, PASSWORD);
  lmtp = await connectLmtp(server.ports.lmtp!);
  writer = await connectImap(server.ports.imap!, USER, PASSWORD);
  for (const path of ["A", "B"]) expect(await writer.command(`CREATE ${path}`)).toMatch(/ OK/);
  for (const { id, name } of (await jmap.call("Mailbox/get", {})).list) {
    const path = PATHS.find((one) => one.toLowerCase() === name.toLowerCase());
    if (path) ids.set(path, id);
  }
  expect([...ids.keys()].sort()).toEqual([...PATHS].sort());
  for (const path of PATHS) {
    const reader = await connectImap(server.ports.imap!, USER, PASSWORD);
    expect(await reader.command(`EXAMINE ${path}`)).toMatch(/ OK/);
    readers.set(path, reader);
  }
  phone = new Phone(
    { port: server.ports.https!, user: USER, password: PASSWORD, deviceId: "ONE", deviceType: "Test", version: "16.1" },
    { filter: 0 },
  );
  await phone.setUp();
});
afterAll(async () => {
  phone[Symbol.dispose]();
  for (const client of [lmtp, writer, ...readers.values()]) client.end();
  expect(await server.stop()).toBe(0);
  expect(server.logs()).not.toContain("request failed");
  await removeDataFolder(server.data);
});

// Messages that are there, as IMAP tells them

async function memberships(): Promise<Membership[]> {
  const each = PATHS.map(async (path) => {
    const reader = readers.get(path)!;
    await reader.command("NOOP");
    const answer = await reader.command("FETCH 1:* (UID FLAGS EMAILID THREADID BODY.PEEK[HEADER.FIELDS (SUBJECT)])");
    return answer
      .split(/^\* \d+ FETCH /m)
      .slice(1)
      .map((text): Membership => {
        const one = (pattern: RegExp): string => pattern.exec(text)![1]!;
        const flags = one(/FLAGS \(([^)]*)\)/)
          .split(" ")
          .filter((flag) => flag !== "" && flag !== "\\Recent");
        return {
          path,
          uid: Number(one(/UID (\d+)/)),
          email: one(/EMAILID \((\w+)\)/),
          thread: one(/THREADID \((\w+)\)/),
          subject: one(/Subject: (.*)\r/),
          flags: new Set(flags),
        };
      });
  });
  return (await Promise.all(each)).flat();
}

// Changes

function newMail(random: Random): string {
  made++;
  const answers = made > 1 && random.next() < 0.3 ? `In-Reply-To: <${random.between(1, made - 1)}@x>\r\n` : "";
  // An answer is in the thread of what it answers if it has its subject.
  return `From: ${random.pick(WORDS)}@x.example\r\nTo: ada@example.org\r\nSubject: ${random.pick(WORDS)} ${made % 7}\r\nMessage-ID: <${made}@x>\r\n${answers}\r\n${random.pick(WORDS)} body ${"x".repeat(random.between(0, 300))}\r\n`;
}

const date = (): string =>
  `"${String(1 + (made % 28)).padStart(2, "0")}-Jan-${1980 + (made % 40)} 10:00:${String(made % 60).padStart(2, "0")} +0000"`;
const keywordOf = (flag: string): string =>
  ({ "\\Seen": "$seen", "\\Flagged": "$flagged", "\\Draft": "$draft" })[flag] ?? flag;

async function imap(path: Path, command: string): Promise<void> {
  await writer.command(`SELECT ${path}`);
  expect(await writer.command(command), command).toMatch(/^t\d+ (?:OK|NO \[(?:EXPUNGEISSUED|NONEXISTENT)\])/m);
}

async function append(random: Random): Promise<void> {
  const mail = newMail(random);
  const flags = FLAGS.filter(() => random.next() < 0.2).join(" ");
  await imap(random.pick(PATHS), `APPEND ${random.pick(PATHS)} (${flags}) ${date()} {${mail.length}+}\r\n${mail}`);
}

async function importMail(random: Random): Promise<void> {
  const { blobId } = await jmap.upload(newMail(random));
  const mailboxIds = Object.fromEntries(PATHS.filter(() => random.next() < 0.4).map((path) => [ids.get(path)!, true]));
  if (Object.keys(mailboxIds).length === 0) mailboxIds[ids.get("INBOX")!] = true;
  // Each second once: what came at once has an order in each protocol.
  const receivedAt = new Date(Date.UTC(2024, 0, 1) + made * 1000).toISOString().replace(".000", "");
  const { notCreated } = await jmap.call("Email/import", { emails: { a: { blobId, mailboxIds, receivedAt } } });
  expect(notCreated ?? {}).toEqual({});
}

type Change = (random: Random, one: Membership, all: readonly Membership[]) => Promise<unknown>;

const ARRIVALS: readonly Change[] = [
  append,
  importMail,
  async (random) => expect(await deliver(lmtp, [USER], newMail(random))).toEqual([expect.stringMatching(/^250/)]),
];

const patch = (email: string, update: object): Promise<Json> => jmap.call("Email/set", { update: { [email]: update } });

/** Changes that take something away. */
const REMOVALS: readonly Change[] = [
  (_, { path }) => imap(path, "EXPUNGE"),
  async (_, { path, uid }) => {
    await imap(path, `UID STORE ${uid} +FLAGS (\\Deleted)`);
    await imap(path, `UID EXPUNGE ${uid}`);
  },
  (_, { email }) => jmap.call("Email/set", { destroy: [email] }),
  async (_, one) => onPhone(one, (folder, item) => phone.delete(folder, item)),
];

const CHANGES: readonly Change[] = [
  ...REMOVALS,
  ...ARRIVALS,
  (random, { path, uid }) =>
    imap(path, `UID STORE ${uid} ${random.pick(["+", "-", ""])}FLAGS (${random.pick(FLAGS)} ${random.pick(FLAGS)})`),
  (random, { path, uid }) => imap(path, `UID STORE ${uid} ${random.pick(["+", "-"])}FLAGS (${random.pick(FLAGS)})`),
  (random, { path, uid }) => imap(path, `UID COPY ${uid} ${random.pick(PATHS)}`),
  (random, { path, uid }) => imap(path, `UID MOVE ${uid}:${uid + 2} ${random.pick(PATHS)}`),
  (random, { email }) => {
    const keyword = keywordOf(random.pick(FLAGS.filter((flag) => flag !== "\\Deleted")));
    return patch(email, { [`keywords/${keyword}`]: random.pick([true, null]) });
  },
  (random, { email, path }) =>
    patch(email, { [`mailboxIds/${ids.get(path)}`]: null, [`mailboxIds/${ids.get(random.pick(PATHS))}`]: true }),
  (random, one) => onPhone(one, (folder, item) => phone.read(folder, item, random.next() < 0.5)),
  (random, one) => onPhone(one, (folder, item) => phone.flag(folder, item, random.next() < 0.5)),
];

function folderAt(path: Path): PhoneFolder {
  return path === "INBOX" ? phone.inbox : path === "Trash" ? phone.ofType(4) : phone.named(path);
}

/** Some item of the folder: the phone has ids of its own. */
async function onPhone({ path, subject }: Membership, work: (folder: PhoneFolder, item: string) => Promise<unknown>) {
  const folder = folderAt(path);
  await phone.syncAll(folder);
  const item = [...folder.items].find(([, { Subject }]) => Subject === subject);
  if (item) await work(folder, item[0]);
}

// Checks

/** The same condition in the words of IMAP and of JMAP: of an email's texts, which are the same in each mailbox. */
const CONDITIONS: readonly (readonly [string, object])[] = [
  ...WORDS.flatMap((word) => [
    [`SUBJECT ${word}`, { subject: word }] as const,
    [`FROM ${word}`, { from: word }] as const,
    [`TEXT ${word}`, { text: word }] as const,
    [`NOT BODY ${word}`, { operator: "NOT", conditions: [{ body: word }] }] as const,
  ]),
  ["LARGER 300", { minSize: 301 }],
  ["OR SUBJECT ant SMALLER 250", { operator: "OR", conditions: [{ subject: "ant" }, { maxSize: 250 }] }],
  ["SINCE 1-Jan-2000", { after: "2000-01-01T00:00:00Z" }],
  ["ALL", {}],
];
const SORTS = [
  ["ARRIVAL", { property: "receivedAt", isAscending: true }],
  ["REVERSE ARRIVAL", { property: "receivedAt", isAscending: false }],
  ["SIZE", { property: "size", isAscending: true }],
  ["SUBJECT", { property: "subject", isAscending: true }],
  ["REVERSE FROM", { property: "from", isAscending: false }],
] as const;

/** An email of memberships that are shown: RFC 8621 §4.1.1, as its memberships come to. */
function has(shown: readonly Membership[], email: string, flag: string): boolean {
  const own = shown.filter((one) => one.email === email);
  const carries = ({ flags }: Membership): boolean => flags.has(flag);
  return flag === "\\Seen" || flag === "\\Draft" ? own.every(carries) : own.some(carries);
}

async function check(random: Random): Promise<void> {
  const all = await memberships();
  const shown = all.filter(({ flags }) => !flags.has("\\Deleted"));
  const [key, filter] = random.pick(CONDITIONS);
  const [imapSort, jmapSort] = random.pick(SORTS);
  const flag = random.pick(["\\Seen", "\\Flagged", "\\Draft", "work"]);
  const within = (path: Path, more: object) => ({
    operator: "AND",
    conditions: [{ inMailbox: ids.get(path)! }, ...(Object.keys(more).length > 0 ? [more] : [])],
  });
  // Equals by when they came: no two came at once.
  const sort = [jmapSort, { property: "receivedAt", isAscending: true }];
  const { methodResponses } = await jmap.request([
    ["Mailbox/get", {}, "m"],
    ...PATHS.flatMap((path) => [
      ["Email/query", { filter: within(path, filter), sort }, `q${path}`] as const,
      ["Email/query", { filter: within(path, { hasKeyword: keywordOf(flag) }) }, `k${path}`] as const,
    ]),
  ]);
  const byId = new Map<string, Json>(methodResponses.map(([, result, id]: Json) => [id, result]));
  const isUnread = (email: string): boolean => !has(shown, email, "\\Seen") && !has(shown, email, "\\Draft");
  for (const path of PATHS) {
    const here = shown.filter((one) => one.path === path);
    const emails = new Set(here.map(({ email }) => email));
    // The same order
    const answer = await readers.get(path)!.command(`UID SORT (${imapSort} ARRIVAL) UTF-8 UNDELETED ${key}`);
    const uids = /^\* SORT ?(.*)\r/m.exec(answer)![1]!.split(" ").filter(Boolean).map(Number);
    const sorted = uids.map((uid) => here.find((one) => one.uid === uid)!.email);
    expect(byId.get(`q${path}`).ids, `${path}: ${key}, ${imapSort}`).toEqual([...new Set(sorted)]);
    const searched = await readers.get(path)!.command(`UID SEARCH UNDELETED ${key}`);
    expect(/^\* SEARCH ?(.*)\r/m.exec(searched)![1]!).toBe(uids.toSorted((a, b) => a - b).join(" "));
    // Flags by the rules of each
    const carrying = await readers.get(path)!.command(`UID SEARCH ${flag === "work" ? "KEYWORD work" : flag.slice(1)}`);
    const carriers = all.filter((one) => one.path === path && one.flags.has(flag)).map(({ uid }) => uid);
    expect(/^\* SEARCH ?(.*)\r/m.exec(carrying)![1]!).toBe(carriers.join(" "));
    expect(new Set(byId.get(`k${path}`).ids)).toEqual(new Set([...emails].filter((one) => has(shown, one, flag))));
    // Counts
    const { totalEmails, unreadEmails, totalThreads, unreadThreads } = byId
      .get("m")
      .list.find(({ id }: Json) => id === ids.get(path));
    const threads = new Set(here.map(({ thread }) => thread));
    const counts = path === "Trash" ? here : shown.filter((one) => one.path !== "Trash");
    const unread = new Set(counts.filter(({ email }) => isUnread(email)).map(({ thread }) => thread));
    expect([path, totalEmails, unreadEmails, totalThreads, unreadThreads]).toEqual([
      path,
      emails.size,
      [...emails].filter(isUnread).length,
      threads.size,
      [...threads].filter((thread) => unread.has(thread)).length,
    ]);
    // The phone
    const folder = folderAt(path);
    await phone.syncAll(folder);
    const held = [...folder.items.values()].map(({ Subject, Read, Flag }) => {
      const isFlagged = typeof Flag === "object" && "Status" in Flag && Flag.Status === "2";
      return `${Subject} ${Read} ${isFlagged ? 1 : 0}`;
    });
    const there = here.map(
      ({ subject, flags }) => `${subject} ${flags.has("\\Seen") ? 1 : 0} ${flags.has("\\Flagged") ? 1 : 0}`,
    );
    expect(held.sort()).toEqual(there.sort());
  }
}

test("what four protocols change at random each of them shows alike, after each change", async () => {
  const random = new Random(testSeed());
  for (let round = 0; round < ROUNDS; round++) {
    const all = await memberships();
    const one = all.length > 0 ? random.pick(all) : undefined;
    const changes = all.length < 5 ? ARRIVALS : all.length > MESSAGES_MAX ? REMOVALS : CHANGES;
    await random.pick(changes)(random, one!, all);
    await check(random);
  }
});
