import { closeSync, cpSync, openSync, readdirSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectLmtp, deliver, LineClient } from "../kit/line-client.ts";
import { makeDataFolder, removeDataFolder, restante, startServer } from "../kit/server.ts";

/** An embedded store with a lost page, or without its folder, as its owner's commands and mail programs meet it. */
const ADA = "ada@example.org";
const PASSWORD = "a long sesame of words";
const LARGE = `Subject: large\r\n\r\n${"0123456789abcdef\r\n".repeat(20_000)}`;

let data: string;
let store: string;
beforeAll(async () => {
  data = await makeDataFolder();
  store = join(data, "store");
  const mails = join(data, "mails");
  await mkdir(mails);
  for (let n = 0; n < 5; n++) await writeFile(join(mails, `${n}.eml`), `Subject: mail ${n}\r\n\r\nx`);
  await writeFile(join(mails, "large.eml"), LARGE);
  expect(await asAda("account", "add", ADA)).toMatchObject({ code: 0 });
  expect(await asAda("import", `eml:${mails}`, ADA)).toMatchObject({ code: 0, err: "" });
  settle();
  cpSync(store, join(data, "sound"), { recursive: true });
}, 60_000);
afterAll(() => removeDataFolder(data));

const asAda = (...args: readonly string[]) => restante(data, [...args, "--password-stdin"], `${PASSWORD}\n`);

/** All in one file, as after a long rest. */
function settle(): void {
  using database = new DatabaseSync(join(store, "store.sqlite"));
  database.exec("PRAGMA journal_mode = DELETE");
}

/** The root of the index of names is lost. */
function zeroIndex(): void {
  const path = join(store, "store.sqlite");
  const database = new DatabaseSync(path);
  const { rootpage } = database
    .prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_objects_1'")
    .get() as { rootpage: number };
  database.close();
  const file = openSync(path, "r+");
  writeSync(file, Buffer.alloc(4096), 0, 4096, (rootpage - 1) * 4096);
  closeSync(file);
}

async function signIn(port: number): Promise<string> {
  const client = await LineClient.connect(port);
  await client.until(/^\* OK .*\r\n/m);
  const answer = await client.command(`LOGIN ${ADA} "${PASSWORD}"`);
  client.socket.destroy();
  return answer;
}

test("with a page of the index lost all commands say what to do; salvage gives all; repair makes it as it was", async () => {
  zeroIndex();
  const told = /^restante: \S+store\.sqlite is damaged .*run: restante check --repair$/m;
  for (const args of [
    ["check", ADA],
    ["check", ADA, "--repair"],
    ["export", ADA, `eml:${join(data, "out")}`],
  ]) {
    const { code, err } = await asAda(...args);
    expect(code, args.join(" ")).toBe(1);
    expect(err, args.join(" ")).toMatch(told);
    expect(err).not.toContain("    at ");
  }
  const sealed = await restante(data, ["check", "--sealed"]);
  expect(sealed.err).toContain("store.sqlite is damaged: it is read page by page");
  expect(sealed.out).toMatch(/^[0-9a-f]{64} \d+ \S+\/slot\//m);
  const salvaged = join(data, "salvaged");
  expect(await asAda("export", ADA, `eml:${salvaged}`, "--salvage")).toMatchObject({
    code: 0,
    out: expect.stringContaining("6 messages salvaged, 0 objects can't be read"),
  });

  const server = await startServer(data);
  expect(await signIn(server.ports.imap!)).toMatch(/^t\d+ NO \[(CORRUPTION|UNAVAILABLE)\]/m);
  const lmtp = await connectLmtp(server.ports.lmtp!);
  expect(await deliver(lmtp, [ADA], "Subject: new\r\n\r\nx\r\n")).toEqual([expect.stringMatching(/^451/)]);
  lmtp.socket.destroy();
  expect(await restante(data, ["check", "--repair"])).toMatchObject({
    code: 3,
    err: expect.stringContaining("a server is running on the store"),
  });
  expect(await server.stop()).toBe(0);
  expect(server.logs()).toContain("restante check --repair");

  expect(await restante(data, ["check", "--repair"])).toMatchObject({
    code: 0,
    err: "",
    out: expect.stringMatching(
      /store.sqlite is made anew: \d+ objects, 0 lost or damaged; the old one is \S+\.damaged\n$/,
    ),
  });
  expect(await asAda("check", ADA)).toMatchObject({ code: 0, out: expect.stringContaining("6 messages") });
  expect(await restante(data, ["check", "--repair"])).toMatchObject({ out: expect.stringContaining("sound") });
}, 120_000);

test("a store whose files can't be reached is told as that, at the start and while a server runs", async () => {
  await rm(store, { recursive: true });
  cpSync(join(data, "sound"), store, { recursive: true });
  const objects = join(store, "objects");
  expect(readdirSync(objects)).toHaveLength(1);
  const server = await startServer(data);
  const imap = await LineClient.connect(server.ports.imap!);
  await imap.until(/^\* OK .*\r\n/m);
  expect(await imap.command(`LOGIN ${ADA} "${PASSWORD}"`)).toMatch(/OK/);
  const found = await imap.command("SELECT INBOX");
  expect(found).toContain("6 EXISTS");
  const lmtp = await connectLmtp(server.ports.lmtp!);

  renameSync(objects, join(data, "away"));
  for (const instead of ["nothing", "a file"]) {
    if (instead === "a file") writeFileSync(objects, "");
    const body = await imap.command("UID FETCH 1:* BODY.PEEK[TEXT]");
    expect(body, instead).toMatch(/^t\d+ NO \[UNAVAILABLE\]/m);
    expect(await deliver(lmtp, [ADA], LARGE), instead).toEqual([expect.stringMatching(/^451/)]);
  }
  const failed = await restante(data, ["check", "--sealed"]);
  expect(failed.code).toBe(3);
  expect(failed.err).toMatch(/^restante: .*objects/m);
  expect(failed.err).not.toContain("    at ");
  await rm(objects);
  renameSync(join(data, "away"), objects);

  expect(await imap.command("UID FETCH 1:* BODY.PEEK[TEXT]")).toContain("0123456789abcdef");
  expect(await deliver(lmtp, [ADA], LARGE)).toEqual([expect.stringMatching(/^250/)]);
  for (const client of [imap, lmtp]) client.socket.destroy();
  expect(await server.stop()).toBe(0);
}, 120_000);
