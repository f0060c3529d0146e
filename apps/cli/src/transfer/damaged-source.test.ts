import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openEml } from "./eml/eml.ts";
import { FileOctets } from "./file-octets.ts";
import type { MailSource } from "./mail-place.ts";
import { MaildirTarget, openMaildir } from "./maildir/maildir.ts";
import { openMbox } from "./mbox/mbox.ts";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "restante-source-"));
});
afterEach(() => rm(root, { recursive: true }));

async function put(file: string, content: string | Uint8Array): Promise<void> {
  await mkdir(join(root, file, ".."), { recursive: true });
  await writeFile(join(root, file), content);
}

/** Of each mail: its folder's path, its flags and its text. */
async function read(source: MailSource): Promise<(readonly [string, readonly string[], string])[]> {
  const mails: (readonly [string, readonly string[], string])[] = [];
  for (const { path, mails: open } of source.folders)
    for await (const mail of open())
      mails.push([path, mail.flags, Buffer.concat(await Array.fromAsync(mail.open())).toString("latin1")]);
  return mails;
}

async function flagsOf(source: MailSource): Promise<(readonly string[])[]> {
  return (await read(source)).map(([, flags]) => flags);
}

test("Maildir: a folder and a dead link are named, the rest comes in, however the flags are divided", async () => {
  await mkdir(join(root, "Entw&APw-rfe/cur"), { recursive: true });
  await mkdir(join(root, "cur/2.M1.h:2,S"), { recursive: true });
  await symlink("nowhere", join(root, "cur/3.M1.h:2,S"));
  for (const name of ["1.M1.h:2,S", "4.M1.h;2,F", "5.M1.h!2,R"]) await put(`cur/${name}`, "\n");
  const source = await openMaildir(root);
  expect(source.problems.map((problem) => /(\d)\.M1/.exec(problem)?.[1]).sort()).toEqual(["2", "3"]);
  expect(await flagsOf(source)).toEqual([["\\Seen"], ["\\Flagged"], ["\\Answered"]]);
  expect(source.folders.map(({ path }) => path)).toEqual(["INBOX", "Entwürfe"]);
});

test("Maildir: mails come as they were delivered; a Maildir++ tree may lie in a folder", async () => {
  for (const name of ["10.M1.h", "9.M1.h", "9.M0.h"]) await put(`cur/${name}`, `Subject: ${name}\n`);
  await put("Archiv/cur/1.M1.h", "\n");
  await put("Archiv/.Alt.2020/cur/1.M1.h", "\n");
  await put("Archiv/.index/x", "");
  const source = await openMaildir(root);
  expect(source.folders.map(({ path }) => path)).toEqual(["INBOX", "Archiv", "Archiv/Alt/2020"]);
  expect((await read(source)).map(([, , text]) => text).slice(0, 3)).toEqual([
    "Subject: 9.M0.h\r\n",
    "Subject: 9.M1.h\r\n",
    "Subject: 10.M1.h\r\n",
  ]);
});

test("a source that is not there is an error, not an empty one", async () => {
  for (const open of [openMaildir, openEml, (path: string) => openMbox(path, "mbox")])
    await expect(open(join(root, "absent"))).rejects.toMatchObject({ code: "ENOENT" });
});

test("Maildir: a mail that goes while others are read is named", async () => {
  for (const at of [1, 2]) await put(`cur/${at}.M1.h:2,`, "Subject: x\n");
  const source = await openMaildir(root);
  await rm(join(root, "cur/1.M1.h:2,"));
  expect(await read(source)).toEqual([["INBOX", [], "Subject: x\r\n"]]);
  expect(source.problems).toHaveLength(1);
});

test("Maildir: $Forwarded is Maildir's letter, and a keyword for who does not know that", async () => {
  const target = new MaildirTarget(root);
  await target.begin("INBOX", ["$Forwarded", "todo"]);
  const received = { timeMs: 0, zoneMinutes: 0 };
  await target.write({ uid: 1, received, flags: ["$Forwarded", "\\Seen"], read: async function* () {} });
  await target.end([]);
  expect(await readdir(join(root, "cur"))).toEqual([expect.stringMatching(/:2,PSa$/)]);
  expect(await flagsOf(await openMaildir(root))).toEqual([["$Forwarded", "\\Seen"]]);
});

