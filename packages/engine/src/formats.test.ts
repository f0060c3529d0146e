import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { makeEndMark, openEndMark } from "./account/end-mark.ts";
import { ringSealer } from "./account/keys/sealer.ts";
import { attachmentSpans, decodeHead, encodeHead, hexText, joinEntry, splitEntry } from "./bay/entry.ts";
import { openManifest, sealManifest } from "./bay/manifest.ts";
import type { WriterId } from "./bay/writer.ts";
import {
  bodyContext,
  type CryptoPlatform,
  concat,
  decodePublicRecord,
  encapsulate,
  encodePublicRecord,
  encodeRing,
  hash,
  hostId,
  makeNote,
  makeRing,
  makeSlot,
  openNote,
  openObject,
  openPreamble,
  openSlot,
  openSlotLabel,
  preambleLength,
  publicRecord,
  type Ring,
  ready,
  sealObject,
  signingKeyPair,
  utf8,
  wrapForDelivery,
  wrapForOwner,
} from "./crypto/index.ts";
import { readPack } from "./mail/checkpoint/pack.ts";
import { encodeState } from "./mail/checkpoint/state-fields.ts";
import { decodeDelivered, encodeDelivered } from "./mail/contents/delivered.ts";
import { decodeHeaderPage, decodeRowPage } from "./mail/contents/email-page.ts";
import { decodeSummary, encodeSummary } from "./mail/contents/summary.ts";
import { INBOX_ID } from "./mail/ops/names.ts";
import { decodeOp, encodeOp, type NewEmail, type Op } from "./mail/ops/op.ts";
import { findEntry } from "./mail/state/reference-index.ts";
import { visible } from "./testing/account-kit.ts";
import { captureWhole, emailAt, firstWith, goldenState, loadWhole } from "./testing/checkpoint-kit.ts";
import { fixedPlatform, GOLDEN, pattern } from "./testing/golden-kit.ts";

/**
 * Stored shapes, made with fixed randomness. `golden/` holds bytes as they were first written: they are opened for ever.
 * What is made today must be those same bytes: a shape that changes needs a new format version, a new name here, and a
 * golden file of its own. RESTANTE_WRITE_GOLDEN=1 writes the files of shapes that have none yet.
 */

// Keys are made while tests are collected.
await ready;

const email: NewEmail = {
  id: pattern(16),
  key: pattern(32),
  size: 1234,
  place: { in: "entry", attachment: 0 },
  receivedMs: 1_700_000_000_123,
  receivedZone: 60,
  sentMs: 1_699_999_999_000,
  sentZone: -330,
  thread: pattern(8),
  ids: pattern(16, 3),
  summary: pattern(40),
  header: pattern(30),
  flags: ["\\Seen", "$Label1"],
};
const writer = "0102030405060708" as WriterId;
const run = { writer, first: { sequence: 5, index: 0 }, last: { sequence: 900, index: 3 } };
const OPS: readonly Op[] = [
  { kind: "begin", seconds: 1, folders: [{ path: "INBOX" }, { path: "Sent", specialUse: "\\Sent" }] },
  { kind: "create", path: "Größe/x", seconds: 2 },
  { kind: "rename", paths: [{ mailbox: INBOX_ID, path: "y" }] },
  { kind: "rename-inbox", path: "z", seconds: 3 },
  { kind: "delete", mailbox: INBOX_ID },
  { kind: "subscribe", path: "x", on: true },
  { kind: "append", mailbox: INBOX_ID, emails: [email], since: 4, seconds: 5 },
  {
    kind: "take-in",
    notes: [
      {
        note: "note/1",
        mailbox: INBOX_ID,
        email: { ...email, place: { in: "note", name: "note/1", offset: 7, length: 8 } },
        stream: "s",
        counter: 9,
        givenUp: [1, 2],
      },
    ],
    listed: 3,
    seconds: 6,
  },
  {
    kind: "flags",
    mailbox: INBOX_ID,
    targets: [run],
    change: { mode: "replace", flags: ["\\Flagged"] },
    unchangedSince: 77,
  },
  { kind: "copy", mailbox: INBOX_ID, targets: [run], to: INBOX_ID, seconds: 7 },
  { kind: "move", mailbox: INBOX_ID, targets: [{ ...run, last: run.first }], to: INBOX_ID, seconds: 8 },
  { kind: "expunge", mailbox: INBOX_ID, targets: [] },
  { kind: "checkpoint", covers: 10, manifest: pattern(32), emailRows: 11, startedAt: 9 },
  { kind: "condemn", names: ["body/a"], listed: 8 },
  { kind: "forget", names: ["body/a"], notes: ["note/1"], trimmed: 7 },
  { kind: "slots", names: ["slot/password-000001"], upon: 2 },
  { kind: "raise", seconds: 12 },
  { kind: "nop" },
];
const delivered = { ...email, bodyId: pattern(16, 5), objectLength: 0 };
const summary = {
  envelope: utf8("(NIL)"),
  bodyStructure: utf8('("text" "plain" NIL NIL NIL "7bit" 3 1)'),
  offsets: pattern(5),
  preview: "Größe",
  headerWhole: true,
};

