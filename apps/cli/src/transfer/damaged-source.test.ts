import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openEml } from "./eml.ts";
import type { MailSource } from "./mail-place.ts";
import { openMaildir } from "./maildir.ts";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "restante-source-"));
});
afterEach(() => rm(root, { recursive: true }));

async function flagsOf(source: MailSource): Promise<(readonly string[])[]> {
  const mails = await Promise.all(source.folders.map((folder) => Array.fromAsync(folder.mails())));
  return mails.flat().map(({ flags }) => flags);
}

test("Maildir: a folder and a dead link are named, the rest comes in, however the flags are divided", async () => {
  await mkdir(join(root, "Entw&APw-rfe/cur"), { recursive: true });
  await mkdir(join(root, "cur/2.M1.h:2,S"), { recursive: true });
  await symlink("nowhere", join(root, "cur/3.M1.h:2,S"));
  for (const name of ["1.M1.h:2,S", "4.M1.h;2,F", "5.M1.h!2,R"]) await writeFile(join(root, "cur", name), "\n");
  const source = await openMaildir(root);
  expect(source.problems.map((problem) => /(\d)\.M1/.exec(problem)?.[1]).sort()).toEqual(["2", "3"]);
  expect(await flagsOf(source)).toEqual([["\\Seen"], ["\\Flagged"], ["\\Answered"]]);
  expect(source.folders.map(({ path }) => path)).toEqual(["INBOX", "Entwürfe"]);
});

test("a folder that is no Maildir is told", async () => {
  expect((await openMaildir(root)).problems).toHaveLength(1);
});

test("eml: a broken line of facts is named, and its mail comes in", async () => {
  const whole = JSON.stringify({ file: "a.eml", receivedMs: 0, zoneMinutes: 0, flags: ["\\Seen"] });
  await writeFile(join(root, ".restante.jsonl"), `${whole}\n{"file":\nnull\n{"file":"b.eml","flags":1}\n`);
  for (const name of ["a.eml", "b.eml"]) await writeFile(join(root, name), "\n");
  const source = await openEml(root);
  expect(source.problems.map((problem) => /line (\d)/.exec(problem)?.[1])).toEqual(["2", "3", "4"]);
  expect(await flagsOf(source)).toEqual([["\\Seen"], []]);
});
