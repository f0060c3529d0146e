import { expect, test } from "vitest";
import { openView } from "../../mail/mailbox-view.ts";
import { MemoryPlace } from "../../storage/memory.ts";
import { clock, mailText, makeAccount, open, platform, stream } from "../../testing/account-kit.ts";
import { settle } from "../../testing/hand-time.ts";
import type { Account } from "../account.ts";
import { Attendances, type News } from "../sign-in/attendances.ts";
import { QuietEntries } from "./quiet-entries.ts";

const HOUR_MS = 3_600_000;

const append = async (account: Account, n: number): Promise<void> => {
  await account.append(
    account.mail.getMailbox("INBOX").id,
    await account.prepare(stream(mailText(n)), { mailbox: "INBOX", flags: [] }),
  );
};

/** An account that is open here, and somebody of this process who hears of it by names alone. */
async function attended() {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, prefix } = await makeAccount(place);
  const quietEntries = new QuietEntries();
  const account = await open(place, ring(), { quietEntries });
  const attendances = new Attendances({ store: place.open(), platform: { ...platform, quietEntries } });
  const told: News[] = [];
  const way = { slot: undefined, terms: undefined };
  attendances.attend(prefix, way, { changed: (news) => told.push(news), ended: () => undefined });
  return { place, ring, prefix, account, told, dispose: () => attendances.dispose() };
}

test("checkpoints, what they lead to, and all other upkeep of this process ring for nobody; what changes something does", async () => {
  const { place, ring, account, told, dispose } = await attended();
  await append(account, 1);
  await append(account, 2);
  await settle();
  expect(told).toHaveLength(2);
  const view = openView(account.mail, account.mail.getMailbox("INBOX").id, { readOnly: false });
  await view.setFlags([0], { mode: "add", flags: ["\\Deleted"] });
  await view.expunge();
  await settle();
  told.length = 0;
  const before = account.position;
  for (let hour = 0; hour < 60; hour++) {
    clock.now += HOUR_MS;
    await account.upkeep.run();
  }
  await settle();
  // It was condemned, deleted and forgotten.
  expect(account.mail.state.lastForget).toBeGreaterThan(before);
  expect(account.mail.state.checkpoint!.covers).toBeGreaterThan(0);
  expect(told).toEqual([]);
  await append(account, 3);
  await settle();
  expect(told).toHaveLength(1);
  // The name of another host's entry does not tell that it is upkeep.
  const other = await open(place, ring());
  await other.upkeep.checkpoint();
  await settle();
  expect(told).toHaveLength(2);
  await Promise.all([account.dispose(), other.dispose()]);
  dispose();
});

test("upkeep that rides with a change, or whose name another's entry took, keeps nobody from hearing of that", async () => {
  const { place, ring, prefix, account, told, dispose } = await attended();
  await append(account, 1);
  const view = openView(account.mail, account.mail.getMailbox("INBOX").id, { readOnly: false });
  await view.setFlags([0], { mode: "add", flags: ["\\Deleted"] });
  await settle();
  told.length = 0;
  const before = account.position;
  await Promise.all([
    account.mail.push({ kind: "forget", names: [], notes: [], trimmed: account.mail.state.trimmed }),
    view.expunge(),
  ]);
  await settle();
  expect(account.position).toBe(before + 1);
  const { length } = told;
  expect(length).toBe(1);
  const other = await open(place, ring());
  await other.refresh();
  // The name is taken while it is on its way.
  const taken = new Promise<void>((resolve) => {
    place.fault = (operation, name) => {
      if (operation !== "putIfAbsent" || !name.startsWith(`${prefix}log/`)) return undefined;
      place.fault = () => undefined;
      void append(other, 9).then(resolve);
      return { kind: "unavailable" };
    };
  });
  const pushed = account.mail.push({ kind: "forget", names: [], notes: [], trimmed: account.mail.state.trimmed });
  await Promise.allSettled([taken, pushed]);
  await settle();
  expect(told.length).toBeGreaterThan(length);
  await Promise.all([account.dispose(), other.dispose()]);
  dispose();
});
