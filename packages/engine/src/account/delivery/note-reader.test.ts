import { expect, test } from "vitest";
import { signingKeyPair } from "../../crypto/index.ts";
import { Mail } from "../../mail/mail.ts";
import { MemoryPlace } from "../../storage/memory.ts";
import { clock, crypto, dropbox, mailText, makeAccount, platform, signer, stream } from "../../testing/account-kit.ts";
import { openLog } from "../open-log.ts";
import { encodeReport } from "../outbound/report.ts";
import { NoteReader, OPENED_AT_ONCE } from "./note-reader.ts";
import type { Notices } from "./notices.ts";

const STATUS =
  'Subject: failed\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n--b--\r\n';

/** A reader of an account's notes, and the names of those that are there. */
async function readerOf(
  place: MemoryPlace,
  { ring, prefix }: Awaited<ReturnType<typeof makeAccount>>,
  kem = crypto.kem,
) {
  const { bay } = await openLog(place.open(), prefix, platform, ring());
  const reader = new NoteReader({
    bay,
    mail: new Mail(bay, platform.now),
    notices: {} as Notices,
    store: place.open(),
    prefix,
    platform: { ...platform, crypto: { ...crypto, kem } },
    ring: ring(),
  });
  const names = (): string[] => {
    const all = [...place.objects.keys()].map((name) => name.slice(prefix.length));
    return all.filter((name) => name.startsWith("note/")).sort();
  };
  return { reader, names, end: () => bay.dispose() };
}

test("so many notes are opened at once, and no more", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const account = await makeAccount(place);
  const box = dropbox(place, account.user);
  for (let n = 0; n < 3 * OPENED_AT_ONCE; n++) await box.deliver(new Uint8Array(0), stream(mailText(n)));
  let [opening, most] = [0, 0];
  const kem: typeof crypto.kem = {
    ...crypto.kem,
    async decapsulate(...of) {
      most = Math.max(most, ++opening);
      await new Promise((resolve) => setTimeout(resolve, 1));
      opening--;
      return crypto.kem.decapsulate(...of);
    },
  };
  const { reader, names, end } = await readerOf(place, account, kem);
  expect((await reader.read(names())).map((note) => note?.note)).toEqual(names());
  expect(most).toBe(OPENED_AT_ONCE);
  await end();
});

test("what became of mail is told by notes of trusted hosts alone", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const account = await makeAccount(place);
  const { reader, names, end } = await readerOf(place, account);
  const known = new Set<string>();
  for (const [by, isTrusted] of [
    [signer, true],
    [signingKeyPair(new Uint8Array(32).fill(8)), false],
  ] as const) {
    const box = dropbox(place, account.user, by);
    await box.report(encodeReport({ id: "0".repeat(32), state: "sent", atMs: 1, recipients: [] }));
    await box.deliver(new Uint8Array(0), stream(STATUS));
    const fresh = names().filter((name) => !known.has(name));
    for (const name of fresh) known.add(name);
    const read = await reader.read(fresh);
    expect(read.map((note) => [note?.report !== undefined, note?.isStatus === true, note?.stream !== ""])).toEqual([
      [isTrusted, false, isTrusted],
      [false, isTrusted, isTrusted],
    ]);
  }
  await end();
});
