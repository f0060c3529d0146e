import { expect, test } from "vitest";
import { entryNumber, hexBytes } from "../../bay/entry.ts";
import { manifestNumber } from "../../bay/manifest.ts";
import type { Ring } from "../../crypto/index.ts";
import { pagesOf } from "../../mail/checkpoint/snapshot.ts";
import { MemoryPlace } from "../../storage/memory.ts";
import {
  clock,
  mailText,
  makeAccount,
  open,
  platform,
  signer,
  stream,
  textsOf,
  unlessConflict,
} from "../../testing/account-kit.ts";
import { openLog } from "../open-log.ts";
import { makeRestoredMark, RESTORED_NAME } from "../restored-mark.ts";
import { RECOVERED } from "./repair.ts";

/** Above the number of entries that a checkpoint is due after: each mail that is brought back is one. */
const MAILS = 1_100;
const MAILS_AT_ONCE = 50;

/** An account whose memberships are all lost, and the log that told them too. */
async function lossy(
  count: number,
  size: number,
): Promise<{ place: MemoryPlace; ring: () => Ring; prefix: string; texts: string[] }> {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, prefix } = await makeAccount(place);
  const account = await open(place, ring());
  const { id } = account.mail.state.inbox;
  const texts = Array.from({ length: count }, (_, n) => mailText(n, size));
  for (let n = 0; n < count; n += MAILS_AT_ONCE) {
    const some = texts.slice(n, n + MAILS_AT_ONCE);
    const prepared = await Promise.all(
      some.map((text) => account.prepare(stream(text), { mailbox: "INBOX", flags: [] })),
    );
    await account.addMany(prepared.map((one) => ({ prepared: one, mailboxes: [id] })));
  }
  // The first may be one that is under way, and cover less.
  await account.upkeep.checkpoint().catch(unlessConflict);
  await account.upkeep.checkpoint().catch(unlessConflict);
  const { covers } = account.mail.state.checkpoint!;
  await account.dispose();
  const { bay } = await openLog(place.open(), prefix, platform, ring());
  const { memberships } = pagesOf((await bay.readManifest(covers))!.manifest.body, covers);
  await bay.dispose();
  const isLost = (name: string): boolean =>
    (name.startsWith("log/") && entryNumber(name) <= covers) ||
    (name.startsWith("checkpoint/") && manifestNumber(name) < covers) ||
    memberships.includes(name);
  const names = [...place.objects.keys()].filter((name) => isLost(name.slice(prefix.length)));
  await place.open().delete(names);
  return { place, ring, prefix, texts };
}

test("a repair that is killed has not accepted what it did not bring back yet: the next one brings the rest", async () => {
  const { place, ring, texts } = await lossy(MAILS, 10);
  const account = await open(place, ring());
  let killed: ReturnType<MemoryPlace["snapshot"]> | undefined;
  account.onApplied(() => {
    if ((account.mail.state.findPath(RECOVERED)?.messages.length ?? 0) === MAILS - 20) killed ??= place.snapshot();
    // Upkeep that is due meanwhile waits.
    void account.upkeep.run();
  });
  expect((await account.repair()).recovered).toBe(MAILS);
  await account.dispose();
  place.rollback(killed!);
  const again = await open(place, ring());
  expect(again.barred).toBe("partial");
  await again.repair();
  expect([...new Set(await textsOf(again, RECOVERED))].sort()).toEqual([...texts].sort());
  await again.dispose();
});

test.each(["pack", "body"])(
  "where a %s can't be read for a moment the repair fails, and the next one brings all back",
  async (kind) => {
    const { place, ring, texts } = await lossy(5, kind === "pack" ? 10 : 10_000);
    const account = await open(place, ring());
    place.fault = (operation, name) =>
      operation === "get" && name.includes(`/${kind}/`) ? { kind: "unavailable" } : undefined;
    await expect(account.repair()).rejects.toMatchObject({ code: "unavailable" });
    expect(account.barred).toBe("partial");
    place.fault = () => undefined;
    expect((await account.repair()).recovered).toBe(5);
    expect(account.barred).toBeUndefined();
    expect((await textsOf(account, RECOVERED)).sort()).toEqual([...texts].sort());
    // Upkeep goes on.
    await account.upkeep.run();
    expect(account.mail.state.lastCondemn).toBeGreaterThan(0);
    await account.dispose();
  },
);

test("where a page is to be made anew and a body can't be read for a moment, nothing takes its place", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, prefix } = await makeAccount(place);
  const account = await open(place, ring());
  const text = mailText(1, 10_000);
  await account.append(
    account.mail.getMailbox("INBOX").id,
    await account.prepare(stream(text), { mailbox: "INBOX", flags: [] }),
  );
  await account.upkeep.checkpoint();
  await place.open().delete([prefix + account.mail.state.pages.rows[0]!]);
  await account.dispose();
  const again = await open(place, ring());
  place.fault = (operation, name) =>
    operation === "get" && name.includes("/body/") ? { kind: "unavailable" } : undefined;
  await expect(again.repair()).rejects.toMatchObject({ code: "unavailable" });
  place.fault = () => undefined;
  expect((await again.repair()).rebuilt).toBe(1);
  expect(await textsOf(again, "INBOX")).toEqual([text]);
  await again.dispose();
});

test("a restored account of which a part is lost is opened for reading; that it was restored is told once it is mended", async () => {
  const { place, ring, prefix, texts } = await lossy(5, 10);
  const mark = makeRestoredMark(signer, hexBytes(prefix.slice(0, -1)), new Uint8Array(16).fill(3));
  place.write(prefix + RESTORED_NAME, mark);
  const account = await open(place, ring());
  expect(account.barred).toBe("partial");
  expect((await account.repair()).recovered).toBe(texts.length);
  const { epoch } = account.mail.state;
  await account.dispose();
  for (let opening = 0; opening < 2; opening++) {
    const again = await open(place, ring());
    expect([again.barred, again.mail.state.epoch]).toEqual([undefined, epoch + 1]);
    await again.dispose();
  }
});
