import { expect, test } from "vitest";
import { signingKeyPair } from "../../crypto/index.ts";
import { Mail } from "../../mail/mail.ts";
import { MemoryPlace } from "../../storage/memory.ts";
import { clock, dropbox, makeAccount, platform, signer, stream } from "../../testing/account-kit.ts";
import { openLog } from "../open-log.ts";
import { encodeReport } from "../outbound/report.ts";
import { NoteReader } from "./note-reader.ts";
import type { Notices } from "./notices.ts";

const STATUS =
  'Subject: failed\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n--b--\r\n';

test("what became of mail is told by notes of trusted hosts alone", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, user, prefix } = await makeAccount(place);
  const { bay } = await openLog(place.open(), prefix, platform, ring());
  const mail = new Mail(bay, platform.now);
  const store = place.open();
  const reader = new NoteReader({ bay, mail, notices: {} as Notices, store, prefix, platform, ring: ring() });
  const known = new Set<string>();
  for (const [by, isTrusted] of [
    [signer, true],
    [signingKeyPair(new Uint8Array(32).fill(8)), false],
  ] as const) {
    const box = dropbox(place, user, by);
    await box.report(encodeReport({ id: "0".repeat(32), state: "sent", atMs: 1, recipients: [] }));
    await box.deliver(new Uint8Array(0), stream(STATUS));
    const names = [...place.objects.keys()].map((name) => name.slice(prefix.length));
    const fresh = names.filter((name) => name.startsWith("note/") && !known.has(name)).sort();
    for (const name of fresh) known.add(name);
    const read = await reader.read(fresh);
    expect(read.map((note) => [note?.report !== undefined, note?.isStatus === true, note?.stream !== ""])).toEqual([
      [isTrusted, false, isTrusted],
      [false, isTrusted, isTrusted],
    ]);
  }
  await bay.dispose();
});
