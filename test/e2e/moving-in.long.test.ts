import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectImap } from "../kit/line-client.ts";
import { makeDataFolder, removeDataFolder, restante, startServer } from "../kit/server.ts";

const PASSWORD = "a-long-enough-password\n";
const WILD = join(import.meta.dirname, "../../apps/cli/testdata/wild");
let data: string;

beforeAll(async () => {
  data = await makeDataFolder();
  await cp(WILD, join(data, "wild"), { recursive: true });
  await makeAccount("there");
});
afterAll(() => removeDataFolder(data));

async function run(args: readonly string[]): ReturnType<typeof restante> {
  return restante(data, [...args, "--password-stdin"], PASSWORD);
}

async function makeAccount(name: string): Promise<string> {
  const address = `${name}@example.org`;
  expect(await run(["account", "add", address])).toMatchObject({ code: 0 });
  return address;
}

/** Each message's mailbox, subject and flags, out of an export by .eml. */
async function mailsOf(address: string): Promise<string[]> {
  const folder = `eml-${address}`;
  expect(await run(["export", address, `eml:${folder}`])).toMatchObject({ code: 0, err: "" });
  const found: string[] = [];
  const files = await readdir(join(data, folder), { recursive: true });
  for (const file of files.filter((name) => name.endsWith(".jsonl"))) {
    const mailbox = file.slice(0, -"/.restante.jsonl".length);
    for (const line of (await readFile(join(data, folder, file), "utf8")).trim().split("\n")) {
      const facts = JSON.parse(line) as { file: string; flags: string[] };
      const text = await readFile(join(data, folder, mailbox, facts.file), "latin1");
      const subject = /^Subject: (.*)\r$/m.exec(text)?.[1];
      found.push(`${mailbox}: ${subject} ${[...facts.flags].sort().join(" ")}`.trim());
    }
  }
  return found.sort();
}

test("Thunderbird: read, answered, starred, forwarded and tags are kept; what was expunged stays away, and it is told", async () => {
  const address = await makeAccount("thunderbird");
  const { code, err } = await run(["import", "mbox:wild/tb", address]);
  expect([code, err]).toEqual([0, expect.stringContaining("1 messages are left out that were expunged")]);
  expect(await mailsOf(address)).toEqual([
    "Entwürfe: umlaut \\Seen",
    "INBOX/Kid: kid \\Seen",
    "INBOX: fwd $Forwarded $label1 \\Seen todo",
    "INBOX: read \\Seen",
    "INBOX: replied \\Answered \\Seen",
    "INBOX: starred \\Flagged",
    "INBOX: unread",
    "Sent: sent \\Seen",
  ]);
});

test("Gmail: labels become mailboxes by their use, flags and keywords; a mail of two labels is one email, however often it comes", async () => {
  const address = await makeAccount("gmail");
  const wanted = [
    "INBOX: g1",
    "INBOX: g3 \\Seen",
    "Junk: g5 \\Seen",
    "Projects/2026: g4 \\Flagged \\Seen",
    "Quoted, label: g4 \\Flagged \\Seen",
    "Rückfragen: g3 \\Seen",
    "Sent: g2 \\Seen",
    "Trash: g5 \\Seen",
  ];
  expect(await run(["import", "mbox:wild/takeout", address])).toMatchObject({ code: 0, err: "" });
  expect(await mailsOf(address)).toEqual(wanted);
  const server = await startServer(data);
  const client = await connectImap(server.ports.imap!, address, PASSWORD.trim());
  const idIn = async (mailbox: string): Promise<string | undefined> => {
    await client.command(`SELECT ${mailbox}`);
    return /EMAILID \(([^)]*)\)/.exec(await client.command("UID FETCH 1:* (EMAILID)"))?.[1];
  };
  expect(await idIn("Trash")).toBe(await idIn("Junk"));
  // A message that was taken out of one of its mailboxes comes back to it as the same email.
  const before = await idIn("Trash");
  await client.command("STORE 1 +FLAGS (\\Deleted)");
  await client.command("EXPUNGE");
  client.end();
  await server.stop();
  const again = await run(["import", "mbox:wild/takeout", address]);
  expect(again).toMatchObject({ code: 0, out: "0 messages imported into 7 mailboxes, 5 were there already\n" });
  const later = await startServer(data);
  const other = await connectImap(later.ports.imap!, address, PASSWORD.trim());
  await other.command("SELECT Trash");
  expect(await other.command("UID FETCH 1:* (EMAILID)")).toContain(before);
  other.end();
  await later.stop();
});