interface Shape {
  /** Makes the bytes; the platform and ring are fresh and fixed. Of a shape that is made no more: absent. */
  make?(platform: CryptoPlatform, ring: Ring): Uint8Array | Promise<Uint8Array>;
  /** Opens bytes that some release wrote, and throws if they don't say what they should. */
  open(bytes: Uint8Array, platform: CryptoPlatform, ring: Ring): void | Promise<void>;
}
const sealed = { key: pattern(32, 7), keyVersion: 1, account: pattern(16, 9), kind: "entry", id: "7" } as const;
const salvage = { key: pattern(32), receivedMs: 5, mailbox: "Sent", flags: ["\\Seen"] };
const signer = signingKeyPair(pattern(32, 11));

const SHAPES: Readonly<Record<string, Shape>> = {
  "sealed-object-1": {
    make: (platform) => sealObject({ ...sealed, platform }, pattern(70_000, 3)),
    open: (bytes, platform) => expect(openObject({ ...sealed, platform }, bytes)).toEqual(pattern(70_000, 3)),
  },
  "ring-1": {
    make: (_, ring) => encodeRing(ring),
    open: (bytes, _, ring) => expect(encodeRing(ring)).toEqual(bytes),
  },
  "public-record-1": {
    make: (_, ring) => encodePublicRecord(publicRecord(ring)),
    open: (bytes, _, ring) => expect(decodePublicRecord(bytes)).toEqual(publicRecord(ring)),
  },
  "password-slot-1": {
    make: (platform, ring) =>
      makeSlot(
        platform,
        "slot/password-000001",
        { kind: "password", secret: utf8("secret"), pepper: pattern(32) },
        ring,
      ),
    open: async (bytes, platform, ring) => {
      const opened = await openSlot(platform, "slot/password-000001", bytes, {
        kind: "password",
        secret: utf8("secret"),
        pepper: pattern(32),
      });
      expect(opened?.account).toEqual(ring.account);
    },
  },
  "app-slot-2": {
    make: (platform, ring) =>
      makeSlot(platform, "slot/app-01234567", { kind: "app", secret: pattern(16) }, ring, {
        label: { text: "Größe's phone", madeMs: 1_700_000_000_000 },
      }),
    open: async (bytes, platform, ring) => {
      const opened = await openSlot(platform, "slot/app-01234567", bytes, { kind: "app", secret: pattern(16) });
      expect(opened?.account).toEqual(ring.account);
      const label = openSlotLabel(platform, "slot/app-01234567", bytes, ring);
      expect(label).toEqual({ text: "Größe's phone", madeMs: 1_700_000_000_000 });
    },
  },
  "recovery-slot-1": {
    make: (platform, ring) => makeSlot(platform, "slot/recovery-1", { kind: "recovery", secret: pattern(16) }, ring),
    open: async (bytes, platform, ring) => {
      const opened = await openSlot(platform, "slot/recovery-1", bytes, { kind: "recovery", secret: pattern(16) });
      expect(opened?.account).toEqual(ring.account);
    },
  },
  "note-1": {
    make: (platform, ring) => {
      const to = publicRecord(ring);
      const origin = { host: hostId(signer.publicKey), stream: pattern(16), counter: 3, givenUp: [1] };
      return makeNote(
        platform,
        to,
        { name: "note/1", kem: encapsulate(platform, to), origin, summary: pattern(99) },
        signer,
      );
    },
    open: (bytes, platform, ring) =>
      expect(openNote(platform, ring, "note/1", bytes, [signer.publicKey])).toMatchObject({
        verified: true,
        summary: pattern(99),
      }),
  },
  "body-1": {
    make: (platform, ring) =>
      concat(
        wrapForOwner(platform, ring, "b", salvage),
        sealObject(bodyContext(platform, ring.account, "b", salvage.key), pattern(600)),
      ),
    open: (bytes, platform, ring) => {
      expect(openPreamble(platform, ring, "b", bytes)).toEqual(salvage);
      const content = bytes.slice(preambleLength(bytes));
      expect(openObject(bodyContext(platform, ring.account, "b", salvage.key), content)).toEqual(pattern(600));
    },
  },
  "delivered-body-1": {
    make: (platform, ring) =>
      wrapForDelivery(platform, publicRecord(ring), encapsulate(platform, publicRecord(ring)), "b", salvage),
    open: (bytes, platform, ring) => expect(openPreamble(platform, ring, "b", bytes)).toEqual(salvage),
  },
  "entry-1": {
    make: () => {
      const head = encodeHead({
        writer,
        sequence: 4,
        previous: pattern(32),
        deps: 6,
        ops: OPS.map((op) => ({ bytes: encodeOp(op), attachmentLengths: [3] })),
      });
      return joinEntry(
        head,
        OPS.map(() => pattern(3)),
      );
    },
    open: (bytes) => {
      const sealedHead = splitEntry(bytes);
      const head = decodeHead(sealedHead);
      expect(head).toMatchObject({ writer, sequence: 4, deps: 6 });
      expect(head.ops.map((op) => decodeOp(op.bytes))).toEqual(OPS);
      expect(attachmentSpans(head, sealedHead.length, bytes.length)).toHaveLength(OPS.length);
    },
  },
  "log-end-2": {
    make: (_, ring) => makeEndMark(signer, ring.account, "deleted", 7, pattern(90)),
    open: (bytes, _, ring) =>
      expect(openEndMark(bytes, ring.account, [signer.publicKey])).toEqual({
        reason: "deleted",
        entry: 7,
        previous: hash(pattern(90)),
      }),
  },
  "delivered-1": {
    make: () => encodeDelivered(delivered),
    open: (bytes) => expect(delivered).toMatchObject(decodeDelivered(bytes)),
  },
  // The manifest's body, column, row, header and reference pages and packs: no shape of theirs changes unseen.
  "checkpoint-1": {
    make: () => captureWhole(goldenState()),
    async open(bytes) {
      const { state, objects } = await loadWhole(bytes);
      const wanted = goldenState();
      expect(visible(state)).toEqual(visible(wanted));
      expect(encodeState(state)).toEqual(encodeState(wanted));
      const { rows, headers, references, packs } = state.pages;
      const records = rows.flatMap((name) => decodeRowPage(objects.get(name)!));
      expect(records.map(({ id }) => id)).toEqual(
        Array.from({ length: wanted.emails.rows }, (_, row) => wanted.emails.columns.id.getId(row)),
      );
      expect(headers.flatMap((name) => decodeHeaderPage(objects.get(name)!))).toHaveLength(records.length);
      const [page] = references.flatMap(({ pages }) => pages.map(({ name }) => objects.get(name)!));
      for (let row = 0; row < wanted.emails.rows; row++)
        expect(findEntry(page!, emailAt(row).ids)).toBe(firstWith(emailAt(row).ids));
      const packed = packs.flatMap(({ name }) => readPack(objects.get(name)!).map((body) => ({ ...body, name })));
      for (const { id, object } of records.filter(({ object }) => object.name.startsWith("pack/")))
        expect(packed).toContainEqual({ id, ...object });
      expect(packed.length).toBeGreaterThan(10);
    },
  },
  "manifest-1": {
    make: (_, ring) =>
      sealManifest(ringSealer(fixedPlatform(), ring), {
        covers: 7,
        hash: pattern(32),
        writers: [[writer, 3]],
        body: pattern(99),
      }),
    open: (bytes, platform, ring) =>
      expect(openManifest(ringSealer(platform, ring), 7, bytes)).toEqual({
        covers: 7,
        hash: pattern(32),
        writers: [[writer, 3]],
        body: pattern(99),
      }),
  },
  "summary-1": {
    make: () => encodeSummary(summary),
    open: (bytes) => expect(decodeSummary(bytes)).toEqual(summary),
  },
};

