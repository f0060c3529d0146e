import type { Random } from "@restante/mime/fuzz-kit";
import { randomText } from "@restante/mime/message-kit";
import { INBOX } from "./email-kit.ts";

/** Random Email creation objects (RFC 8621 §4.6), and what Email/get has to tell of each. */
export interface RandomCreate {
  readonly given: Readonly<Record<string, unknown>>;
  readonly blobs: Readonly<Record<string, Uint8Array>>;
  /** Header properties as they are told again. */
  readonly headers: Readonly<Record<string, unknown>>;
  /** All parts that are no multipart, from front to back. */
  readonly leaves: readonly ExpectedLeaf[];
}

export interface ExpectedLeaf {
  readonly type: string;
  readonly name: string | null;
  readonly cid: string | null;
  readonly language: readonly string[] | null;
  readonly location: string | null;
  /** The disposition that the client asked for; undefined for the server's choice. */
  readonly disposition: string | null | undefined;
  /** A text's value; a blob's octets. */
  readonly value?: string;
  readonly octets?: Uint8Array;
  readonly header: string | null;
}

const TYPES = ["image/png", "application/pdf", "text/csv", "text/calendar", "application/x-thing", "audio/x-y"];
const SUBTYPES = ["mixed", "alternative", "related", "digest", "x-own", "signed"];
const ADDRESSES = ["a@x.test", "first.last@x.test", '"a b"@x.test', '"q\\"x"@x.test', "x+y@[192.0.2.1]", "é@x.test"];
const DRAFTS = ["joe", "", "joe doe", "a@", "@b", "a@b, c@d", "<a@b>", "x\r\nBcc: v@x.test", "日本 語", "a\0b"];

/** As a reader has what is written: control characters are spaces, byte order marks go. */
function told(text: string): string {
  return text
    .toWellFormed()
    .replaceAll("\ufeff", "")
    .replace(/[\x00-\x1f\x7f]+/g, " ");
}

export function randomCreate(random: Random): RandomCreate {
  const given: Record<string, unknown> = { mailboxIds: { [INBOX]: true } };
  const headers: Record<string, unknown> = {};
  const say = (key: string, value: unknown, wanted: unknown = value): void => {
    if (random.next(3) === 0) return;
    given[key] = value;
    headers[key] = wanted;
  };
  for (const key of ["subject", "header:Comments:asText", "header:X-Own:asText"]) {
    const text = randomText(random, 8);
    say(key, text, told(text).normalize("NFC"));
  }
  const many = Array.from({ length: random.next(4) }, () => randomText(random, 3));
  say(
    "header:X-Many:asText:all",
    many,
    many.map((text) => told(text).normalize("NFC")),
  );
  for (const key of ["from", "to", "cc", "replyTo", "header:Resent-To:asAddresses"]) {
    const addresses = Array.from({ length: 1 + random.next(4) }, () => randomAddress(random));
    say(
      key,
      addresses.map(([one]) => one),
      addresses.map(([, wanted]) => wanted),
    );
  }
  const members = [randomAddress(random), randomAddress(random)];
  const group = told(randomText(random, 3)).trim() || "g";
  say(
    "header:Bcc:asGroupedAddresses",
    [
      { name: group, addresses: members.map(([one]) => one) },
      { name: "Empty", addresses: [] },
    ],
    [
      { name: group.normalize("NFC"), addresses: members.map(([, wanted]) => wanted) },
      { name: "Empty", addresses: [] },
    ],
  );
  const ids = Array.from(
    { length: 1 + random.next(20) },
    () => `${"i".repeat(1 + random.next(60))}.${random.next(1e6)}@x`,
  );
  say("messageId", ids.slice(0, 1));
  say("references", ids);
  say("header:List-Post:asURLs", ["mailto:a@b.test", "http://x.test/?a=b,c;(d)"]);
  say(
    "sentAt",
    `20${10 + random.next(80)}-0${1 + random.next(9)}-1${random.next(10)}T1${random.next(10)}:00:0${random.next(10)}+0${random.next(10)}:30`,
  );
  say("header:X-Raw", " a\r\n\tb (c) ; d");
  const body = new RandomBody(random);
  const bodies = random.next(3) === 0 ? body.lists() : body.structure();
  return { given: { ...given, ...bodies, bodyValues: body.values }, blobs: body.blobs, headers, leaves: body.leaves };
}

type Address = readonly [
  given: { name?: string | null; email: string },
  wanted: { name: string | null; email: string },
];

function randomAddress(random: Random): Address {
  const email = random.next(6) === 0 ? random.pick(DRAFTS) : random.pick(ADDRESSES);
  const name = random.next(4) === 0 ? null : randomText(random, 4);
  const shown = name === null ? "" : told(name).trim().normalize("NFC");
  const wanted = { name: shown === "" ? null : shown, email: told(email).trim() };
  return [random.next(5) === 0 && name === null ? { email } : { name, email }, wanted];
}