test("what is there answers for one of the source each; labels that are one mailbox are one", async () => {
  const address = await makeAccount("often");
  const mail = "From a@b Mon Feb  2 10:11:12 2026\nX-Gmail-Labels: Spam,Junk\nSubject: x\n\nx\n\n";
  await writeFile(join(data, "one"), mail);
  await writeFile(join(data, "three"), mail.repeat(3));
  expect((await run(["import", "mbox:one", address])).out).toMatch(/^1 messages imported into 1 /);
  expect((await run(["import", "mbox:three", address])).out).toMatch(/^2 messages .*, 1 were there already/);
  expect(await mailsOf(address)).toEqual(["Junk: x \\Seen", "Junk: x \\Seen", "Junk: x \\Seen"]);
});

test("with --mailbox all lies below it, and special uses are not asked", async () => {
  const address = await makeAccount("below");
  expect(await run(["import", "mbox:wild/takeout", address, "--mailbox", "Old"])).toMatchObject({ code: 0 });
  expect((await mailsOf(address)).map((line) => line.split(":")[0]).sort()).toEqual([
    "Old",
    "Old",
    "Old/Junk",
    "Old/Projects/2026",
    "Old/Quoted, label",
    "Old/Rückfragen",
    "Old/Sent",
    "Old/Trash",
  ]);
});

