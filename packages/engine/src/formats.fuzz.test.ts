import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fuzz } from "@restante/mime/fuzz-kit";
import { encode } from "cborg";
import { expect, test } from "vitest";
import { decodeVacation } from "./account/mandates/vacation.ts";
import { decodeReport } from "./account/outbound/report.ts";
import { decodeSubmission } from "./account/outbound/submission.ts";
import { decodePushSubscription, encodePushSubscription } from "./account/push/push-subscription.ts";
import { attachmentSpans, decodeHead, splitEntry } from "./bay/entry.ts";
import type { Sealer } from "./bay/machine.ts";
import { openManifest, sealManifest } from "./bay/manifest.ts";
import { position } from "./bay/position.ts";
import type { WriterId } from "./bay/writer.ts";
import {
  bodyContext,
  CryptoError,
  concat,
  currentVersion,
  decodeRecipientRecord,
  decodeRing,
  hash,
  isWeakSlot,
  makeRing,
  openNote,
  openObject,
  openPreamble,
  openRequest,
  openSlot,
  openSlotLabel,
  preambleLength,
  purposeKey,
  type Ring,
  readAccountFacts,
  ready,
  recipientRecord,
  sealObject,
  utf8,
  wrapForOwner,
} from "./crypto/index.ts";
import { readPack } from "./mail/checkpoint/pack.ts";
import { decodeDelivered } from "./mail/contents/delivered.ts";
import { decodeHeaderPage, decodeRowPage, encodeHeaderPage, encodeRowPage } from "./mail/contents/email-page.ts";
import { decodeHeader } from "./mail/contents/header.ts";
import { decodeSummary, previewOf } from "./mail/contents/summary.ts";
import { decodeOp, NewerLog } from "./mail/ops/op-codec.ts";
import { decodeRuns, encodeRuns } from "./mail/ops/targets.ts";
import { findEntry } from "./mail/state/reference-index.ts";
import { fixedPlatform, GOLDEN, pattern } from "./testing/golden-kit.ts";

/**
 * Damaged bytes as a hostile store hands them over, and damaged content under good seals as a broken writer makes it. Both
 * are opened, or refused by the error that the reader documents.
 */
/** Inputs a format; a longer run sets more. */
const RUNS = Number(process.env.RESTANTE_FUZZ_RUNS ?? 1000);
/** Formats whose reading costs a key exchange or a signature get a share of that. */
const COSTLY_SHARE = 4;
const SEED = Number(process.env.RESTANTE_TEST_SEED ?? Date.now() % 1_000_000);
const TIME_MAX_MS = 24 * 60 * 60_000;
const BYTES_MAX = 80_000;
process.stdout.write(`seed=${SEED}\n`);

// Keys are made while tests are collected.
await ready;

const platform = fixedPlatform();
const ring: Ring = makeRing(platform);
const golden = new Map(readdirSync(GOLDEN).map((name) => [name, new Uint8Array(readFileSync(join(GOLDEN, name)))]));

/** CBOR's own: heads of items with odd lengths. */
const CBOR = [
  ...[
    [0x80],
    [0x81],
    [0x9f],
    [0xbf],
    [0xff],
    [0xf6],
    [0xf5],
    [0xf9, 0x7e, 0],
    [0xfb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0],
    [0x40],
  ],
  ...[
    [0x60],
    [0x1b, 255, 255, 255, 255, 255, 255, 255, 255],
    [0x9b, 0, 0, 0, 1, 0, 0, 0, 0],
    [0x5a, 255, 255, 255, 255],
  ],
  ...[[0xa1, 0, 0], [0xc0, 0], [0x38, 99], [0x20], [0x7a, 127, 255, 255, 255], [0x98, 200], [0x81, 0x81, 0x81, 0x81]],
].map((item) => Uint8Array.from(item));

type Read = (bytes: Uint8Array) => unknown;
interface Format {
  readonly samples: readonly Uint8Array[];
  readonly read: Read;
  /** The errors that the reader documents. */
  readonly refusals: readonly (new (
    ...args: never[]
  ) => Error)[];
  readonly costly?: boolean;
}

