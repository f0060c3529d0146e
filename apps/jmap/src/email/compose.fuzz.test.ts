import { spawnSync } from "node:child_process";
import { extent } from "@restante/engine/testing";
import { decodeTransfer, type Part, scan } from "@restante/mime";
import { Random } from "@restante/mime/fuzz-kit";
import { simpleParser } from "mailparser";
import { expect, test } from "vitest";
import { readNewEmail } from "./compose.ts";
import { type ExpectedLeaf, randomCreate } from "./create-kit.ts";
import { type Account, blobsOf, composed, openAccount, pieces, places, type Told } from "./email-kit.ts";
import { prepareEmail, tellCreated } from "./store.ts";

/** An Email that is created reads back as its client wrote it: by Email/get, and by two parsers that are not ours. */
const SEED = Number(process.env.RESTANTE_TEST_SEED ?? Date.now() % 1_000_000);
const RUNS = Math.ceil(Number(process.env.RESTANTE_FUZZ_RUNS ?? extent(2000, 250)));
const TIME_MAX_MS = 24 * 60 * 60_000;

const binary = (octets: Uint8Array): string => Buffer.from(octets).toString("latin1");

/** Asserts the rules of RFC 5322 §2.1 and §2.3 for any message. */
function assertWellWritten(octets: Uint8Array): void {
  const text = binary(octets);
  expect(text).not.toMatch(/\0|\r(?!\n)|(?<!\r)\n/);
  for (const line of text.split("\r\n")) expect(line.length).toBeLessThanOrEqual(998);
  expect(text.slice(0, text.indexOf("\r\n\r\n")).match(/^(?:Date|Message-ID|MIME-Version): /gim)).toHaveLength(3);
}

function leavesOf(part: Told): Told[] {
  const subParts = part.subParts as Told[] | undefined;
  return subParts ? subParts.flatMap(leavesOf) : [part];
}

const byText = (a: unknown, b: unknown): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);

async function store({ session }: Account, octets: Uint8Array, given: unknown): Promise<string> {
  const email = readNewEmail(given, places);
  if ("type" in email) throw new Error("refused");
  const [added] = await session.addMany([await prepareEmail(session, pieces(octets), email.place)]);
  return String(tellCreated(added!).id);
}

function assertLeaves(told: Told, octets: Uint8Array, wanted: readonly ExpectedLeaf[], isOrdered: boolean): void {
  const values = told.bodyValues as Readonly<Record<string, { value: string }>>;
  const contents: string[] = [];
  const collect = (part: Part): void => {
    if (part.kind === "multipart") part.children.forEach(collect);
    else
      contents.push(
        binary(
          decodeTransfer(octets.subarray(part.bodyStart, part.bodyEnd), part.kind === "leaf" ? part.encoding : "8bit"),
        ),
      );
  };
  collect(scan(octets).root);
  const is = leavesOf(told.bodyStructure as Told).map((part, at) => ({
    type: part.type,
    name: part.name,
    cid: part.cid,
    language: part.language,
    location: part.location,
    disposition: part.disposition,
    header: part["header:Content-X-Own:asText"],
    value: values[String(part.partId)]?.value ?? null,
    octets: values[String(part.partId)] ? null : contents[at],
    isSized: part.size === contents[at]!.length,
  }));
  const asked = wanted.map((leaf) => ({
    ...leaf,
    disposition: leaf.disposition ?? null,
    value: leaf.octets && leaf.type.startsWith("text/") ? null : (leaf.value ?? null),
    octets: leaf.octets ? binary(leaf.octets) : null,
    isSized: true,
  }));
  // A text that is a blob has a value, whatever its octets are.
  for (const [at, leaf] of is.entries())
    if (leaf.value !== null && String(leaf.type).match(/^text\/(?:csv|calendar)$/)) {
      leaf.octets = contents[at];
      leaf.value = null;
    }
  if (!isOrdered) {
    for (const leaf of is) leaf.disposition = null;
    for (const leaf of asked) leaf.disposition = null;
  }
  const plain = (leaves: readonly object[]): unknown[] =>
    leaves.map((leaf) => Object.fromEntries(Object.entries(leaf).sort()));
  const [ours, theirs] = [plain(is), plain(asked)];
  expect(isOrdered ? ours : ours.sort(byText)).toEqual(isOrdered ? theirs : theirs.sort(byText));
}

