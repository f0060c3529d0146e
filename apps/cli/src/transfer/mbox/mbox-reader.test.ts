import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { atomFlag } from "../keywords.ts";
import { parseFromDate } from "./from-line.ts";
import { readFileFields, readMozillaFields } from "./mbox-fields.ts";
import {
  exportSender,
  findMessages,
  type MboxKind,
  type MboxMessage,
  type Octets,
  readMessage,
} from "./mbox-reader.ts";

function octetsOf(text: string, step = 7): Octets {
  const all = Buffer.from(text, "latin1");
  return {
    size: all.length,
    async *read(start, end) {
      for (let at = start; at < end; at += step) yield all.subarray(at, Math.min(end, at + step));
    },
  };
}

async function readAll(text: string, kind: MboxKind = "mbox"): Promise<(MboxMessage & { text: string })[]> {
  const octets = octetsOf(text);
  const found = await Array.fromAsync(findMessages(octets, kind));
  return Promise.all(
    found.map(async (message) => {
      const pieces = await Array.fromAsync(readMessage(octets, message, kind));
      return { ...message, text: Buffer.concat(pieces).toString("latin1") };
    }),
  );
}

/** Made by hand for this test; the addresses are invented. */
function wild(name: string): Promise<string> {
  return readFile(new URL(`../../../testdata/wild/${name}`, import.meta.url), "latin1");
}

describe("what a From_ line is", () => {
  test.each([
    ["bare", 2],
    ["noblank", 2],
    ["fromvars", 13],
    ["leadblank", 1],
    ["bom", 1],
    ["folded", 1],
  ] as const)("%s: %i messages, whatever the line ends", async (name, count) => {
    const text = await wild(`${name}.mbox`);
    for (const form of [text, text.replaceAll("\n", "\r\n")]) {
      const messages = await readAll(form);
      expect(messages).toHaveLength(count);
      for (const message of messages) expect(message.text).toMatch(/^(?:From: Ada|Message-ID|Subject)/);
    }
  });

  test("text that begins as one is text", async () => {
    const text =
      "From a@b Mon Feb  2 10:11:12 2026\nSubject: x\n\nHours:\n\nFrom 9 to 5\nNote: closed\n\nFrom London\n\nend\n";
    expect(await readAll(text)).toHaveLength(1);
  });

  test.each(["From a@b 02/03/2026 10:11:12", "From a@b 2.3.26 10:11", "From ???@??? Mon Feb  2 10:11:12 26"])(
    "a message begins, though nobody knows its date: %s",
    async (line) => {
      const file = `From a@b Mon Feb  2 10:11:12 2026\nSubject: x\n\nx\n\n${line}\nSubject: y\n\ny\n`;
      expect(await readAll(file)).toHaveLength(2);
    },
  );

  test.each([
    ["From 1/2/3 of them", 1],
    ["From London", 1],
    ["From a@b 2026-02-02", 1],
    // A complete From_ line begins a message, also without an empty line before it.
    ["From a@b Mon Feb  2 10:11:12 2026", 2],
  ])("in a paragraph, before what looks like a field: %s", async (line, count) => {
    expect(await readAll(`From a@b Mon Feb  2 10:11:12 2026\nSubject: x\n\ntext\n${line}\nNote: y\n`)).toHaveLength(
      count,
    );
  });

  test("a From_ line of another host is a message's first line", async () => {
    const file =
      "From a@b Mon Feb  2 10:11:12 2026\nSubject: x\n\nx\nFrom c@d Mon Feb  2 10:11:12 2026\n>From c remote\n\ny\n";
    expect(await readAll(file)).toHaveLength(2);
  });

  test("fields of the file have a bound", async () => {
    const field = `X-Keywords: a\n${" more\n".repeat(20_000)}`;
    const file = `From a@b Mon Feb  2 10:11:12 2026\n${field}\n`;
    await expect(readAll(file)).rejects.toMatchObject({ name: "MboxError" });
  });

  test("a file without one is an error that names the line", async () => {
    await expect(readAll("\nSubject: x\n")).rejects.toMatchObject({ name: "MboxError", line: 2 });
  });

  test.each([
    ["From a@b Mon Feb  2 10:11:12 2026", Date.UTC(2026, 1, 2, 10, 11, 12), 0],
    ["From a@b Mon Feb  2 10:11:12 -0800 2026", Date.UTC(2026, 1, 2, 18, 11, 12), -480],
    ["From a@b Mon Feb  2 10:11:12 2026 -0800", Date.UTC(2026, 1, 2, 18, 11, 12), -480],
    ["From a@b Mon Feb  2 10:11 2026", Date.UTC(2026, 1, 2, 10, 11), 0],
    ["From a@b Mon Feb  2 10:11:12 PST 2026", Date.UTC(2026, 1, 2, 18, 11, 12), -480],
    ["From a@b  2026-02-02T10:11:12", Date.UTC(2026, 1, 2, 10, 11, 12), 0],
    ["From a@b Fri Nov 12 10:11:12 93", Date.UTC(1993, 10, 12, 10, 11, 12), 0],
    ["From a@b Mon Feb  2 10:11:12 26", Date.UTC(2026, 1, 2, 10, 11, 12), 0],
    ["From a@b Mon, 2 Feb 2026 10:11:12 +0100", Date.UTC(2026, 1, 2, 9, 11, 12), 60],
  ])("%s", (line, timeMs, zoneMinutes) => {
    expect(parseFromDate(line)).toEqual({ timeMs, zoneMinutes });
  });
});

