import { extent } from "@restante/engine/testing";
import { type FuzzOptions, fuzz } from "@restante/mime/fuzz-kit";
import { expect, test } from "vitest";
import { binary, blobsOf, corpus, openAccount, pace, type Told } from "./email-kit.ts";
import { parseEmails } from "./parse.ts";
import { planOfParse } from "./properties.ts";

const SEED = Number(process.env.RESTANTE_TEST_SEED ?? Date.now() % 1_000_000);
const RUNS = Math.ceil(Number(process.env.RESTANTE_FUZZ_RUNS ?? extent(3000, 900)) / 3);
const TIME_MAX_MS = 24 * 60 * 60_000;
const TOKENS = [
  ...[
    "\r\n",
    "\n",
    "\r\n\r\n",
    "--b\r\n",
    "--b--\r\n",
    ":",
    " ",
    "\t",
    "\0",
    "\xff",
    "é",
    "=?utf-8?q?",
    "?=",
    "=?utf-7?b?2AA=?=",
  ],
  ...[
    "Content-Type: multipart/mixed; boundary=b\r\n",
    "Content-Type: text/html; charset=utf-16\r\n",
    "Content-ID: <",
    ">",
  ],
  ...[
    "Content-Type: message/rfc822\r\n\r\n",
    "Content-Transfer-Encoding: base64\r\n",
    'From: a@b, "c <d@e>\r\n',
    "(",
    ")",
    '"',
    ",",
  ],
  ...[
    "Content-Disposition: attachment; filename*0*=utf-8''%ff; filename*1=x\r\n",
    "Date: 1 Jan 2020\r\n",
    "__proto__: a\r\n",
  ],
];
const OPTIONS: FuzzOptions = {
  seed: SEED,
  runs: RUNS,
  samples: corpus.map(([, bytes]) => bytes).filter((bytes) => bytes.length < 20_000),
  tokens: TOKENS.map(binary),
  bytesMax: 20_000,
};
const FORMS = ["", ":asText", ":asAddresses", ":asGroupedAddresses", ":asMessageIds", ":asDate", ":asURLs"];
const GIVEN = {
  properties: [
    ...[
      "headers",
      "from",
      "to",
      "subject",
      "sentAt",
      "messageId",
      "references",
      "bodyStructure",
      "textBody",
      "htmlBody",
    ],
    ...["attachments", "bodyValues", "preview", "hasAttachment", "header:__proto__:all"],
    ...FORMS.flatMap((form) => [`header:X-Own${form}`, `header:Content-Type${form}:all`]),
  ],
  bodyProperties: [
    ...[
      "partId",
      "blobId",
      "size",
      "name",
      "type",
      "charset",
      "disposition",
      "cid",
      "language",
      "location",
      "subParts",
    ],
    ...["headers", ...FORMS.map((form) => `header:Content-ID${form}:all`)],
  ],
  fetchAllBodyValues: true,
};

function assertParts(part: Told, ids: Set<unknown>): void {
  const subParts = part.subParts as Told[];
  expect(part.partId === null, "a multipart has no partId").toBe(String(part.type).startsWith("multipart/"));
  expect(part.partId === null).toBe(subParts.length > 0);
  expect(part.blobId === null).toBe(part.partId === null);
  expect(Number.isSafeInteger(part.size) && (part.size as number) >= 0).toBe(true);
  expect(ids.has(part.partId) && part.partId !== null, "a partId names one part").toBe(false);
  ids.add(part.partId);
  for (const sub of subParts) assertParts(sub, ids);
}

test(`any octets are told in the types of RFC 8621, as I-JSON (seed=${SEED})`, { timeout: TIME_MAX_MS }, async () => {
  let parsedCount = 0;
  await fuzz(OPTIONS, async (input, random) => {
    const maxBodyValueBytes = random.next(2) * random.next(200);
    const given = { ...GIVEN, maxBodyValueBytes };
    const answer = await parseEmails(blobsOf({ b: input }), ["b"], planOfParse(given), { pace });
    const text = JSON.stringify(answer);
    expect(text).not.toMatch(/\\u[dD][89a-fA-F]|[\ufdd0-\ufdef\ufffe\uffff]/);
    expect(JSON.parse(text)).toEqual(answer);
    if (!answer.parsed) return;
    parsedCount++;
    const told = answer.parsed.b!;
    const ids = new Set<unknown>();
    assertParts(told.bodyStructure as Told, ids);
    const values = told.bodyValues as Readonly<Record<string, { value: string; isTruncated: boolean }>>;
    for (const [id, { value }] of Object.entries(values)) {
      expect(ids.has(id)).toBe(true);
      if (maxBodyValueBytes > 0) expect(new TextEncoder().encode(value).length).toBeLessThanOrEqual(maxBodyValueBytes);
    }
    for (const list of ["textBody", "htmlBody", "attachments"])
      for (const { partId } of told[list] as Told[]) expect(ids.has(partId)).toBe(true);
  });
  expect(parsedCount).toBeGreaterThan(RUNS / 10);
});

test("and what is stored is told as the same blob is", { timeout: TIME_MAX_MS }, async () => {
  const account = await openAccount();
  const known = (told: unknown): unknown =>
    JSON.parse(JSON.stringify(told), (key, value) =>
      key === "blobId" ? null : value?.partId === null ? { ...value, cid: null } : value,
    );
  await fuzz({ ...OPTIONS, runs: Math.ceil(RUNS / 4) }, async (input) => {
    const { parsed } = await parseEmails(blobsOf({ b: input }), ["b"], planOfParse(GIVEN), { pace });
    if (!parsed) return;
    const { id: _, ...stored } = await account.get(await account.add(input), GIVEN);
    expect(known(stored)).toEqual(known(parsed.b));
  });
});