test(`MIME by string joins: what is created is told as it was asked for (seed=${SEED})`, {
  timeout: TIME_MAX_MS,
}, async () => {
  const random = new Random(SEED);
  const account = await openAccount();
  for (let run = 0; run < RUNS; run++) {
    const { given, blobs, headers, leaves } = randomCreate(random);
    const octets = await composed(given, blobsOf(blobs));
    if (!(octets instanceof Uint8Array)) throw new Error(`seed=${SEED} run=${run}: ${JSON.stringify([octets, given])}`);
    assertWellWritten(octets);
    const id = await store(account, octets, given);
    const told = await account.get(id, {
      properties: [...Object.keys(headers), "bodyStructure", "bodyValues", "textBody", "htmlBody", "size"],
      bodyProperties: [
        "partId",
        "type",
        "name",
        "cid",
        "language",
        "location",
        "disposition",
        "size",
        "header:Content-X-Own:asText",
      ],
      fetchAllBodyValues: true,
    });
    try {
      for (const [key, value] of Object.entries(headers)) expect(told[key], key).toEqual(value);
      expect(told.size).toBe(octets.length);
      assertLeaves(told, octets, leaves, "bodyStructure" in given);
      const [text] = told.textBody as Told[];
      if (given.textBody) expect(text!.type).toBe("text/plain");
      const [html] = told.htmlBody as Told[];
      if (given.htmlBody) expect(html!.type).toBe("text/html");
    } catch (cause) {
      throw new Error(`seed=${SEED} run=${run}\n${binary(octets)}`, { cause });
    }
  }
});

/** Values of a wrong type or content, for any property. */
const ODD: readonly unknown[] = [
  ...[
    null,
    true,
    false,
    0,
    -1,
    1.5,
    2 ** 60,
    "",
    "x",
    "__proto__",
    "\ud800",
    "a\r\nBcc: b",
    [],
    {},
    [null],
    [[]],
    [{}],
  ],
  ...[
    { value: 1 },
    { email: null },
    { name: 1, email: "a" },
    { partId: "a" },
    "x".repeat(300_000),
    Array(6000).fill("a"),
  ],
  ...[JSON.parse('{"__proto__": {"email": "a"}}'), { toString: 1 }, { length: 5 }, { type: "multipart/x" }],
];
const KEYS = [
  "__proto__",
  "constructor",
  "toString",
  "header:__proto__",
  "header:constructor:all",
  "headers",
  "type",
  "subParts",
  "length",
];

/** The same, with something odd in one place or another. */
function spoilt(value: unknown, random: Random, depth = 0): unknown {
  if (random.next(60) === 0) return random.pick(ODD);
  if (Array.isArray(value)) {
    const list = value.map((one) => spoilt(one, random, depth + 1));
    return random.next(60) === 0 ? [...list, random.pick(ODD)] : list;
  }
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, one]): [string, unknown] => [
    key,
    depth > 6 ? one : spoilt(one, random, depth + 1),
  ]);
  if (random.next(60) === 0) entries.push([random.pick(KEYS), random.pick(ODD)]);
  return Object.fromEntries(entries);
}

