import { mkdir, readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { extent } from "@restante/engine/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { corpusMails } from "../kit/corpus.ts";
import { makeDataFolder, removeDataFolder, restante } from "../kit/server.ts";

const ADDRESS = "ada@example.org";
const PASSWORD = "a long enough password\n";
let data: string;

beforeAll(async () => {
  data = await makeDataFolder();
  await run(["account", "add", ADDRESS]);
});
afterAll(() => removeDataFolder(data));

async function run(args: readonly string[], code = 0): Promise<string> {
  const result = await restante(data, [...args, "--password-stdin"], PASSWORD);
  expect(result, args.join(" ")).toMatchObject({ code });
  // MaxListenersExceededWarning and the like.
  expect(result.err, args.join(" ")).not.toMatch(/\w+Warning: |^ {4}at /m);
  return result.out;
}

/** A Maildir as Dovecot leaves it: LF, flags in names, keywords in a list, folders beside `cur`. */
async function makeMaildir(root: string): Promise<string[]> {
  const mails = corpusMails().map(({ text }) => text);
  for (const folder of ["", ".Work.2024", ".Entw&APw-rfe", ".Sent"])
    for (const part of ["cur", "new", "tmp"]) await mkdir(join(root, folder, part), { recursive: true });
  const write = async (file: string, text: string, seconds: number): Promise<void> => {
    await writeFile(join(root, file), text.replaceAll("\r\n", "\n"), "latin1");
    await utimes(join(root, file), seconds, seconds);
  };
  for (const [at, text] of mails.entries()) {
    const seconds = 1_600_000_000 + at;
    const folder = [".Work.2024", ".Entw&APw-rfe", ""][at % 3]!;
    const flags = ["", "S", "FRS", "Sab"][at % 4]!;
    await write(join(folder, "cur", `${seconds}.M1.host:2,${flags}`), text, seconds);
  }
  // A mail that is there twice is two mails, also when the import is run again.
  await write("new/1700000001.M1.host", mails[0]!, 1_700_000_000);
  await write("new/1700000002.M1.host", mails[0]!, 1_700_000_000);
  await writeFile(join(root, ".Work.2024/dovecot-keywords"), "0 $Label1\n1 todo\n");
  await writeFile(join(root, ".Entw&APw-rfe/dovecot-keywords"), "0 $Label1\n1 todo\n");
  await writeFile(join(root, "dovecot-keywords"), "0 $Label1\n1 todo\n");
  await writeFile(join(root, "subscriptions"), "V\t2\n\nINBOX\nWork\t2024\n");
  return mails;
}

/** Contents of an export by .eml: every mail's mailbox, time, flags and bytes. */
async function readExport(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const file of (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".jsonl"))) {
    const mailbox = file.slice(0, -".restante.jsonl".length);
    for (const line of (await readFile(join(folder, file), "utf8")).trim().split("\n")) {
      const facts = JSON.parse(line) as { file: string; receivedMs: number; flags: string[] };
      const bytes = await readFile(join(folder, mailbox, facts.file), "latin1");
      found.push(JSON.stringify([mailbox, facts.receivedMs, [...facts.flags].sort(), bytes]));
    }
  }
  return found.sort();
}

test("mail goes in from a Maildir, once however often, and comes out the same by all three formats", async () => {
  const mails = await makeMaildir(join(data, "source"));
  const count = mails.length + 2;
  expect(await run(["import", "maildir:source", ADDRESS])).toBe(
    `${count} messages imported into 4 mailboxes, 0 were there already\n`,
  );
  expect(await run(["import", "maildir:source", ADDRESS])).toBe(
    `0 messages imported into 4 mailboxes, ${count} were there already\n`,
  );
  await run(["export", ADDRESS, "eml:out-eml"]);
  const original = await readExport(join(data, "out-eml"));
  expect(original).toHaveLength(count);
  expect(original.filter((line) => line.includes('"$Label1","\\\\Seen","todo"')).length).toBe(
    Math.floor(mails.length / 4),
  );
  expect(new Set(original.map((line) => (JSON.parse(line) as string[])[3]))).toEqual(new Set(mails));
  expect((await readFile(join(data, "out-eml/.subscriptions"), "utf8")).split("\n")).toContain("Work/2024");
  expect((await readFile(join(data, "out-eml/.subscriptions"), "utf8")).split("\n")).not.toContain("Entwürfe");
  for (const format of ["maildir", "mbox", "eml"].slice(0, extent(3, 1))) {
    const other = `${format}@example.org`;
    await run(["account", "add", other]);
    if (format !== "eml") await run(["export", ADDRESS, `${format}:out-${format}`]);
    await run(["import", `${format}:out-${format}`, other]);
    await run(["export", other, `eml:again-${format}`]);
    expect(await readExport(join(data, `again-${format}`)), format).toEqual(original);
  }
});

