import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ImapFlow } from "imapflow";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { corpusMails } from "../kit/corpus.ts";
import { connectImap, connectLmtp, deliver } from "../kit/line-client.ts";
import { DEMO, makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "../kit/server.ts";

// With the passwords' true cost.
vi.stubEnv("TEST_QUICK_ARGON2", "");

/** Runs of letters of the corpus that would betray it: six or more, in any of its bytes. */
function betrayals(texts: readonly string[]): Set<string> {
  return new Set(texts.flatMap((text) => text.match(/[A-Za-z]{6,}/g) ?? []));
}

/** Words that SQLite's file holds in clear anyway: its own, and those of our tables. */
const OUR_WORDS: ReadonlySet<string> = new Set(
  "SQLite format CREATE TABLE objects INTEGER PRIMARY AUTOINCREMENT UNIQUE created floors prefix number WITHOUT clock sequence sqlite autoindex".split(
    " ",
  ),
);

async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

async function betrayedIn(folder: string, words: ReadonlySet<string>): Promise<string[]> {
  const found: string[] = [];
  for (const file of await filesUnder(folder)) {
    const runs = (await readFile(file, "latin1")).match(/[A-Za-z]{6,}/g) ?? [];
    found.push(...runs.filter((run) => words.has(run) && !OUR_WORDS.has(run)));
  }
  return found;
}

describe("a letter arrives sealed and is read", () => {
  let data: string;
  let server: RunningServer;
  const mails = corpusMails();
  beforeAll(async () => {
    data = await makeDataFolder();
    server = await startServer(data);
    const lmtp = await connectLmtp(server.ports.lmtp!);
    for (const mail of mails)
      expect(await deliver(lmtp, [DEMO.user], mail.text)).toEqual([expect.stringMatching(/^250/)]);
    lmtp.end();
  });
  afterAll(async () => {
    expect(await server.stop()).toBe(0);
    await removeDataFolder(data);
  });

  test("every mail comes back byte for byte, in order of delivery", async () => {
    const client = new ImapFlow({
      host: "127.0.0.1",
      port: server.ports.imap!,
      secure: false,
      doSTARTTLS: true,
      tls: { rejectUnauthorized: false },
      auth: { user: DEMO.user, pass: DEMO.password },
      logger: false,
    });
    await client.connect();
    const lock = await client.getMailboxLock("INBOX");
    const sources: string[] = [];
    for await (const message of client.fetch("4:*", { source: true })) sources.push(message.source!.toString("latin1"));
    lock.release();
    await client.logout();
    expect(sources.map((source) => source.replace(/^Return-Path[\s\S]*?\tfor <[^\r]*\r\n/, ""))).toEqual(
      mails.map(({ text }) => text),
    );
  });

  test("no word of any mail stands in any file of the store, unless one is stored unsealed", async () => {
    const words = betrayals(mails.map(({ text }) => text));
    expect(words.size).toBeGreaterThan(300);
    expect(await betrayedIn(join(data, "store"), words)).toEqual([]);
    // The same look finds a mail that was not sealed.
    const plain = await makeDataFolder();
    await writeFile(join(plain, "unsealed"), mails[0]!.text, "latin1");
    expect(await betrayedIn(plain, words)).not.toEqual([]);
    await removeDataFolder(plain);
  });

  test("a client that went before it read the reply, and sends the mail again, delivers it once; who read it, twice", async () => {
    const imap = await connectImap(server.ports.imap!, DEMO.user, DEMO.password);
    const found = async (subject: string): Promise<number> => {
      await imap.command("SELECT INBOX");
      const [, hits] = /\* SEARCH(.*)\r\n/.exec(await imap.command(`SEARCH SUBJECT ${subject}`))!;
      return hits!.split(" ").length - 1;
    };
    for (const [subject, isRead] of [
      ["oncetold", false],
      ["twicetold", true],
    ] as const) {
      const mail = `Subject: ${subject}\r\n\r\n${"text\r\n".repeat(5000)}`;
      const first = await connectLmtp(server.ports.lmtp!);
      expect(await deliver(first, [DEMO.user], mail)).toEqual([expect.stringMatching(/^250/)]);
      if (isRead) {
        first.send("QUIT\r\n");
        await first.until(/^221 .*\r\n/m);
      }
      first.end();
      // The server has seen that the connection is gone.
      const second = await connectLmtp(server.ports.lmtp!);
      expect(await deliver(second, [DEMO.user], mail)).toEqual([expect.stringMatching(/^250/)]);
      second.end();
      expect(await found(subject)).toBe(isRead ? 2 : 1);
    }
    imap.end();
  });

  test("the command line makes, lists, changes and deletes accounts beside the running server", async () => {
    const address = "ada@example.org";
    const made = await restante(
      data,
      ["account", "add", address, "--password-stdin", "--json"],
      "correct horse battery\n",
    );
    expect(made).toMatchObject({ code: 0 });
    const { recoveryCode } = JSON.parse(made.out) as { recoveryCode: string };
    const again = await restante(data, ["account", "add", address, "--password-stdin"], "correct horse battery\n");
    expect(again).toMatchObject({ code: 1, err: expect.stringContaining("exists") });
    (await connectImap(server.ports.imap!, address, '"correct horse battery"')).end();
    const changed = await restante(
      data,
      ["account", "passwd", address, "--password-stdin"],
      "correct horse battery\nanother long secret\n",
    );
    expect(changed.code).toBe(0);
    await expect(connectImap(server.ports.imap!, address, '"correct horse battery"')).rejects.toThrow(
      "AUTHENTICATIONFAILED",
    );
    (await connectImap(server.ports.imap!, "ADA", '"another long secret"')).end();
    const recovered = await restante(
      data,
      ["account", "recover", address, "--password-stdin"],
      `${recoveryCode}\nthird secret of all\n`,
    );
    expect(recovered.code).toBe(0);
    (await connectImap(server.ports.imap!, address, '"third secret of all"')).end();
    expect((await restante(data, ["account", "list"])).out).toContain(address);
    expect((await restante(data, ["account", "delete", address, "--yes"])).code).toBe(0);
    const lmtp = await connectLmtp(server.ports.lmtp!);
    expect(await deliver(lmtp, [address], "x\r\n")).toEqual([expect.stringMatching(/^550 5\.1\.1/)]);
    lmtp.end();
  });
});

describe("serve --only lmtp", () => {
  test("delivers with public keys and its own signing key alone; the owner reads it elsewhere", async () => {
    const data = await makeDataFolder();
    const front = await startServer(data, { args: ["--only", "imap"] });
    expect(
      (await restante(data, ["account", "add", "bob@example.org", "--password-stdin"], "a long enough secret\n")).code,
    ).toBe(0);
    await front.stop();
    // The delivering host: the store and the users' public keys; the pepper and all else stay with the front end.
    const host = await makeDataFolder();
    for (const shared of ["store", "users"]) await cp(join(data, shared), join(host, shared), { recursive: true });
    const lmtpOnly = await startServer(host, { args: ["--only", "lmtp"] });
    const lmtp = await connectLmtp(lmtpOnly.ports.lmtp!);
    expect(await deliver(lmtp, ["bob@example.org"], "Subject: from afar\r\n\r\nhello\r\n")).toEqual([
      expect.stringMatching(/^250/),
    ]);
    lmtp.end();
    const hostKey = /"publicKey":"([^"]+)"/.exec(lmtpOnly.logs())?.[1];
    expect(await lmtpOnly.stop()).toBe(0);
    expect((await readdir(join(host, "keys"))).sort()).toEqual(["lmtp", "seen"]);
    await rm(join(data, "store"), { recursive: true });
    await cp(join(host, "store"), join(data, "store"), { recursive: true });
    const trust = { RESTANTE_LOGIN_TRUSTED_HOSTS: hostKey ?? "" };
    const reader = await startServer(data, { args: ["--only", "imap"], env: trust });
    const imap = await connectImap(reader.ports.imap!, "bob@example.org", '"a long enough secret"');
    expect(await imap.command("SELECT INBOX")).toContain("* 1 EXISTS");
    expect(await imap.command("FETCH 1 BODY[TEXT]")).toContain("hello");
    imap.end();
    await reader.stop();
    await Promise.all([data, host].map(removeDataFolder));
  });
});