const password = { kind: "password", secret: utf8("secret"), pepper: pattern(32) } as const;
const app = { kind: "app", secret: pattern(16) } as const;
const recovery = { kind: "recovery", secret: pattern(16) } as const;
const sealed = {
  key: pattern(32, 7),
  keyVersion: 1,
  account: pattern(16, 9),
  kind: "entry",
  id: "7",
  platform,
} as const;
/** Seals by doing nothing: what a reader sees that opened a good seal. */
const unsealed: Sealer = { seal: (_, __, content) => content, open: (_, __, bytes) => bytes, hash };

function readEntry(bytes: Uint8Array): void {
  const sealedHead = splitEntry(bytes);
  const head = decodeHead(sealedHead);
  attachmentSpans(head, sealedHead.length, bytes.length);
  for (const op of head.ops) decodeOp(op.bytes);
}

const REQUEST_PLACE = { account: pattern(16, 3), name: "outbound/request/1" };

/** As they lie in the store. */
const STORED: Readonly<Record<string, Format>> = {
  "sealed-object-1": { ...stored("sealed-object-1", (bytes) => openObject(sealed, bytes)), costly: true },
  "recipient-record-1": stored("recipient-record-1", decodeRecipientRecord),
  "recipient-record-2": stored("recipient-record-2", decodeRecipientRecord),
  "password-slot-1": stored("password-slot-1", async (bytes) => {
    await openSlot(platform, "slot/password-000001", bytes, password);
    isWeakSlot(bytes);
  }),
  "app-slot-2": stored("app-slot-2", async (bytes) => {
    await openSlot(platform, APP_SLOT, bytes, app);
    openSlotLabel(platform, APP_SLOT, bytes, ring);
  }),
  "recovery-slot-1": stored("recovery-slot-1", (bytes) => openSlot(platform, "slot/recovery-1", bytes, recovery)),
  "note-1": { ...stored("note-1", (bytes) => openNote(platform, ring, "note/1", bytes, [])), costly: true },
  "body-1": stored("body-1", readBody),
  "delivered-body-1": {
    ...stored("delivered-body-1", (bytes) => openPreamble(platform, ring, "b", bytes)),
    costly: true,
  },
  "answer-request-1": {
    ...stored("answer-request-1", (bytes) => openRequest(platform, pattern(32), REQUEST_PLACE, bytes)),
    costly: true,
  },
  "account-facts-1": {
    ...stored("account-facts-1", (bytes) => readAccountFacts(recipientRecord(ring), bytes)),
    costly: true,
  },
  pack: {
    // Its form, a count of one, an id of 16 octets, a length of two, and the body.
    samples: [Uint8Array.from([1, 0, 0, 0, 1, ...new Uint8Array(16), 0, 0, 0, 2, 8, 9])],
    read: readPack,
    refusals: [RangeError],
  },
};

function stored(name: string, read: Read): Format {
  return { samples: [golden.get(name)!], read, refusals: [CryptoError] };
}

async function readBody(bytes: Uint8Array): Promise<void> {
  const { key, mailbox, flags, receivedMs } = await openPreamble(platform, ring, "b", bytes);
  expect([key.length, typeof mailbox, Array.isArray(flags), typeof receivedMs]).toEqual([32, "string", true, "number"]);
  const content = bytes.slice(preambleLength(bytes));
  openObject(bodyContext(platform, ring.account, "b", key), content);
}

const APP_SLOT = "slot/app-01234567";
const appSlot = golden.get("app-slot-2")!;
/** Its head, the length of the sealed ring, and that. */
const slotBeforeLabel = appSlot.subarray(0, 91 + 4 + new DataView(appSlot.buffer, appSlot.byteOffset).getUint32(91));

function sealUnderRing(
  purpose: "log" | "body",
  kind: "slot-label" | "body-key",
  id: string,
  bytes: Uint8Array,
): Uint8Array {
  const { version } = currentVersion(ring);
  const key = purposeKey(ring, version, purpose);
  return sealObject({ platform, key, keyVersion: version, account: ring.account, kind, id }, bytes);
}

