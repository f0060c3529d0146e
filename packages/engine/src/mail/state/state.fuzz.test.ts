import { fuzz } from "@restante/mime/fuzz-kit";
import { expect, test } from "vitest";
import { ringSealer } from "../../account/keys/sealer.ts";
import { manifestNumber, openManifest } from "../../bay/manifest.ts";
import { position } from "../../bay/position.ts";
import type { PageStore } from "../../bay/snapshots.ts";
import type { WriterId } from "../../bay/writer.ts";
import { EngineError } from "../../errors.ts";
import { MemoryPlace } from "../../storage/memory.ts";
import { clock, crypto, dropbox, mailText, makeAccount, open, stream, visible } from "../../testing/account-kit.ts";
import { applyBlock } from "../apply/apply.ts";
import { loadMail } from "../checkpoint/snapshot.ts";
import { asModSeq } from "../numbers.ts";
import type { NewEmail } from "../ops/email.ts";
import { INBOX_ID, type MailboxId } from "../ops/names.ts";
import type { Op } from "../ops/op.ts";
import { decodeOp, encodeOp, NewerLog } from "../ops/op-codec.ts";
import { MailState } from "./state.ts";

/**
 * Content that a broken writer puts under good seals, taken further than its decoder: ops into the state, and a checkpoint's
 * pages into one.
 */
/** Inputs a test; a longer run sets more. */
const RUNS = Number(process.env.RESTANTE_FUZZ_RUNS ?? 2000);
const SEED = Number(process.env.RESTANTE_TEST_SEED ?? Date.now() % 1_000_000);
const TIME_MAX_MS = 24 * 60 * 60_000;
const BYTES_MAX = 10_000;
/** Ops applied to one state. */
const OPS_OF_A_STATE = 200;
process.stdout.write(`seed=${SEED}\n`);

const writer = "0102030405060708" as WriterId;
const pattern = (length: number, seed: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * seed) & 255);
const email = (seed: number): NewEmail => ({
  id: pattern(16, seed),
  key: pattern(32, 1),
  size: 1234,
  place: { in: "entry", attachment: 0 },
  receivedMs: 1_700_000_000_123,
  receivedZone: 60,
  sentMs: 1_699_999_999_000,
  sentZone: -330,
  thread: pattern(8, seed),
  ids: pattern(16, seed),
  subject: pattern(8, seed),
  summary: pattern(40, 1),
  header: pattern(30, 1),
});
const places = [{ mailbox: INBOX_ID, flags: ["\\Seen", "$Label1"] }];
const run = { writer, first: { sequence: 1, index: 0 }, last: { sequence: 900, index: 3 } };
const other = "0102030405060708-2-0" as MailboxId;
const begin: Op = { kind: "begin", seconds: 1, folders: [{ path: "INBOX" }, { path: "Sent", specialUse: "\\Sent" }] };
const OPS: readonly Op[] = [
  begin,
  { kind: "create", path: "a/b", seconds: 2 },
  { kind: "rename", paths: [{ mailbox: other, path: "y" }] },
  { kind: "rename-inbox", path: "z", seconds: 3 },
  { kind: "delete", mailbox: other },
  { kind: "subscribe", path: "x", on: true },
  { kind: "add", emails: [3, 5].map((seed) => ({ email: email(seed), places })), since: position(1), seconds: 5 },
  {
    kind: "add",
    emails: [{ email: email(7), places: [...places, { mailbox: other, flags: [] }] }],
    since: position(1),
    seconds: 5,
  },
  {
    kind: "take-in",
    notes: [
      {
        note: "note/1",
        places,
        email: { ...email(9), place: { in: "note", name: "note/1", offset: 7, length: 8 } },
        stream: "s",
        counter: 9,
        givenUp: [1, 2],
      },
    ],
    listed: position(3),
    seconds: 6,
  },
  {
    kind: "flags",
    mailbox: INBOX_ID,
    targets: [run],
    change: { mode: "add", flags: ["\\Deleted"] },
    unchangedSince: asModSeq(77),
  },
  { kind: "copy", mailbox: INBOX_ID, targets: [run], to: INBOX_ID, seconds: 7 },
  { kind: "copy", mailbox: INBOX_ID, targets: [run], to: INBOX_ID, seconds: 7, inParts: true },
  {
    kind: "change",
    items: [
      {
        targets: [{ mailbox: INBOX_ID, targets: [run] }],
        add: ["\\Deleted", "x"],
        remove: ["$Label1"],
        join: [other],
        leave: "all",
      },
    ],
    seconds: 7,
    ifState: { type: "email", epoch: 0, modSeq: asModSeq(9) },
  },
  {
    kind: "folders",
    steps: [
      { do: "create", path: "q", type: "mail", role: "\\Sent", sortOrder: 1, subscribed: true },
      { do: "set", mailbox: other, path: "a/c", role: "none", sortOrder: 3, subscribed: true },
      { do: "destroy", mailbox: other, ifEmpty: false },
    ],
    seconds: 8,
  },
  {
    kind: "replace",
    mailbox: INBOX_ID,
    target: [run],
    email: email(11),
    add: [],
    remove: [],
    since: position(1),
    seconds: 9,
  },
  {
    kind: "record",
    records: [
      { type: "t", id: "i", value: pattern(2000, 3) },
      { type: "t", id: "j", value: undefined },
    ],
  },
  { kind: "requires", version: 1 },
  { kind: "move", mailbox: INBOX_ID, targets: [run], to: INBOX_ID, seconds: 8 },
  { kind: "expunge", mailbox: INBOX_ID, targets: [run] },
  { kind: "checkpoint", covers: position(10), manifest: pattern(32, 1), emailRows: 1, startedAt: position(9) },
  { kind: "condemn", names: ["body/a"], listed: position(8) },
  { kind: "forget", names: ["body/a"], notes: ["note/1"], trimmed: position(7) },
  { kind: "slots", names: ["slot/password-000001"], upon: position(2) },
  { kind: "raise", seconds: 12 },
];

