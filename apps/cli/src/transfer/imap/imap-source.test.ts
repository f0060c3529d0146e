import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { ImapFlow } from "imapflow";
import { afterEach, expect, test } from "vitest";
import type { SourceMail } from "../mail-place.ts";
import { CLIENT_OPTIONS, ImapSource } from "./imap-source.ts";
import type { ResumePoint } from "./resume-points.ts";

const ended: (() => void)[] = [];
afterEach(() => {
  for (const end of ended.splice(0)) end();
});

interface Message {
  readonly uid: number;
  readonly text: string;
  readonly labels?: string;
  /** The server tells of it, and does not give it; it tells another size; it ends the connection in its midst. */
  readonly fault?: "absent" | "empty" | "cut";
  readonly size?: number;
}

interface Scene {
  readonly capabilities?: string;
  /** LIST's answers. */
  readonly list: readonly string[];
  readonly mailboxes: Readonly<Record<string, readonly Message[]>>;
  /** By STATUS; a mailbox that is opened says 1000. */
  readonly uidNext?: number;
  /** A mailbox whose opening ends the connection. */
  readonly endsAt?: string;
  /** Mailboxes that can't be opened. */
  readonly closed?: readonly string[];
}

/** A server of the plainest kind, which does as the scene says. */
async function serve(scene: Scene): Promise<Server> {
  const server = createServer((socket) => {
    ended.push(() => socket.destroy());
    socket.on("error", () => undefined);
    socket.write(`* OK [CAPABILITY IMAP4rev1 ${scene.capabilities ?? ""}] hello\r\n`);
    let rest = "";
    let selected: readonly Message[] = [];
    socket.on("data", (chunk: Buffer) => {
      rest += chunk.toString("latin1");
      for (let at = rest.indexOf("\r\n"); at >= 0; at = rest.indexOf("\r\n")) {
        const line = rest.slice(0, at);
        rest = rest.slice(at + 2);
        selected = answer(socket, scene, line, selected);
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ended.push(() => server.close());
  return server;
}

function answer(socket: Socket, scene: Scene, line: string, selected: readonly Message[]): readonly Message[] {
  const [, tag, name, args = ""] = /^(\S+) (UID \S+|\S+) ?(.*)$/.exec(line) ?? [];
  const say = (...lines: string[]): boolean => socket.write(lines.map((text) => `${text}\r\n`).join(""));
  switch (name) {
    case "CAPABILITY":
      say(`* CAPABILITY IMAP4rev1 ${scene.capabilities ?? ""}`);
      break;
    case "LIST":
      say(...(args.startsWith('"" ""') ? ['* LIST (\\Noselect) "/" ""'] : scene.list.map((text) => `* LIST ${text}`)));
      break;
    case "STATUS":
      if (scene.uidNext) say(`* STATUS INBOX (MESSAGES 0 UIDNEXT ${scene.uidNext} UIDVALIDITY 7)`);
      break;
    case "EXAMINE": {
      const path = args.replaceAll('"', "");
      if (path === scene.endsAt) {
        socket.destroy();
        return selected;
      }
      if (scene.closed?.includes(path)) {
        say(`${tag} NO not today`);
        return selected;
      }
      const messages = scene.mailboxes[path] ?? [];
      say(`* ${messages.length} EXISTS`, "* OK [UIDVALIDITY 7] x", "* OK [UIDNEXT 1000] x");
      say(`${tag} OK [READ-ONLY] done`);
      return messages;
    }
    case "UID SEARCH":
      say(`* SEARCH ${selected.map(({ uid }) => uid).join(" ")}`);
      break;
    case "UID FETCH":
      if (fetch(say, socket, selected, args)) return selected;
      break;
    case "IDLE":
      say("+ idling");
      setTimeout(() => say("* 9 EXISTS"), 50);
      return selected;
    case "LOGOUT":
      say("* BYE bye");
      break;
  }
  say(`${tag} OK done`);
  return selected;
}

/** True if the connection ended. */
function fetch(
  say: (...lines: string[]) => boolean,
  socket: Socket,
  selected: readonly Message[],
  args: string,
): boolean {
  const uids = args.split(" ")[0]!.split(",").map(Number);
  const isSource = args.includes("BODY.PEEK[]");
  for (const [at, { uid, text, labels, fault, size }] of selected.entries()) {
    if (!uids.includes(uid) || (isSource && fault === "absent")) continue;
    if (isSource && fault === "cut") {
      socket.end(`* ${at + 1} FETCH (UID ${uid} BODY[] {${text.length}}\r\n${text.slice(0, 3)}`);
      return true;
    }
    const body = fault === "empty" ? "NIL" : `{${text.length}}\r\n${text}`;
    const facts = `FLAGS (\\Seen \\Recent) INTERNALDATE "02-Feb-2026 10:11:12 +0100" RFC822.SIZE ${size ?? text.length}`;
    say(
      `* ${at + 1} FETCH (UID ${uid} ${isSource ? `BODY[] ${body}` : facts}${labels ? ` X-GM-LABELS (${labels})` : ""})`,
    );
  }
  return false;
}

async function open(
  scene: Scene,
  points: Record<string, ResumePoint> = {},
  signal: AbortSignal = new AbortController().signal,
): Promise<{ readonly source: ImapSource; readonly skipped: () => number }> {
  const server = await serve(scene);
  const client = new ImapFlow({
    host: "127.0.0.1",
    port: (server.address() as AddressInfo).port,
    secure: false,
    doSTARTTLS: false,
    auth: { user: "ada", pass: "secret" },
    ...CLIENT_OPTIONS,
  });
  client.on("error", () => undefined);
  await client.connect();
  ended.push(() => client.close());
  let skipped = 0;
  const source = new ImapSource(client, {
    points: {
      read: async (path) => points[path],
      write: async (path, point) => {
        points[path] = point;
      },
    },
    signal,
    onSkipped: (count) => {
      skipped += count;
    },
  });
  return { source, skipped: () => skipped };
}

async function read(source: ImapSource): Promise<{ readonly mails: unknown[]; readonly problems: readonly string[] }> {
  const { folders, problems } = await source.open();
  const mails: unknown[] = [];
  for (const folder of folders) {
    let last: SourceMail | undefined;
    for await (const mail of folder.mails()) {
      const text = Buffer.concat(await Array.fromAsync(mail.open())).toString("latin1");
      mails.push([folder.path, text, mail.into?.map(({ path }) => path)]);
      last = mail;
    }
    if (last) await folder.onStored?.(last);
  }
  return { mails, problems };
}

test("Gmail's mail comes once, by its labels; what has none goes to the archive", async () => {
  const { source } = await open({
    capabilities: "X-GM-EXT-1 SPECIAL-USE",
    list: ['() "/" INBOX', '() "/" Work', '(\\All) "/" "[Gmail]/All Mail"', '(\\Trash) "/" "[Gmail]/Bin"'],
    mailboxes: {
      INBOX: [{ uid: 1, text: "twice" }],
      "[Gmail]/All Mail": [
        { uid: 1, text: "a", labels: '"\\\\Inbox" Work/2026 "\\\\Starred"' },
        { uid: 2, text: "b", labels: '"R&APw-ck"' },
        { uid: 3, text: "c", labels: '"\\\\Important"' },
      ],
      "[Gmail]/Bin": [{ uid: 9, text: "d", labels: '"\\\\Inbox"' }],
    },
  });
  expect((await read(source)).mails).toEqual([
    ["[Gmail]/All Mail", "a", ["INBOX", "Work/2026"]],
    ["[Gmail]/All Mail", "b", ["R\u00fcck"]],
    ["[Gmail]/All Mail", "c", ["Archive"]],
    ["[Gmail]/Bin", "d", undefined],
  ]);
});

test("it goes on behind the point; `*` is no new message; another UIDVALIDITY begins anew", async () => {
  const scene: Scene = {
    list: ['() "/" INBOX', '() "/" A', '() "/" B'],
    mailboxes: {
      INBOX: [
        { uid: 4, text: "old" },
        { uid: 5, text: "new" },
      ],
      A: [{ uid: 4, text: "last" }],
      B: [{ uid: 1, text: "again" }],
    },
  };
  const points = {
    INBOX: { uidValidity: "7", uid: 4 },
    A: { uidValidity: "7", uid: 4 },
    B: { uidValidity: "6", uid: 4 },
  };
  const { source, skipped } = await open(scene, points);
  expect((await read(source)).mails).toEqual([
    ["INBOX", "new", undefined],
    ["B", "again", undefined],
  ]);
  expect(skipped()).toBe(2);
  expect(points.INBOX).toEqual({ uidValidity: "7", uid: 5 });
  expect(points.B).toEqual({ uidValidity: "7", uid: 1 });
});

test("what the server does not give or can't open is named, what went is not; the rest comes", async () => {
  const { source } = await open({
    list: ['() "/" INBOX', '() "/" Shut', '() "/" A'],
    closed: ["Shut"],
    mailboxes: {
      INBOX: [
        { uid: 1, text: "x", fault: "absent" },
        { uid: 2, text: "y", fault: "empty" },
        { uid: 3, text: "z" },
        { uid: 4, text: "!", size: 2 ** 30 },
      ],
      A: [{ uid: 1, text: "a" }],
    },
  });
  const { mails, problems } = await read(source);
  expect(mails).toEqual([
    ["INBOX", "z", undefined],
    ["A", "a", undefined],
  ]);
  expect([...problems].sort()).toEqual([
    "INBOX, uid 2 is left out: the server does not give it",
    expect.stringMatching(/^INBOX, uid 4 is left out: 1073741824 octets/),
    "Shut can't be opened there: not today",
  ]);
});

test("a connection that ends when a mailbox is opened is an error, and no mailbox that can't be", async () => {
  const { source } = await open({ list: ['() "/" INBOX'], mailboxes: {}, endsAt: "INBOX" });
  const { folders, problems } = await source.open();
  await expect(Array.fromAsync(folders[0]!.mails())).rejects.toThrow();
  expect(problems).toEqual([]);
});

test("a connection that ends in the midst of a mail is an error, and what came before it stands", async () => {
  const large = "x".repeat(9_000_000);
  const { source } = await open({
    list: ['() "/" INBOX'],
    mailboxes: {
      INBOX: [
        { uid: 1, text: large },
        { uid: 2, text: "cut off", fault: "cut" },
      ],
    },
  });
  const { folders } = await source.open();
  const got: string[] = [];
  await expect(
    (async () => {
      for await (const { place } of folders[0]!.mails()) got.push(place);
    })(),
  ).rejects.toThrow();
  expect(got).toEqual(["INBOX, uid 1"]);
});

test("it waits for news of INBOX, for the time that it is given, and not at all once it is ended", async () => {
  const scene: Scene = { capabilities: "IDLE", list: ['() "/" INBOX'], mailboxes: {} };
  const waited = async (source: ImapSource, timeoutMs: number): Promise<number> => {
    const start = performance.now();
    await source.waitForNews(timeoutMs);
    return performance.now() - start;
  };
  expect(await waited((await open(scene)).source, 20_000)).toBeLessThan(10_000);
  expect(await waited((await open({ ...scene, capabilities: "" })).source, 300)).toBeGreaterThan(290);
  // Mail that came between `open` and the wait ends the wait; without any it lasts.
  for (const [uidNext, isLong] of [
    [999, false],
    [1000, true],
  ] as const) {
    const { source } = await open({ ...scene, capabilities: "", uidNext });
    await read(source);
    expect((await waited(source, 2_000)) > 1_900).toBe(isLong);
    expect((await source.open()).folders).toEqual([]);
  }
  expect(await waited((await open(scene, {}, AbortSignal.abort())).source, 20_000)).toBeLessThan(10_000);
  expect(
    await waited((await open({ ...scene, capabilities: "" }, {}, AbortSignal.timeout(100))).source, 20_000),
  ).toBeLessThan(10_000);
});
