import { encode } from "cborg";
import { Fields } from "../bay/fields.ts";
import { NOWHERE, type Position, position } from "../bay/position.ts";
import type { PageKind, PageStore } from "../bay/snapshots.ts";
import type { WriterId } from "../bay/writer.ts";
import { EngineError } from "../errors.ts";
import { applyBlock } from "../mail/apply/apply.ts";
import type { EmailSource } from "../mail/checkpoint/email-capture.ts";
import { captureMail, loadMail } from "../mail/checkpoint/snapshot.ts";
import { threadFacts } from "../mail/contents/thread-facts.ts";
import type { NewEmail } from "../mail/ops/email.ts";
import { INBOX_ID, mailboxId } from "../mail/ops/names.ts";
import type { Op } from "../mail/ops/op.ts";
import { MailState } from "../mail/state/state.ts";
import { pattern } from "./golden-kit.ts";

/** A checkpoint with all that it names, unsealed, as one run of bytes: what golden files hold. */

const WRITER = "0102030405060708" as WriterId;
/** More than one page of rows holds. */
export const EMAILS = 70;
/** The entry that the checkpoint covers. */
export const COVERS: Position = position(40);

export function emailAt(number: number): NewEmail {
  const small = number % 3 > 0;
  return {
    id: pattern(16, number + 1),
    key: pattern(32, number + 2),
    size: small ? 300 + number : 50_000 + number,
    place: small ? { in: "note", name: `note/${number}`, offset: 5, length: 40 } : { in: "object", length: 51_000 },
    receivedMs: 1_700_000_000_000 + number * 1000,
    receivedZone: 60,
    sentMs: 1_699_999_999_000 - number,
    sentZone: -330,
    thread: pattern(8, number % 5),
    ids: pattern(16, number + 7),
    subject: new Uint8Array(0),
    summary: pattern(30, number),
    header: pattern(20, number),
  };
}

/** The first email that has the message id of this hash, the first 8 bytes of `ids`. */
export function firstWith(ids: Uint8Array): number {
  const has = (number: number): boolean => {
    const { ids: own } = emailAt(number);
    return [0, 8].some((at) => own.subarray(at, at + 8).every((byte, i) => byte === ids[i]));
  };
  return Array.from({ length: EMAILS }, (_, number) => number).findIndex(has);
}

/** Ops that leave something in every part of a state. */
function ops(): Op[] {
  const numbers = Array.from({ length: EMAILS }, (_, number) => number);
  const noteOf = (number: number) => ({
    note: `note/${number}`,
    email: emailAt(number),
    places: [{ mailbox: INBOX_ID, flags: number % 2 === 0 ? ["\\Seen", "$Label1"] : ["Junk"] }],
    stream: number % 2 === 0 ? "even" : "",
    counter: number * 2 + 1,
    givenUp: number === 4 ? [2] : [],
  });
  const run = (sequence: number, first: number, last: number) => ({
    writer: WRITER,
    first: { sequence, index: first },
    last: { sequence, index: last },
  });
  const folders = [{ path: "INBOX" }, { path: "Sent", specialUse: "\\Sent" as const }, { path: "Trash" }];
  return [
    { kind: "begin", seconds: 1_700_000_000, folders },
    { kind: "take-in", notes: numbers.map(noteOf), listed: NOWHERE, seconds: 6 },
    { kind: "create", path: "Größe/x", seconds: 2, specialUse: "\\Archive" },
    { kind: "rename", paths: [{ mailbox: mailboxId(WRITER, 3, 0), path: "Size/y" }] },
    { kind: "copy", mailbox: INBOX_ID, targets: [run(2, 3, 9)], to: mailboxId(WRITER, 3, 0), seconds: 7 },
    {
      kind: "flags",
      mailbox: INBOX_ID,
      targets: [run(2, 0, 20)],
      change: { mode: "add", flags: ["\\Deleted", "New"] },
    },
    { kind: "expunge", mailbox: INBOX_ID, targets: [run(2, 5, 8), run(2, 12, 12)] },
    {
      kind: "move",
      mailbox: INBOX_ID,
      targets: [run(2, 30, 33)],
      to: mailboxId("0000000000000000" as WriterId, 0, 2),
      seconds: 8,
    },
    { kind: "delete", mailbox: mailboxId("0000000000000000" as WriterId, 0, 2) },
    { kind: "subscribe", path: "Size/y", on: true },
    { kind: "subscribe", path: "Sent", on: false },
    { kind: "slots", names: ["slot/password-000001-x", "slot/app-1"], upon: NOWHERE },
    { kind: "condemn", names: ["body/dead", "page/dead"], listed: position(12) },
    { kind: "checkpoint", covers: position(12), manifest: pattern(32), emailRows: 0, startedAt: position(13) },
    { kind: "forget", names: ["page/dead"], notes: ["note/3"], trimmed: position(5) },
    { kind: "raise", seconds: 1_700_000_100 },
  ];
}