test(
  "any op that is read is applied, or refused in its outcome",
  async () => {
    let state = new MailState();
    let entry = 0;
    let applied = 0;
    const apply = (op: Op): void => {
      entry++;
      applyBlock(state, [
        { op, writer, sequence: entry, entry: position(entry), place: 0, knows: () => true, judged: false },
      ]);
    };
    await fuzz({ seed: SEED, runs: RUNS, samples: OPS.map(encodeOp), tokens: [], bytesMax: BYTES_MAX }, (bytes) => {
      if (entry % OPS_OF_A_STATE === 0) {
        state = new MailState();
        entry = 0;
        apply(begin);
      }
      let op: Op;
      try {
        op = decodeOp(bytes);
      } catch (error) {
        if (!(error instanceof RangeError || error instanceof NewerLog)) throw error;
        return;
      }
      apply(op);
      applied++;
    });
    visible(state);
    expect(applied).toBeGreaterThan(RUNS / 20);
  },
  TIME_MAX_MS,
);

test(
  "a checkpoint of damaged content is loaded or refused",
  async () => {
    const place = new MemoryPlace(() => clock.now++);
    const { ring, user, prefix } = await makeAccount(place);
    const box = dropbox(place, user);
    const account = await open(place, ring());
    for (let n = 0; n < 5; n++) await box.deliver(new Uint8Array(0), stream(mailText(n)));
    await account.refresh();
    await account.upkeep.checkpoint();
    const expected = visible(account.mail.state);
    await account.dispose();
    const sealer = ringSealer(crypto, ring());
    const [name, { bytes: sealed }] = [...place.objects].find(([key]) => key.startsWith(`${prefix}checkpoint/`))!;
    const covers = manifestNumber(name);
    const { body } = openManifest(sealer, covers, sealed);
    const pages = new Map<string, Uint8Array>();
    const read: PageStore["read"] = async (kind, page) => {
      const known =
        pages.get(page) ?? sealer.open(kind, page, place.objects.get(prefix + page)?.bytes ?? new Uint8Array(0));
      pages.set(page, known);
      return known;
    };
    const load = (from: Uint8Array, readPage: PageStore["read"]) =>
      loadMail(from, { read: readPage } as PageStore, covers);
    expect(visible(await load(body, read))).toEqual(expected);

    const samples = [body, ...pages.values()];
    await fuzz({ seed: SEED + 1, runs: RUNS, samples, tokens: [], bytesMax: BYTES_MAX }, async (bytes, random) => {
      const damaged = random.pick([...pages.keys(), ""]);
      try {
        const state = await load(damaged === "" ? bytes : body, async (kind, page) =>
          page === damaged ? bytes : read(kind, page),
        );
        visible(state);
      } catch (error) {
        // A page that the damage names is in no store.
        if (!(error instanceof RangeError || error instanceof EngineError)) throw error;
      }
    });
  },
  TIME_MAX_MS,
);
