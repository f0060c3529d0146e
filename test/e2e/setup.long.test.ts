import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeDataFolder, removeDataFolder, restante } from "../kit/server.ts";

let home: string;
beforeAll(async () => {
  home = await makeDataFolder();
});
afterAll(() => removeDataFolder(home));

/** With the data folder that the file names, on free ports; what the file has off stays so. */
const run = (args: readonly string[], input = "") => {
  return restante(home, args, input, {
    RESTANTE_SERVER_DATA: join(home, "data"),
    RESTANTE_IMAP_LISTEN: "",
    RESTANTE_SUBMISSION_LISTEN: "",
  });
};
const FLAGS = [
  "--domain",
  "Example.ORG.",
  "--address",
  "ada",
  "--host",
  "mx.example.org",
  "--sender",
  "out.example.org",
];

/** Every file there, with what it holds. */
function contents(): Record<string, string> {
  const files = readdirSync(home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  // The database's own memory of who reads it.
  const kept = files.filter(({ name }) => !name.startsWith("store.sqlite-") && name !== "reserve");
  return Object.fromEntries(
    kept.map((e) => [join(e.parentPath, e.name), readFileSync(join(e.parentPath, e.name), "latin1")]),
  );
}

test("setup goes from nothing to a configuration that is well, keys and an account; a second run changes nothing", async () => {
  const first = await run(["setup", ...FLAGS, "--store", "embedded", "--password-stdin"], "correct horse battery\n");
  expect(first).toMatchObject({ code: 0, err: "" });
  for (const line of [
    "example.org. MX 10 mx.example.org.",
    'example.org. TXT "v=spf1 a:out.example.org -all"',
    "_imaps._tcp.example.org. SRV 0 1 993 mx.example.org.",
    "_imap._tcp.example.org. SRV 0 0 0 .",
    "_submissions._tcp.example.org. SRV 0 1 465 mx.example.org.",
    "_jmap._tcp.example.org. SRV 0 1 443 mx.example.org.",
    "_autodiscover._tcp.example.org. SRV 0 1 443 mx.example.org.",
    "autoconfig.example.org. CNAME mx.example.org.",
    "autodiscover.example.org. CNAME mx.example.org.",
    "virtual_mailbox_domains = example.org",
    "User=restante",
  ])
    expect(first.out.split("\n")).toContain(line);
  expect(first.out).toMatch(/^Recovery code: /m);
  expect(statSync(join(home, "restante.toml")).mode & 0o777).toBe(0o600);
  expect(await run(["account", "list"])).toMatchObject({ out: "ada@example.org\n" });
  expect(await run(["config", "check"])).toMatchObject({ code: 0 });
  const before = contents();
  for (const more of [[], ["--address", "ada"], FLAGS.slice(0, 6)]) {
    const again = await run(["setup", ...more]);
    expect(again, more.join(" ")).toMatchObject({ code: 0, err: "" });
    expect(again.out).toContain(
      more.length === 0 ? "Accounts are there and stay: 1." : "ada@example.org is there and stays.",
    );
    expect(again.out).not.toContain("Recovery code");
    // It knows the rest from the file, but for a provider that sends, whose user was still to be written.
    const records = (text: string): string[] => text.split("\n").filter((line) => / (MX|CNAME|SRV) /.test(line));
    expect(records(again.out)).toEqual(records(first.out));
    expect(again.out).toContain("THE-HOST-THAT-SENDS");
    expect(contents()).toEqual(before);
  }
  for (const [flag, value] of [
    ["--domain", "example.net"],
    ["--host", "other.example.org"],
    ["--data", "/srv/other"],
    ["--store", "s3:https://s3.example.net/mail"],
  ] as const) {
    const otherwise = await run(["setup", flag, value]);
    expect(otherwise, flag).toMatchObject({ code: 2, out: "" });
    expect(otherwise.err).toMatch(new RegExp(`^restante: ${flag}: .*restante\\.toml says .*: change it there\n$`));
    expect(contents()).toEqual(before);
  }
});

test("a run that ended before the account was made is gone on with, and none is made that nobody named", async () => {
  const place = await makeDataFolder();
  const env = { RESTANTE_SERVER_DATA: join(place, "data") };
  const first = await restante(
    place,
    ["setup", ...FLAGS, "--store", "embedded", "--password-stdin"],
    "password1234\n",
    env,
  );
  expect(first.code).not.toBe(0);
  expect(await restante(place, ["setup", "--password-stdin"], "correct horse battery\n", env)).toMatchObject({
    code: 2,
  });
  expect(await restante(place, ["account", "list"], "", env)).toMatchObject({ code: 0, out: "" });
  const again = await restante(
    place,
    ["setup", "--address", "ada", "--password-stdin"],
    "correct horse battery\n",
    env,
  );
  expect(again).toMatchObject({ code: 0, err: "" });
  expect(await restante(place, ["account", "list"], "", env)).toMatchObject({ code: 0, out: "ada@example.org\n" });
  await removeDataFolder(place);
});

test.each([
  ["no domain, and nobody to ask", []],
  ["a domain that is none", ["--domain", "example"]],
  ["a store that is none", [...FLAGS, "--store", "s3"]],
  ["a line of its own in a name", ["--domain", 'example.org"\nx = "y']],
  [
    "an address elsewhere",
    [
      "--domain",
      "example.org",
      "--host",
      "a.example.org",
      "--sender",
      "a.example.org",
      "--address",
      "ada@example.net",
      "--store",
      "embedded",
    ],
  ],
])("%s is a mistake of usage, and nothing is written", async (_, flags) => {
  const place = await makeDataFolder();
  expect((await restante(place, ["setup", ...flags])).code).toBe(2);
  expect(readdirSync(place)).toEqual([]);
  await removeDataFolder(place);
});