/** Ops that came with format 2. */
function opsSince(): Op[] {
  const first = { sequence: 2, index: 40 };
  const run = { writer: WRITER, first, last: first };
  return [
    {
      kind: "folders",
      steps: [
        { do: "create", path: "Plans", type: "calendar", sortOrder: 3, subscribed: false },
        { do: "set", mailbox: mailboxId(WRITER, 3, 0), role: "\\Junk", sortOrder: 4 },
      ],
      seconds: 1_700_000_200,
    },
    {
      kind: "replace",
      mailbox: INBOX_ID,
      target: [run],
      email: { ...emailAt(EMAILS), subject: pattern(8, 3) },
      add: ["\\Draft"],
      remove: ["\\Seen"],
      since: position(17),
      seconds: 9,
    },
    {
      kind: "change",
      items: [
        {
          targets: [
            {
              mailbox: INBOX_ID,
              targets: [{ writer: WRITER, first: { sequence: 2, index: 0 }, last: { sequence: 2, index: 2 } }],
            },
          ],
          add: ["$Phone"],
          remove: ["\\Deleted"],
          join: [mailboxId(WRITER, 3, 0)],
          leave: [],
        },
      ],
      seconds: 10,
    },
    {
      kind: "record",
      records: [
        { type: "identity", id: "a", value: pattern(5) },
        { type: "identity", id: "b", value: pattern(6) },
        { type: "large", id: "1", value: pattern(2000, 1) },
      ],
    },
    { kind: "record", records: [{ type: "identity", id: "b", value: undefined }] },
    { kind: "requires", version: 1 },
  ];
}

/** The state that the golden checkpoints are of; with what came `since` the first format. */
export function goldenState(since = false): MailState {
  const state = new MailState();
  for (const [at, op] of [...ops(), ...(since ? opsSince() : [])].entries())
    applyBlock(state, [
      { op, writer: WRITER, sequence: at + 1, entry: position(at + 1), place: 0, knows: () => true, judged: false },
    ]);
  return state;
}

const source: EmailSource = {
  readRecord: async (_, row) => {
    const { id, key, place, summary } = emailAt(row);
    const object =
      place.in === "note"
        ? { name: place.name, offset: place.offset, length: place.length }
        : { name: `body/${row}`, offset: 0, length: 51_000 };
    return { id, key, object, summary };
  },
  readHeader: async (_, row) => emailAt(row).header,
  readObject: async (name) => pattern(60, Number(name.slice(5))),
  improvedPages: () => new Set(),
  readTexts: () => Promise.reject(new EngineError("corrupt", "none was written")),
  readIds: () => Promise.reject(new EngineError("corrupt", "none was written")),
  threadFacts: (header) => threadFacts(header, pattern(32)),
  readValue: async ({ id }) => pattern(2000, Number(id)),
};

/** A name as stores give: `again` is of another checkpoint. */
function testName(kind: "page" | "pack", number: number, again: string): string {
  return `${kind}/${again === "" ? "00" : "ff"}${(number + 1).toString(16).padStart(30, "0")}`;
}