test("keywords that IMAP can't say are mapped and told", async () => {
  const address = await makeAccount("keywords");
  for (const name of ["kw2", "kw-unbalanced"]) {
    const { code, err } = await run(["import", `mbox:wild/${name}.mbox`, address]);
    expect(code).toBe(0);
    expect(err).toMatch(/the keyword "[^\n]*" is [^\n]* here: IMAP has no other/);
  }
  for (const line of await mailsOf(address)) expect(line).toMatch(/^INBOX: \w+(?: \\?[^\s(){%*"\\\]]+)*$/);
});

test("what can't be taken in is named, the rest comes, and the exit code says so", async () => {
  const address = await makeAccount("damage");
  await mkdir(join(data, "box"));
  await writeFile(join(data, "box/good"), "From a@b Mon Feb  2 10:11:12 2026\nSubject: good\n\nx\n");
  await writeFile(join(data, "box/bad"), "\nnot mail\n");
  await writeFile(join(data, "box/a%2F%2Fb"), "From a@b Mon Feb  2 10:11:12 2026\nSubject: nowhere\n\nx\n");
  const { code, err } = await run(["import", "mbox:box", address]);
  expect(code).toBe(1);
  expect(err).toMatch(/box\/bad, line 2: no From_ line stands here/);
  expect(err).toMatch(/no mailbox can have the name "a\/\/b"/);
  expect(await mailsOf(address)).toEqual(["good: good"]);
  // Characters that a terminal would obey are not shown.
  await mkdir(join(data, "red"));
  await writeFile(join(data, "red/\u001b[31m.txt"), "x");
  const red = await run(["import", "eml:red", address]);
  expect([red.code, red.err]).toEqual([1, "restante: red/\ufffd[31m.txt is left out: it is no .eml\n"]);
});

test("a mail that is damaged in the store is named, and the others are exported", async () => {
  const address = await makeAccount("hurt");
  const mail = (subject: string, lines: number): string =>
    `From a@b Mon Feb  2 10:11:12 2026\nSubject: ${subject}\n\n${"a line of it\n".repeat(lines)}\n`;
  await writeFile(join(data, "hurt"), mail("first", 1) + mail("hurt", 200_000) + mail("last", 1));
  expect(await run(["import", "mbox:hurt", address])).toMatchObject({ code: 0 });
  const shown = await restante(data, ["account", "show", address, "--json"]);
  const { account } = JSON.parse(shown.out) as { account: string };
  const store = new DatabaseSync(join(data, "store/store.sqlite"));
  const { file } = store.prepare("SELECT file FROM objects WHERE name LIKE ?").get(`${account}/body/%`) as {
    file: string;
  };
  store.close();
  const path = join(data, "store/objects", file);
  await writeFile(path, Buffer.alloc((await readFile(path)).length));
  for (const kind of ["mbox", "maildir", "eml"]) {
    const { code, out, err } = await run(["export", address, `${kind}:hurt-${kind}`]);
    expect([code, out, err]).toEqual([
      1,
      "2 messages of 6 mailboxes exported\n",
      expect.stringMatching(/^restante: uid 2 of "INBOX" is left out: .*\n$/),
    ]);
  }
  expect(await readFile(join(data, "hurt-mbox/INBOX"), "latin1")).not.toContain("Subject: hurt");
  expect(
    (await readdir(join(data, "hurt-maildir"), { recursive: true })).filter((name) => /^(?:tmp|cur)\//.test(name)),
  ).toHaveLength(2);
});

test.each([
  [["import", "mbox:wild/bom.mbox", "nobody@example.org"], 2, /no account nobody@example\.org/],
  [["export", "nobody@example.org", "mbox:out"], 2, /no account nobody@example\.org/],
  [["export", "nobody@example.org", "mbox:out", "--salvage"], 2, /no account nobody@example\.org/],
  [["import", "maildir:wild/bom.mbox", "there@example.org"], 2, /it looks like mbox:wild\/bom\.mbox/],
  [["import", "mbox:absent", "there@example.org"], 2, /can't be read: ENOENT/],
  [["export", "there@example.org", "mbox:wild/bom.mbox"], 2, /the target can't be made/],
  [["export", "there@example.org", "mbox:wild"], 1, /is not empty/],
] as const)("%j ends with %i and a sentence", async (args, code, text) => {
  const result = await run(args);
  expect(result).toMatchObject({ code, out: "" });
  expect(result.err).toMatch(text);
  expect(result.err.trim().split("\n")).toHaveLength(1);
});

test("names that no file can have are escaped, or named at the end; a Maildir has LF, whatever the way in; 27 keywords are told", async () => {
  const address = await makeAccount("names");
  const server = await startServer(data);
  const client = await connectImap(server.ports.imap!, address, PASSWORD.trim());
  const long = "x".repeat(252);
  for (const name of ["a..b", "..", "%41", ".x", "c.mbox", "d\\\\e"]) await client.command(`CREATE "${name}"`);
  await client.command(`CREATE ${long}`);
  const append = async (mailbox: string, flags: string, text: string): Promise<void> => {
    expect(await client.command(`APPEND "${mailbox}" (${flags}) {${text.length}+}\r\n${text}`)).toContain(" OK ");
  };
  const keywords = Array.from({ length: 27 }, (_, at) => `k${String(at).padStart(2, "0")}`);
  for (const keyword of keywords) await append("a..b", keyword, `Subject: ${keyword}\r\n\r\nx\r\n`);
  await append("..", "", "Subject: raw\n\nbare\n");
  await append("%41", "", "Subject: mixed\r\n\r\nbare\nand\r\r\n");
  await append(long, "", "Subject: long\r\n\r\nx\r\n");
  client.end();
  await server.stop();
  const names = ["%41", "..", "a..b"];
  for (const [kind, told] of [
    ["maildir", /27|k26/],
    ["mboxcl2", /the mailbox "x{252}" is left out/],
    ["eml", /the mailbox "x{252}" is left out/],
  ] as const) {
    const { code, err } = await run(["export", address, `${kind}:names-${kind}`]);
    expect([kind, code, err]).toEqual([kind, 1, expect.stringMatching(told)]);
    expect(err).not.toMatch(/Warning|\n\s+at /);
    const other = await makeAccount(`names-${kind}`);
    expect(await run(["import", `${kind}:names-${kind}`, other])).toMatchObject({ code: 0, err: "" });
    await run(["export", other, `eml:again-${kind}`]);
    for (const name of names) {
      const file = join(data, `again-${kind}`, name.replaceAll("%", "%25").replace(/^\./, "%2E").replace(/\.$/, "%2E"));
      expect(await readdir(file)).toContain("0000000001.eml");
    }
    expect(await readFile(join(data, `again-${kind}/%2E%2E/0000000001.eml`), "latin1")).toBe("Subject: raw\n\nbare\n");
    expect(await readFile(join(data, `again-${kind}/%2541/0000000001.eml`), "latin1")).toBe(
      "Subject: mixed\r\n\r\nbare\nand\r\r\n",
    );
  }
  const folder = join(data, "names-maildir/.a&AC4-&AC4-b/cur");
  for (const name of await readdir(folder)) expect(await readFile(join(folder, name), "latin1")).not.toContain("\r");
});