test(`whatever is created, it is made or refused by a SetError (seed=${SEED})`, { timeout: TIME_MAX_MS }, async () => {
  const random = new Random(SEED);
  const count = { made: 0, refused: 0 };
  for (let run = 0; run < RUNS; run++) {
    const { given, blobs } = randomCreate(random);
    const odd = spoilt(given, random);
    let answer: Awaited<ReturnType<typeof composed>>;
    try {
      answer = await composed(odd, blobsOf(blobs));
    } catch (cause) {
      throw new Error(`seed=${SEED} run=${run} ${JSON.stringify(odd).slice(0, 5000)}`, { cause });
    }
    if (answer instanceof Uint8Array) {
      count.made++;
      assertWellWritten(answer);
      continue;
    }
    count.refused++;
    expect(["invalidProperties", "blobNotFound", "tooLarge", "tooManyKeywords", "tooManyMailboxes"]).toContain(
      answer.type,
    );
    if (answer.type === "invalidProperties" && typeof odd === "object" && odd !== null && !Array.isArray(odd))
      expect(answer.properties!.length, JSON.stringify(odd).slice(0, 5000)).toBeGreaterThan(0);
    expect(JSON.stringify(answer).length).toBeLessThan(300_000);
  }
  expect(Math.min(count.made, count.refused)).toBeGreaterThan(RUNS / 50);
});

test("mailparser reads the same subject and files", async () => {
  const random = new Random(SEED);
  const squeeze = (text: unknown): string => String(text ?? "").replace(/\s+/g, "");
  for (let run = 0; run < Math.min(RUNS, 200); run++) {
    const { given, blobs, headers } = randomCreate(random);
    const octets = (await composed(given, blobsOf(blobs))) as Uint8Array;
    // It takes the octet 0xA0 for white space where a header is not encoded.
    if (/[\x80-\xff]/.test(binary(octets).split("\r\n\r\n")[0]!)) continue;
    const theirs = await simpleParser(Buffer.from(octets), { skipHtmlToText: true, skipTextToHtml: true });
    if ("subject" in headers)
      expect(squeeze(theirs.subject?.normalize("NFC")), `seed=${SEED} run=${run}`).toBe(squeeze(headers.subject));
    const files = Object.values(blobs).map(binary);
    for (const { content, contentType } of theirs.attachments)
      if (/pdf|png|thing/.test(contentType)) expect(files, `seed=${SEED} run=${run}`).toContain(binary(content));
  }
});

/** Types and octets of all leaves, as Python's email package has them. */
const PYTHON = `
import sys, json, email
out = []
for line in sys.stdin:
    message = email.message_from_bytes(bytes.fromhex(line.strip()))
    leaves = []
    def walk(part):
        if part.get_content_type() == "message/rfc822": leaves.append([part.get_content_type(), None])
        elif part.is_multipart():
            for sub in part.get_payload(): walk(sub)
        else: leaves.append([part.get_content_type(), part.get_payload(decode=True).hex()])
    walk(message)
    out.append([leaves, [repr(d) for part in message.walk() for d in part.defects]])
print(json.dumps(out))
`;

test.skipIf(spawnSync("python3", ["-c", "import email"]).status !== 0)(
  "Python's email package reads the same parts, and finds no defect",
  { timeout: TIME_MAX_MS },
  async () => {
    const random = new Random(SEED);
    const creates = Array.from({ length: Math.min(RUNS, 500) }, () => randomCreate(random));
    const mails: Uint8Array[] = [];
    for (const { given, blobs } of creates) mails.push((await composed(given, blobsOf(blobs))) as Uint8Array);
    const input = mails.map((octets) => Buffer.from(octets).toString("hex")).join("\n");
    const { stdout, stderr } = spawnSync("python3", ["-c", PYTHON], { input, maxBuffer: 2 ** 28 });
    expect(stderr.toString()).toBe("");
    const theirs = JSON.parse(stdout.toString()) as [[string, string | null][], string[]][];
    for (const [run, [leaves, defects]] of theirs.entries()) {
      const ours = (part: Part): unknown[] => {
        if (part.kind === "multipart") return part.children.flatMap(ours);
        if (part.kind === "message") return [["message/rfc822", null]];
        const octets = decodeTransfer(mails[run]!.subarray(part.bodyStart, part.bodyEnd), part.encoding);
        return [[`${part.type}/${part.subtype}`, Buffer.from(octets).toString("hex")]];
      };
      expect(defects, `seed=${SEED} run=${run}`).toEqual([]);
      expect(leaves, `seed=${SEED} run=${run}`).toEqual(ours(scan(mails[run]!).root));
    }
  },
);