/** A checkpoint of `state`: its manifest's body, then each page and pack `[kind, name, content]`, in the order in which
 * they were written. */
export async function captureWhole(state: MailState, suffix = ""): Promise<Uint8Array> {
  const written: (readonly [string, string, Uint8Array])[] = [];
  const store: PageStore = {
    async write(kind, content) {
      const name = testName("page", written.length, suffix);
      written.push([kind, name, content.slice()]);
      return name;
    },
    read: async () => new Uint8Array(0),
    packName: () => testName("pack", written.length, suffix),
    async putPack(name, content) {
      written.push(["pack", name, content.slice()]);
    },
  };
  const body = await captureMail(state, source).write(store);
  return encode([body, written]);
}

/** The state of such a checkpoint, and its pages and packs by name. */
export async function loadWhole(
  bytes: Uint8Array,
  before: ReadonlyMap<string, Uint8Array> = new Map(),
): Promise<{
  readonly state: MailState;
  readonly objects: ReadonlyMap<string, Uint8Array>;
}> {
  const fields = Fields.decode(bytes);
  const body = fields.bytes();
  const written = fields.list((item) => [item.text(), item.text(), item.bytes()] as const);
  const kinds = new Map(written.map(([kind, name]) => [name, kind]));
  const objects = new Map(written.map(([, name, content]) => [name, content]));
  const store: PageStore = {
    write: async () => "",
    async read(kind: PageKind, name) {
      const old = before.get(name);
      if (old) return old;
      if (kinds.get(name) !== kind) throw new RangeError(`no page ${name} of kind ${kind}`);
      return objects.get(name)!;
    },
    packName: () => "",
    putPack: async () => undefined,
  };
  return { state: await loadMail(body, store, COVERS), objects };
}

/** Golden files of older formats have short names of pages; stores never gave such. */
export function nameAsStores(state: MailState, objects: ReadonlyMap<string, Uint8Array>): Map<string, Uint8Array> {
  const named = (name: string): string => {
    const [, kind, number] = /^(page|pack)\/(\d+)$/.exec(name) ?? [];
    return number === undefined ? name : testName(kind as "page" | "pack", Number(number), "");
  };
  const { memberships, emails, rows, headers, texts, ids, references, packs, values } = state.pages;
  const { pages } = state;
  state.pages = { ...pages, covers: NOWHERE };
  state.adoptPages({
    ...pages,
    memberships: memberships.map(named),
    emails: emails.map(named),
    ...{ rows: rows.map(named), headers: headers.map(named), texts: texts.map(named), ids: ids.map(named) },
    values: values.map((value) => ({ ...value, name: named(value.name) })),
    references: references.map(({ entries, pages }) => ({
      entries,
      pages: pages.map(({ name, first }) => ({ name: named(name), first })),
    })),
    packs: packs.map((pack) => ({ ...pack, name: named(pack.name) })),
  });
  return new Map([...objects].map(([name, bytes]) => [named(name), bytes]));
}

/** Pages in memory. */
export function memoryPages(): PageStore {
  const pages = new Map<string, Uint8Array>();
  return {
    async write(_kind, content) {
      const name = testName("page", pages.size, "");
      pages.set(name, content);
      return name;
    },
    read: async (_kind, name) => pages.get(name)!,
    packName: () => testName("pack", 0, ""),
    putPack: async () => undefined,
  };
}

/** The source of a checkpoint in tests that look at no message. */
export const captureSource: EmailSource = {
  readRecord: async () => ({ ...emailAt(1), object: { name: "body/0", offset: 0, length: 1 } }),
  readHeader: async () => new Uint8Array(1),
  readObject: async () => new Uint8Array(1),
  improvedPages: () => new Set(),
  readTexts: () => Promise.reject(new EngineError("corrupt", "none was written")),
  readIds: () => Promise.reject(new EngineError("corrupt", "none was written")),
  threadFacts: (header) => threadFacts(header, pattern(32)),
  readValue: async () => new Uint8Array(2000),
};