const writer = "0102030405060708" as WriterId;
const runs = [
  { writer, first: { sequence: 5, index: 0 }, last: { sequence: 900, index: 3 } },
  { writer, first: { sequence: 901, index: 1 }, last: { sequence: 901, index: 1 } },
];
const record = {
  id: pattern(16),
  key: pattern(32),
  object: { name: "body/x", offset: 1, length: 2 },
  summary: pattern(9),
};
const SUBSCRIPTION = {
  ...{ address: "ada@example.org", slot: undefined, client: "phone", url: "https://push.example.net/a" },
  ...{ keys: { p256dh: pattern(65), auth: pattern(16) }, code: "0", isVerified: true, madeMs: 1, expiresMs: 2 },
  types: ["Email"],
};
const hashes = { firstPage: 1, pages: ["page/a"], sparse: pattern(16) };
const entryHead = splitEntry(golden.get("entry-1")!);
const ops = decodeHead(entryHead).ops.map(({ bytes }) => bytes);

/** Formats of sealed content. */
const CONTENTS: Readonly<Record<string, Format>> = {
  "entry-1": content([golden.get("entry-1")!], readEntry),
  "entry's head": content([entryHead], (bytes) => decodeHead(bytes).ops.map((op) => decodeOp(op.bytes))),
  op: content(ops, decodeOp),
  runs: content([encodeRuns(runs)], decodeRuns),
  "delivered-1": content([golden.get("delivered-1")!], decodeDelivered),
  "report-2": content([golden.get("report-2")!], decodeReport),
  "submission-1": content([golden.get("submission-1")!], (bytes) => decodeSubmission("0".repeat(32), bytes)),
  "push subscription": content([encodePushSubscription(SUBSCRIPTION)], decodePushSubscription),
  "vacation-1": content([golden.get("vacation-1")!], decodeVacation),
  "summary-1": content([golden.get("summary-1")!], decodeSummary),
  "summary-2": content([golden.get("summary-2")!], (bytes) => previewOf(decodeSummary(bytes))),
  header: content([Uint8Array.from([0, 1, 2])], decodeHeader),
  "row page": content([encodeRowPage([record, record])], decodeRowPage),
  "header page": content([encodeHeaderPage([pattern(5), pattern(9)])], decodeHeaderPage),
  "reference page": content([pattern(120)], (bytes) => findEntry(bytes, pattern(8))),
  manifest: content(
    [
      sealManifest(unsealed, {
        covers: position(7),
        hash: pattern(32),
        writers: [[writer, 3]],
        hashes,
        body: pattern(20),
      }),
    ],
    (bytes) => openManifest(unsealed, position(7), bytes),
  ),
  "ring-1": { ...content([golden.get("ring-1")!], decodeRing), refusals: [CryptoError], costly: true },
  "label in a slot": {
    ...content([encode(["Phone", 1_700_000_000_000])], (bytes) =>
      openSlotLabel(
        platform,
        APP_SLOT,
        concat(slotBeforeLabel, sealUnderRing("log", "slot-label", APP_SLOT, bytes)),
        ring,
      ),
    ),
    refusals: [CryptoError],
  },
  "box of a body": {
    ...content([encode([pattern(32), 5, "Sent", ["\\Seen"]])], (bytes) => {
      const box = sealUnderRing("body", "body-key", "b", bytes);
      const head = wrapForOwner(platform, ring, "b", { key: pattern(32), receivedMs: 0, mailbox: "", flags: [] }).slice(
        0,
        8,
      );
      new DataView(head.buffer).setUint32(4, box.length);
      const key = pattern(32);
      return readBody(concat(head, box, sealObject(bodyContext(platform, ring.account, "b", key), pattern(9))));
    }),
    refusals: [CryptoError],
  },
};

function content(samples: readonly Uint8Array[], read: Read): Format {
  return { samples, read, refusals: [RangeError, NewerLog] };
}

async function check({ samples, read, refusals, costly = false }: Format, seed: number): Promise<void> {
  // A good one is read.
  for (const sample of samples) await read(sample);
  const count = costly ? Math.ceil(RUNS / COSTLY_SHARE) : RUNS;
  await fuzz({ seed, runs: count, samples, tokens: CBOR, bytesMax: BYTES_MAX }, async (bytes) => {
    try {
      await read(bytes);
    } catch (error) {
      if (!refusals.some((refusal) => error instanceof refusal)) throw error;
    }
  });
}

test.each(Object.entries(STORED))(
  "stored bytes of %s are opened or refused",
  (_, format) => check(format, SEED),
  TIME_MAX_MS,
);

test.each(Object.entries(CONTENTS))(
  "content of %s under a good seal is read or refused",
  (_, format) => check(format, SEED + 1),
  TIME_MAX_MS,
);