test("a file that becomes shorter while it is read is an error", async () => {
  await put("a", "Subject: x\n");
  await using octets = await FileOctets.open(join(root, "a"));
  await expect(Array.fromAsync(octets.read(5, 20))).rejects.toThrow(/shorter/);
});

test.each([
  ["V\t2\n\nINBOX\nArchiv\t2026\nEntw&APw-rfe\n", ["Archiv/2026", "Entwürfe"]],
  // Version 1 has the delimiter of its layout.
  ["Archiv/2026\nEntw&APw-rfe\n", ["Archiv/2026", "Entwürfe"]],
  ["Archiv.2026\nEntwu\u0308rfe\n", ["Archiv/2026", "Entwürfe"]],
])("nested Maildir: what is subscribed, %j", async (text, paths) => {
  for (const folder of ["", "Archiv", "Archiv/2026", "Entw&APw-rfe"]) await put(`${folder}/cur/1.M1.h:2,`, "\n");
  await put("subscriptions", text);
  const { folders } = await openMaildir(root);
  expect(folders.map(({ path }) => path)).toEqual(["INBOX", "Archiv", "Archiv/2026", "Entwürfe"]);
  expect(folders.filter(({ subscribed }) => subscribed).map(({ path }) => path)).toEqual(["INBOX", ...paths]);
});

test("Maildir: Courier's list of subscriptions", async () => {
  for (const folder of ["", ".Sent", ".Sent.2026"]) await put(`${folder}/cur/1.M1.h:2,`, "\n");
  await put("courierimapsubscribed", "INBOX.Sent.2026\n");
  const { folders } = await openMaildir(root);
  expect(folders.map(({ subscribed }) => subscribed)).toEqual([true, false, true]);
});

test("eml: a broken line of facts is named, and its mail comes in", async () => {
  const whole = JSON.stringify({ file: "a.eml", receivedMs: 0, zoneMinutes: 0, flags: ["\\Seen"] });
  await put(".restante.jsonl", `${whole}\n{"file":\nnull\n{"file":"b.eml","flags":1}\n`);
  for (const name of ["a.eml", "b.eml"]) await put(name, "\n");
  const source = await openEml(root);
  expect(source.problems.map((problem) => /line (\d)/.exec(problem)?.[1])).toEqual(["2", "3", "4"]);
  expect(await flagsOf(source)).toEqual([["\\Seen"], []]);
});

test("eml: what an export wrote is taken as it stands, whatever it begins with", async () => {
  const from = "From a@b Mon Feb  2 10:11:12 2026\nSubject: 1\n";
  const facts = { file: "a.eml", receivedMs: 0, zoneMinutes: 0, flags: [], raw: true };
  await put(".restante.jsonl", `${JSON.stringify(facts)}\n`);
  await put("a.eml", from);
  expect((await read(await openEml(root))).map(([, , text]) => text)).toEqual([from]);
});

test("Thunderbird's Maildir and single files: its status is read there too", async () => {
  const status = (bits: string): string => `X-Mozilla-Status: ${bits}\nX-Mozilla-Keys: todo\nStatus: O\nSubject: x\n\n`;
  await put("Inbox/cur/1.eml", status("0005"));
  await put("Inbox/cur/2.eml", status("0008"));
  await put("Inbox.sbd/Kid/cur/3.eml", "Subject: y\n\nX-Mozilla-Status: 0001\n");
  const maildir = await openMaildir(root);
  const text = status("0005").replaceAll("\n", "\r\n");
  expect(await read(maildir)).toEqual([
    ["Inbox", ["\\Seen", "\\Flagged", "todo"], text],
    ["Inbox/Kid", [], expect.anything()],
  ]);
  expect(maildir.notices).toEqual([expect.stringMatching(/2\.eml is left out/)]);
  const eml = await openEml(join(root, "Inbox/cur/1.eml"));
  expect(await read(eml)).toEqual([["INBOX", ["\\Seen", "\\Flagged", "todo"], text]]);
  expect(await flagsOf(await openEml(join(root, "Inbox/cur/2.eml")))).toEqual([]);
});

