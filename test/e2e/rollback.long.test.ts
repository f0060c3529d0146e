import { cp, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeDataFolder, removeDataFolder, restante } from "../kit/server.ts";

/** A store that was set back, as the commands of an owner without a mail program meet it. */
const ADA = "ada@example.org";
const PASSWORD = "a long sesame of words";

let data: string;
beforeAll(async () => {
  data = await makeDataFolder();
});
afterAll(() => removeDataFolder(data));

const asAda = (args: readonly string[], more = "") =>
  restante(data, [...args, "--password-stdin"], `${PASSWORD}\n${more}`);

test("commands that change a store which was set back refuse and say what to do; those that read go on", async () => {
  const mails = join(data, "mails");
  await mkdir(mails);
  await writeFile(join(mails, "1.eml"), "Subject: one\r\n\r\nx");
  const store = join(data, "store");
  const old = join(data, "old");
  expect(await asAda(["account", "add", ADA])).toMatchObject({ code: 0 });
  await cp(store, old, { recursive: true });
  expect(await asAda(["import", `eml:${mails}`, ADA])).toMatchObject({ code: 0, err: "" });
  await rm(store, { recursive: true });
  await cp(old, store, { recursive: true });

  const told = expect.stringContaining("restante account accept-history");
  const fresh = "another sesame of words\n";
  for (const args of [
    ["import", `eml:${mails}`, ADA],
    ["check", ADA, "--repair"],
    ["account", "passwd", ADA],
  ])
    expect(await asAda(args, fresh), args.join(" ")).toMatchObject({ code: 1, out: "", err: told });
  expect(await asAda(["check", ADA])).toMatchObject({
    code: 1,
    out: expect.stringContaining("older history"),
    err: told,
  });
  expect(await asAda(["export", ADA, `eml:${join(data, "out")}`])).toMatchObject({ code: 0, err: told });

  expect(await asAda(["account", "accept-history", ADA])).toMatchObject({ code: 0 });
  expect(await asAda(["import", `eml:${mails}`, ADA])).toMatchObject({
    code: 0,
    out: expect.stringContaining("1 messages imported"),
    err: "",
  });
}, 120_000);
