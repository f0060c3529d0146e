import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { wrongKind } from "./kind.ts";
import { parsePlace } from "./mail-place.ts";

const MBOX = "From a@b Mon Feb  2 10:11:12 2026\nSubject: x\n\nx\n";
const EML = "Subject: x\n\nx\n";
const OUTLOOK = Buffer.from("d0cf11e0a1b11ae1", "hex");
let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "restante-kind-"));
  for (const folder of ["maildir/cur", "maildir/.Sent/cur", "mboxes/A.sbd", "apple/X.mbox", "emls/a", "msgs", "empty"])
    await mkdir(join(root, folder), { recursive: true });
  for (const [file, content] of [
    ["maildir/cur/1.M1.h:2,S", EML],
    ["maildir/.Sent/cur/1.M1.h:2,S", MBOX],
    ["mboxes/A", MBOX],
    ["mboxes/A.sbd/B", `\u{feff}\n${MBOX}`],
    ["mboxes/readme", "Note: not mail\n"],
    ["apple/X.mbox/mbox", MBOX],
    ["emls/a/1.eml", EML],
    ["emls/a/2.emlx", "14\nSubject: x\n\nx\n"],
    ["msgs/a.msg", OUTLOOK],
    ["one.mbox", MBOX],
    ["one.eml", EML],
    ["one.msg", OUTLOOK],
    ["text", "text\n"],
  ] as const)
    await writeFile(join(root, file), content);
});
afterEach(() => rm(root, { recursive: true }));

test.each([
  "maildir:maildir",
  "mbox:mboxes",
  "mboxo:one.mbox",
  "mbox:apple",
  "eml:emls",
  "eml:one.eml",
  // Places of no kind pass here; reading tells.
  "mbox:text",
  "mbox:empty",
  "maildir:empty",
])("%s is what it says", async (text) => {
  const { format, path } = parsePlace(text)!;
  expect(await wrongKind({ format, path: join(root, path) })).toBeUndefined();
});

test.each([
  ["maildir:mboxes", "mbox:mboxes"],
  ["maildir:one.mbox", "mbox:one.mbox"],
  ["maildir:emls", "eml:emls"],
  ["maildir:maildir/cur", "the folder that it lies in"],
  ["maildir:text", "is a file"],
  ["mbox:maildir", "maildir:maildir"],
  ["mboxcl2:one.eml", "eml:one.eml"],
  ["eml:one.mbox", "mbox:one.mbox"],
  ["eml:maildir", "maildir:maildir"],
  ["eml:mboxes", "mbox:mboxes"],
  ["eml:one.msg", ".msg and .pst are not supported"],
  ["eml:msgs", ".msg and .pst are not supported"],
  ["mbox:msgs", ".msg and .pst are not supported"],
])("%s is not: %s", async (text, hint) => {
  const { format, path } = parsePlace(text)!;
  const told = await wrongKind({ format, path: join(root, path) });
  expect(told?.replaceAll(`${root}/`, "")).toContain(hint);
});