test("eml: Outlook's files and others are named, mbox in disguise is read, numbers are in their order", async () => {
  for (const name of ["b.msg", "notes.pdf", ".DS_Store", "Thumbs.db"]) await put(name, "x");
  for (const number of [10, 9]) await put(`mh/${number}`, `Subject: ${number}\n`);
  await put(
    "two.eml",
    "From a@b Mon Feb  2 10:11:12 2026\nSubject: 1\n\nx\n\nFrom a@b Mon Feb  2 10:11:12 2026\nSubject: 2\n\n",
  );
  const source = await openEml(root);
  expect((await read(source)).map(([path, , text]) => [path, text])).toEqual([
    ["INBOX", "Subject: 1\r\n\r\nx\r\n"],
    ["INBOX", "Subject: 2\r\n\r\n"],
    ["mh", "Subject: 9\r\n"],
    ["mh", "Subject: 10\r\n"],
  ]);
  expect(source.problems.map((problem) => /(b\.msg|notes\.pdf)/.exec(problem)?.[0])).toEqual(["b.msg", "notes.pdf"]);
  expect(source.problems[0]).toContain("save it as .eml");
});

test("Apple Mail's .emlx: folders, flags, when it came, and what is partial", async () => {
  const plist =
    "<plist><dict><key>date-received</key><integer>1770000000</integer><key>flags</key><integer>8590195733</integer></dict></plist>";
  const place = "V10/0AF1-2/Archiv.mbox/2B3C4D5E-0000-4000-8000-123456789ABC/Data/1/Messages";
  await put(`${place}/7.emlx`, `12\nSubject: ä\n${plist}`);
  await put(`${place}/12.partial.emlx`, "11\nSubject: y\n<plist></plist>");
  await put(`${place}/13.partial.emlx`, "11\nSubject: z\n");
  await put(`${place}/13.emlx`, "11\nSubject: z\n");
  await put(`${place}/14.emlx`, "999\nSubject: cut\n");
  await put(`${place}/../Attachments/12/2/picture.png`, "x");
  await put(`${place}/15.emlx`, "Subject: none\n");
  await mkdir(join(root, "V10/0AF1-2/Leer.mbox/2B3C4D5E-0000-4000-8000-123456789ABC/Data"), { recursive: true });
  const source = await openEml(root);
  expect(source.folders.map(({ path }) => path)).toContain("V10/0AF1-2/Leer");
  const mails = await read(source);
  expect(mails.map(([path]) => path)).toEqual(Array(3).fill("V10/0AF1-2/Archiv"));
  expect(source.folders.map(({ path }) => path)).not.toContain("V10/0AF1-2/Archiv/Data");
  expect(mails[0]).toEqual([expect.anything(), ["\\Seen", "\\Answered", "\\Flagged"], "Subject: \u00c3\u00a4\r\n"]);
  const [first] = await Array.fromAsync(source.folders.find(({ path }) => path === mails[0]![0])!.mails());
  expect(first!.received).toEqual({ timeMs: 1_770_000_000_000, zoneMinutes: 0 });
  expect(source.problems.map((problem) => /(\d+)\.(?:partial\.)?emlx/.exec(problem)?.[1])).toContain("12");
  expect(new Set(source.problems).size).toBe(3);
  for (const name of ["14.emlx", "15.emlx"]) expect(source.problems.join("\n")).toContain(name);
});

test("mbox: a file that is none and a name that is no UTF-8 are named; a loop of links ends", async () => {
  await put("a", "From a@b Mon Feb  2 10:11:12 2026\nSubject: x\n\nx\n");
  await put("b", "Subject: none\n");
  await symlink(".", join(root, "loop"));
  execFileSync("sh", ["-c", `printf x > "$(printf '%s/caf\\351' "$0")"`, root]);
  const source = await openMbox(root, "mbox");
  expect((await read(source)).map(([path]) => path)).toEqual(["a"]);
  expect(source.problems).toHaveLength(2);
  expect(source.problems.join("\n")).toMatch(/no UTF-8.*b, line 1: no From_ line/s);
});

test("mbox: Apple's folders, also when one is given itself", async () => {
  for (const name of ["INBOX.mbox", "Work.mbox"]) {
    await put(`${name}/mbox`, "From a@b Mon Feb  2 10:11:12 2026\nSubject: x\n\nx\n");
    await put(`${name}/table_of_contents`, "\0");
  }
  expect((await openMbox(root, "mbox")).folders.map(({ path }) => path)).toEqual(["INBOX", "Work"]);
  for (const end of ["", "/"])
    expect((await openMbox(`${root}/Work.mbox${end}`, "mbox")).folders.map(({ path }) => path)).toEqual(["INBOX"]);
});