test("mbox: quoting by either rule, flags from the file's fields, dates from the From line", async () => {
  const body = "Subject: quoted\nStatus: RO\nX-Status: AF\nX-Keywords: todo, later\n\n";
  const file = `From a@b Thu Nov 12 10:11:12 2020\n${body}>From here\n>>From there\nFrom now on\n\nFrom c@d Fri Nov 13 01:02:03 2020\nSubject: next\n\nend\n`;
  await writeFile(join(data, "box"), file);
  for (const [format, lines] of [
    ["mbox", "From here\r\n>From there\r\nFrom now on\r\n"],
    ["mboxo", "From here\r\n>>From there\r\nFrom now on\r\n"],
  ] as const) {
    const other = `quoting-${format}@example.org`;
    await run(["account", "add", other]);
    await run(["import", `${format}:box`, other, "--mailbox", "Old"]);
    await run(["export", other, `eml:quoting-${format}`]);
    expect(await readExport(join(data, `quoting-${format}`))).toEqual(
      [
        [
          "Old/",
          Date.UTC(2020, 10, 12, 10, 11, 12),
          ["\\Answered", "\\Flagged", "\\Seen", "later", "todo"],
          `Subject: quoted\r\n\r\n${lines}`,
        ],
        ["Old/", Date.UTC(2020, 10, 13, 1, 2, 3), [], "Subject: next\r\n\r\nend\r\n"],
      ].map((item) => JSON.stringify(item)),
    );
  }
});

test("when the account's log is damaged, salvage gives back every mail, with its flags and mailbox", async () => {
  const store = new DatabaseSync(join(data, "store/store.sqlite"));
  const { account } = JSON.parse((await restante(data, ["account", "show", ADDRESS, "--json"])).out) as {
    account: string;
  };
  const first = store.prepare("SELECT name FROM objects WHERE name LIKE ? ORDER BY name").get(`${account}/log/%`);
  store.prepare("UPDATE objects SET bytes = zeroblob(size) WHERE name = ?").run((first as { name: string }).name);
  store.close();
  await run(["export", ADDRESS, "eml:refused"], 1);
  expect(await run(["export", ADDRESS, "eml:salvaged", "--salvage"], 1)).toContain("1 objects can't be read");
  expect(await readExport(join(data, "salvaged"))).toEqual(await readExport(join(data, "out-eml")));
});

test.each([
  [["import", "mbox:there", "nobody@example.org"]],
  [["export", "nobody@example.org", "maildir:out-nobody"]],
  [["check", "nobody@example.org"]],
  [["account", "show", "nobody@example.org"]],
])("%j for an address that nobody has is a sentence, and exit 2", async (args) => {
  await writeFile(join(data, "there"), "From a@b Mon Feb  2 10:11:12 2026\nSubject: x\n\nx\n");
  const needsPassword = args[0] !== "account";
  const result = await restante(data, needsPassword ? [...args, "--password-stdin"] : args, PASSWORD);
  expect(result).toMatchObject({ code: 2, out: "" });
  expect(result.err).toMatch(/^restante: there is no account nobody@example\.org.*\n$/);
});

test("more mailboxes than listeners are wont to be are exported and imported without a warning", async () => {
  const folder = join(data, "many");
  for (let n = 0; n < 30; n++) {
    await mkdir(join(folder, `.box${n}`, "cur"), { recursive: true });
    for (const part of ["new", "tmp"]) await mkdir(join(folder, `.box${n}`, part), { recursive: true });
    await writeFile(join(folder, `.box${n}/cur/${n}.M1.host:2,S`), `Subject: ${n}\n\nx\n`);
  }
  await mkdir(join(folder, "cur"), { recursive: true });
  for (const part of ["new", "tmp"]) await mkdir(join(folder, part), { recursive: true });
  await run(["account", "add", "many@example.org"]);
  await run(["import", "maildir:many", "many@example.org"]);
  for (const format of ["mbox", "maildir", "eml"])
    await run(["export", "many@example.org", `${format}:out-many-${format}`]);
});