class RandomBody {
  readonly #random: Random;
  readonly values: Record<string, { value: string }> = {};
  readonly blobs: Record<string, Uint8Array> = {};
  readonly leaves: ExpectedLeaf[] = [];
  #count = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  structure(): object {
    return { bodyStructure: this.#part(0) };
  }

  lists(): object {
    const random = this.#random;
    const kinds = random.next(4);
    const text = kinds & 1 ? { textBody: [this.#text("plain", true)] } : {};
    const html = kinds & 2 ? { htmlBody: [this.#text("html", true)] } : {};
    const attachments = Array.from({ length: random.next(4) }, () => this.#blob());
    if (kinds === 0 && attachments.length === 0) this.leaves.push({ ...NOTHING, value: "\n", type: "text/plain" });
    return { ...text, ...html, attachments: attachments.map((part) => ({ disposition: null, ...part })) };
  }

  #part(depth: number): object {
    const random = this.#random;
    const kind = random.next(depth < 3 ? 6 : 4);
    if (kind >= 4) {
      const type = `multipart/${random.pick(SUBTYPES)}`;
      const subParts = Array.from({ length: 1 + random.next(4) }, () => this.#part(depth + 1));
      return random.next(5) === 0 && type === "multipart/mixed" ? { subParts } : { type, subParts };
    }
    if (kind < 2) return this.#text(random.pick(["plain", "html", "x-own"]));
    return kind === 2 && depth > 0 ? this.#message() : this.#blob();
  }

  /** `isBody`: no property makes it an attachment for readers. */
  #text(subtype: string, isBody = false): object {
    const partId = this.#random.pick(["", "a", "x/"]) + String(this.#count++);
    const value = randomText(this.#random, 30);
    this.values[partId] = { value };
    const { asked, expected } = this.#fields(isBody);
    const lines = value
      .toWellFormed()
      .replace(/\r\n|\r/g, "\n")
      .replace(/^\ufeff/, "");
    this.leaves.push({ ...expected, value: lines, type: `text/${subtype}` });
    return { ...asked, partId, type: `text/${subtype}` };
  }

  #blob(): object {
    const random = this.#random;
    const octets = new Uint8Array(random.pick([0, 1, 2, 3, 57, 76, random.next(3000)]));
    for (let at = 0; at < octets.length; at++)
      octets[at] = random.next(2) === 0 ? random.pick([0x0d, 0x0a, 0x61]) : random.next(256);
    const type = random.pick(TYPES);
    return this.#ofBlob(octets, type);
  }

  #message(): object {
    const lines = [
      "Subject: original",
      "",
      "begin",
      ...Array.from({ length: this.#random.next(5) }, () => this.#random.pick(["text", "--=_x", ".", "From me", ""])),
    ];
    return this.#ofBlob(new TextEncoder().encode(lines.join("\r\n")), "message/rfc822");
  }

  #ofBlob(octets: Uint8Array, type: string): object {
    const blobId = `blob${this.#count++}`;
    this.blobs[blobId] = octets;
    const { asked, expected } = this.#fields();
    this.leaves.push({ ...expected, octets, type });
    return { ...asked, blobId, type: this.#random.next(5) === 0 ? type.toUpperCase() : type };
  }

  #fields(isBody = false): { readonly asked: Record<string, unknown>; readonly expected: ExpectedLeaf } {
    const random = this.#random;
    const asked: Record<string, unknown> = {};
    const expected: { -readonly [K in keyof ExpectedLeaf]: ExpectedLeaf[K] } = { ...NOTHING, type: "" };
    if (!isBody && random.next(2) === 0) {
      const name = (told(randomText(random, 5)).trim() || "file").slice(0, 300).toWellFormed();
      asked.name = name;
      expected.name = name;
    }
    if (!isBody && random.next(3) === 0)
      asked.disposition = expected.disposition = random.pick(["attachment", "inline", "x-own"]);
    if (random.next(3) === 0) asked.cid = expected.cid = `c${random.next(1e6)}@x.test`;
    if (random.next(4) === 0) asked.language = expected.language = ["en", "de-AT"];
    if (random.next(4) === 0) asked.location = expected.location = "http://x.test/a%20b?c=d";
    if (random.next(4) === 0) {
      const text = randomText(random, 4);
      asked["header:Content-X-Own:asText"] = text;
      expected.header = told(text).normalize("NFC");
    }
    return { asked, expected };
  }
}

const NOTHING: Omit<ExpectedLeaf, "type"> = {
  name: null,
  cid: null,
  language: null,
  location: null,
  disposition: undefined,
  header: null,
};