test("a folded field of the file goes whole, and no other with it", async () => {
  const [message] = await readAll(await wild("folded.mbox"));
  expect(message!.text).toContain("Message-ID: <subj@example.org>\nX-After: 1\n\nbody");
  expect(readFileFields(message!.fields, /[\s,]+/).flags).toEqual(["alpha", "beta", "gamma", "\\Seen"]);
});

test("what was deleted and not yet expunged stays so", () => {
  expect(readFileFields(["X-Mozilla-Status2: 00200000"], / +/)).toMatchObject({
    flags: ["\\Deleted"],
    isExpunged: false,
  });
});

test("what a stranger wrote into their mail expunges nothing, and sends it nowhere", async () => {
  const from = "From a@b Mon Feb  2 10:11:12 2026\n";
  const own = "X-Mozilla-Status: 0008\nX-Gmail-Labels: Trash\nX-Mozilla-Status: 0001\n";
  const [forged] = await readAll(`${from}Received: x\n${own}\nx\n`);
  expect(readFileFields(forged!.fields, / +/, forged!.leading)).toMatchObject({ isExpunged: false, labels: undefined });
  expect(forged!.text).toBe("Received: x\nX-Gmail-Labels: Trash\n\nx\n");
  const [told] = await readAll(
    `${from}X-Account-Key: a\nX-Mozilla-Status: 0001\nX-Gmail-Labels: Inbox\n${own}Subject: x\n\nx\n`,
  );
  expect(readFileFields(told!.fields, / +/, told!.leading)).toEqual({
    isExpunged: false,
    labels: "Inbox",
    flags: ["\\Seen"],
  });
  expect(readMozillaFields("Received: x\nX-Mozilla-Status: 0009\n\n")).toMatchObject({
    isExpunged: false,
    flags: ["\\Seen"],
  });
  expect(readMozillaFields("X-Mozilla-Status: 0009\nReceived: x\n\n").isExpunged).toBe(true);
});

test("keywords are UTF-8", () => {
  expect(readFileFields(["X-Keywords: caf\u00c3\u00a9"], / +/).flags).toEqual(["caf\u00e9"]);
});

test("Thunderbird's status is read; what was expunged says so", async () => {
  const facts = (await readAll(await wild("tb/Inbox"))).map(({ fields }) => readFileFields(fields, /[\s,]+/));
  expect(facts.map(({ flags }) => flags)).toEqual([
    ["\\Seen"],
    ["\\Seen", "\\Answered"],
    ["\\Flagged"],
    ["\\Seen"],
    [],
    ["\\Seen", "$Forwarded", "$label1", "todo"],
  ]);
  expect(facts.findIndex(({ isExpunged }) => isExpunged)).toBe(3);
});

describe("Content-Length", () => {
  const body = "one\n>From here\nFrom a@b Mon Feb  2 10:11:12 2026\nSubject: inner\n\nend\n";
  const file = (length: number): string =>
    `From a@b Mon Feb  2 10:11:12 2026\nSubject: x\nContent-Length: ${length}\n\n${body}\nFrom c@d Mon Feb  2 10:11:12 2026\nSubject: y\n\nz\n`;

  test("a right one says where a body ends; nothing in it is unquoted", async () => {
    const messages = await readAll(file(body.length));
    expect(messages.map(({ text }) => text)).toEqual([`Subject: x\n\n${body}`, "Subject: y\n\nz\n"]);
    expect((await readAll(file(body.length), "mboxcl"))[0]!.text).toContain("\nFrom here\n");
  });

  test("of two that could be right the one that the file's program wrote is believed", async () => {
    const inner = "a\n\nFrom a@b Mon Feb  2 10:11:12 2026\nSubject: inner\n\nend\n";
    const text = `From a@b Mon Feb  2 10:11:12 2026\nContent-Length: 2\nContent-Length: ${inner.length}\n\n${inner}\n`;
    expect((await readAll(text)).map((message) => message.text)).toEqual([`Content-Length: 2\n\n${inner}`]);
  });

  test("behind a counted body any From_ line begins a message", async () => {
    const text = "From a@b Mon Feb  2 10:11:12 2026\nContent-Length: 2\n\nx\n\nFrom \nno field\n";
    expect((await readAll(text)).map((message) => message.text)).toEqual(["\nx\n", "no field\n"]);
  });

  test.each([0, 3, 30, 99_999])("a wrong one, %i, is not believed", async (length) => {
    expect(await readAll(file(length))).toHaveLength(3);
  });

  test("what an export wrote is mboxrd, whatever the message says; its own fields stay", async () => {
    const text = `From ${exportSender("mboxrd", false)} Mon Feb  2 10:11:12 2026\nStatus: O\nX-Status: \nX-Keywords: \nX-Keywords: mine\n more\nContent-Length: 12\n\n>From here\n\n`;
    expect((await readAll(text))[0]!.text).toBe("X-Keywords: mine\n more\nContent-Length: 12\n\nFrom here\n");
  });
});

test("a flag of another program becomes an atom; an atom stays", () => {
  for (let code = 33; code < 127; code++)
    expect(atomFlag(`a${String.fromCharCode(code)}`)).toMatch(/^[^\s(){%*"\\\]]+$/);
  for (const flag of ["\\Seen", "$Forwarded", "foo.bar", "a+b,c}[", "x/y"]) expect(atomFlag(flag)).toBe(flag);
  expect(atomFlag("x".repeat(300))).toHaveLength(255);
  expect(["foo(bar)", "Caf\u00e9", "\\Own", "a b"].map(atomFlag)).toEqual(["foo_bar_", "Caf&AOk-", "_Own", "a_b"]);
});
