import { randomBytes } from "node:crypto";
import { stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { connectImap, connectLmtp, deliver, type LineClient } from "../kit/line-client.ts";
import { DEMO, type RunningServer, restante, startServer } from "../kit/server.ts";
import { mountSmallDisk, type SmallDisk } from "../kit/small-disk.ts";

const MB = 1024 * 1024;
const DISK_BYTES = 96 * MB;
const RESERVE_BYTES = 8 * MB;
const FREE_BYTES_MIN = 16 * MB;
const ENV = {
  RESTANTE_STORAGE_RESERVE_SIZE: String(RESERVE_BYTES),
  RESTANTE_STORAGE_FREE_MIN: String(FREE_BYTES_MIN),
};
const NEW_PASSWORD = "another-long-secret";
const BALLAST = "ballast";
/** Small ones lie in the database, large ones in files. */
const BODY_BYTES = [1000, 20_000, 400_000, 1_500_000] as const;
const LONG_DAY_MS = 25 * 60 * 60_000;
/** The server looks a minute after its start what may be deleted. */
const UPKEEP_MS = 65_000;
const WAIT_MS_MAX: number = 3 * UPKEEP_MS;
const TEST_MS_MAX = 900_000;
const POLL_MS = 200;
/** The server looks once a second how much room there is. */
const FREE_CHECK_MS = 1500;

let disk: SmallDisk;
let server: RunningServer | undefined;
beforeEach(async () => {
  disk = await mountSmallDisk(DISK_BYTES);
});
afterEach(async () => {
  await server?.kill();
  await disk.unmount();
});

function messageOf(id: string, bodyBytes: number): string {
  const lines = randomBytes(Math.ceil(bodyBytes / 2))
    .toString("hex")
    .replace(/.{76}/g, "$&\r\n");
  return `From: full@example.net\r\nSubject: ${id}\r\nMessage-ID: <${id}@full>\r\n\r\n${lines}\r\n`;
}

async function append(client: LineClient, mailbox: string, text: string): Promise<string> {
  return client.command(`APPEND ${mailbox} {${text.length}+}\r\n${text}`);
}

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  for (let waited = 0; !(await isTrue()); waited += POLL_MS) {
    if (waited > WAIT_MS_MAX) throw new Error(`${what} did not come`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function isReserveWhole({ folder }: SmallDisk): Promise<boolean> {
  const found = await stat(join(folder, "store", "reserve")).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  return found?.size === RESERVE_BYTES;
}

/** Every message that was acknowledged is there once, with all its bytes, and none that was refused. */
async function expectAll(client: LineClient, mailbox: string, sent: ReadonlyMap<string, string>): Promise<void> {
  const exists = Number(/^\* (\d+) EXISTS/m.exec(await client.command(`SELECT ${mailbox}`))![1]);
  const found: string[] = [];
  for (let n = 1; n <= exists; n++) {
    const answer = await client.command(`FETCH ${n} BODY.PEEK[]`);
    const id = /^Message-ID: <(\S+)@full>\r$/m.exec(answer)?.[1];
    // The demo account has mails of its own.
    if (id === undefined) continue;
    found.push(id);
    expect(answer.includes(sent.get(id) ?? "nothing of that id"), `${id} in ${mailbox}`).toBe(true);
  }
  expect(found.toSorted()).toEqual([...sent.keys()].toSorted());
}

/** Mail of each size until one is refused; resolves with what was acknowledged and the refusal. */
async function fill(
  kind: string,
  send: (text: string) => Promise<string>,
  isTaken: (answer: string) => boolean,
): Promise<{ readonly sent: Map<string, string>; readonly refusal: string }> {
  const sent = new Map<string, string>();
  for (let n = 0; ; n++) {
    const id = `${kind}${n}`;
    const text = messageOf(id, BODY_BYTES[n % BODY_BYTES.length]!);
    const answer = await send(text);
    if (!isTaken(answer)) return { sent, refusal: answer };
    sent.set(id, text);
  }
}

async function expectTaken({ ports }: RunningServer, password: string, id: string): Promise<void> {
  const lmtp = await connectLmtp(ports.lmtp!);
  const imap = await connectImap(ports.imap!, DEMO.user, password);
  for (const bytes of BODY_BYTES) {
    expect(await deliver(lmtp, [DEMO.user], messageOf(`${id}l${bytes}`, bytes))).toEqual([
      expect.stringMatching(/^250/),
    ]);
    expect(await append(imap, "Drafts", messageOf(`${id}a${bytes}`, bytes))).toMatch(/^t\d+ OK /m);
  }
  for (const client of [lmtp, imap]) client.end();
}

test(
  "a full disk refuses mail, keeps what was acknowledged, and lets mail be deleted, which makes room",
  async () => {
    const data = disk.folder;
    server = await startServer(data, { env: ENV });
    await until("the reserve", () => isReserveWhole(disk));
    let imap = await connectImap(server.ports.imap!, DEMO.user, DEMO.password);
    const lmtp = await connectLmtp(server.ports.lmtp!);

    // Half of the room for each.
    await disk.fill(BALLAST, (DISK_BYTES - RESERVE_BYTES) / 2);
    const appended = await fill(
      "a",
      (text) => append(imap, "Archive", text),
      (answer) => /^t\d+ OK /m.test(answer),
    );
    expect(appended.refusal).toMatch(/^t\d+ NO \[OVERQUOTA\] /m);
    await unlink(join(data, BALLAST));
    await new Promise((resolve) => setTimeout(resolve, FREE_CHECK_MS));
    const delivered = await fill(
      "l",
      async (text) => (await deliver(lmtp, [DEMO.user], text))[0]!,
      (answer) => answer.startsWith("250"),
    );
    expect(delivered.refusal).toMatch(/^452 4\.2\.2 .*full/);
    expect(Math.min(appended.sent.size, delivered.sent.size)).toBeGreaterThan(20);

    // The write-ahead log of a store that was busy would be room as well.
    const log = join(data, "store", "store.sqlite-wal");
    await until("an idle store", async () => (await stat(log)).size === 0);
    await disk.fill(BALLAST, 0);
    expect(await disk.freeBytes()).toBe(0);
    await expectAll(imap, "INBOX", delivered.sent);
    await expectAll(imap, "Archive", appended.sent);
    for (const bytes of BODY_BYTES) {
      expect(await append(imap, "INBOX", messageOf("no", bytes))).toMatch(/^t\d+ NO \[OVERQUOTA\] /m);
      expect(await deliver(lmtp, [DEMO.user], messageOf("no", bytes))).toEqual([
        expect.stringMatching(/^452 4\.2\.2 /),
      ]);
    }

    const gone = Math.floor(appended.sent.size * 0.8);
    expect(await imap.command(`STORE 1:${gone} +FLAGS.SILENT (\\Deleted)`)).toMatch(/^t\d+ OK /m);
    expect(await imap.command("EXPUNGE")).toMatch(/^t\d+ OK /m);
    const changed = await restante(
      data,
      ["account", "passwd", DEMO.user, "--password-stdin"],
      `${DEMO.password}\n${NEW_PASSWORD}\n`,
      ENV,
    );
    expect(changed).toMatchObject({ code: 0 });
    for (const client of [imap, lmtp]) client.end();
    // A start on a full disk, too.
    expect(await server.stop(), server.logs()).toBe(0);
    server = await startServer(data, { env: ENV });
    const left = new Map([...appended.sent].slice(gone));
    imap = await connectImap(server.ports.imap!, DEMO.user, NEW_PASSWORD);
    await expectAll(imap, "INBOX", delivered.sent);
    await expectAll(imap, "Archive", left);
    expect(await isReserveWhole(disk), "the reserve was given up").toBe(false);

    // An expunged message is condemned when it is a day old, and deleted a day later.
    for (const days of [1, 2]) {
      imap.end();
      expect(await server.stop(), server.logs()).toBe(0);
      server = await startServer(data, { env: ENV, clockShiftMs: days * LONG_DAY_MS });
      imap = await connectImap(server.ports.imap!, DEMO.user, NEW_PASSWORD);
      await expectAll(imap, "Archive", left);
      if (days === 1) await new Promise((resolve) => setTimeout(resolve, UPKEEP_MS));
    }
    await until("room", async () => (await disk.freeBytes()) > FREE_BYTES_MIN + RESERVE_BYTES);
    await until("the reserve", () => isReserveWhole(disk));
    imap.end();
    await expectTaken(server, NEW_PASSWORD, "later");
    expect(await server.stop(), server.logs()).toBe(0);
    const checked = await restante(data, ["check", DEMO.user, "--password-stdin"], `${NEW_PASSWORD}\n`, ENV);
    expect(checked).toMatchObject({ code: 0, out: expect.stringContaining(" 0 damaged") });
  },
  TEST_MS_MAX,
);