describe.each(Object.entries(SHAPES))("%s", (name, shape) => {
  const file = join(GOLDEN, name);
  const fixed = (): readonly [CryptoPlatform, Ring] => {
    const platform = fixedPlatform();
    return [platform, makeRing(platform)];
  };

  test("opens as it was first written", async () => {
    if (!existsSync(file) && process.env.RESTANTE_WRITE_GOLDEN === "1")
      writeFileSync(file, await shape.make!(...fixed()));
    await shape.open(new Uint8Array(readFileSync(file)), ...fixed());
  });

  test.runIf(shape.make)("is still written so: another shape needs another version", async () => {
    expect(hexText(hash(await shape.make!(...fixed())))).toBe(hexText(hash(new Uint8Array(readFileSync(file)))));
  });
});

test("no prefix of an op, nor an op with a byte changed, is taken for something it can't be", () => {
  for (const op of OPS) {
    const bytes = encodeOp(op);
    for (let length = 0; length < bytes.length; length++)
      expect(() => decodeOp(bytes.subarray(0, length))).toThrow(RangeError);
    expect(() => decodeOp(concat(bytes, new Uint8Array(1)))).toThrow(RangeError);
    for (let at = 0; at < bytes.length; at++) {
      const bad = bytes.slice();
      bad[at]! ^= 0x41;
      try {
        decodeOp(bad);
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }
  }
});
