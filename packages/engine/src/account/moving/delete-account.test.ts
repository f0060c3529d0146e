import { beforeEach, describe, expect, test } from "vitest";
import { END_CHECKPOINT } from "../../bay/log-end.ts";
import { position } from "../../bay/position.ts";
import { signingKeyPair } from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import { MemoryPlace } from "../../storage/memory.ts";
import {
  bytes,
  clock,
  crypto,
  dropbox,
  MemoryUsers,
  mailText,
  makeAccount,
  open,
  outboundMove,
  outboundQueue,
  platform,
  signer,
  stream,
  textsOf,
} from "../../testing/account-kit.ts";
import type { Account } from "../account.ts";
import { accountOfPrefix, makeEndMark } from "../end-mark.ts";
import { backUpAccount, restoreAccount } from "./back-up-account.ts";
import { deleteAccount, LOG_KEPT_MS, sweepEnded } from "./delete-account.ts";
import { moveAccount } from "./move-account.ts";

const MINUTE = 60_000;
const none = new Uint8Array(0);

/** An account with mail of every kind of place, on a store that keeps no floor of deleted names, as a bucket is. */
async function scene() {
  const place = new MemoryPlace(() => clock.now++, false);
  const { ring, user, prefix } = await makeAccount(place);
  place.write(`${prefix}slot/password-1`, bytes("a slot"));
  const users = new MemoryUsers();
  users.users = [user];
  const store = place.open();
  const tools = { store, users, signer, queue: outboundQueue(store) };
  const sweep = (): Promise<void> => sweepEnded(tools, platform.trustedHosts);
  const names = (): string[] => [...place.objects.keys()].map((name) => name.slice(prefix.length)).sort();
  return { place, ring, user, prefix, users, tools, sweep, names };
}

async function append(account: Account, n: number): Promise<void> {
  await account.append(
    account.mail.getMailbox("INBOX").id,
    await account.prepare(stream(mailText(n)), { mailbox: "INBOX", flags: [] }),
  );
}

/** An account that hears nothing by itself of what others write. */
async function deaf(place: MemoryPlace, ring: Parameters<typeof open>[1]): Promise<Account> {
  const store = place.open();
  store.watch = () => () => undefined;
  return open({ open: () => store }, ring);
}

describe("what a process that has the account open is told after it was deleted", () => {
  let begun: number;
  beforeEach(() => {
    begun = clock.now;
  });

  test.each([
    ["at the log's head", 0],
    ["two entries behind", 2],
  ])("%s, after no time, 10 minutes and 30 hours: never OK", async (_, behind) => {
    for (const sleptMs of [0, 10 * MINUTE, 30 * 60 * MINUTE]) {
      const { place, ring, user, tools, sweep, names } = await scene();
      const writer = await deaf(place, ring());
      const other = await open(place, ring());
      for (let n = 0; n < behind; n++) await append(other, n);
      await deleteAccount(tools, user);
      clock.now += sleptMs;
      await sweep();
      const before = names();
      await expect(append(writer, 9)).rejects.toMatchObject({ code: "not-found" });
      await expect(writer.refresh()).rejects.toMatchObject({ code: "not-found" });
      await expect(writer.mail.create("New")).rejects.toMatchObject({ code: "not-found" });
      // A name below the end may have been taken, by an op that was not acknowledged: it goes with the next sweep.
      await sweep();
      expect(names().filter((name) => !name.startsWith("log/"))).toEqual([END_CHECKPOINT]);
      expect(before.filter((name) => !name.startsWith("log/"))).toEqual([END_CHECKPOINT]);
      await Promise.all([writer.dispose(), other.dispose()]);
    }
    expect(clock.now).toBeGreaterThan(begun);
  });
});

test("nothing is left but two objects, once the log's entries have been kept for their time", async () => {
  const { place, ring, user, tools, sweep, names } = await scene();
  const account = await open(place, ring());
  for (let n = 0; n < 3; n++) await append(account, n);
  await account.upkeep.checkpoint();
  await account.dispose();
  await deleteAccount(tools, user);
  expect(tools.users.users).toEqual([]);
  const entries = names().filter((name) => name.startsWith("log/"));
  expect(names()).toEqual([END_CHECKPOINT, ...entries].sort());
  await sweep();
  expect(names()).toHaveLength(entries.length + 1);
  clock.now += LOG_KEPT_MS;
  await sweep();
  expect(names()).toEqual([END_CHECKPOINT, entries.at(-1)]);
  await expect(open(place, ring())).rejects.toMatchObject({ code: "not-found" });
});

test("mail that comes while the account is deleted is refused, and what was put of it is swept", async () => {
  const { place, user, users, tools, sweep, names } = await scene();
  const box = dropbox(place, user, signer, users);
  async function* slowly(): AsyncGenerator<Uint8Array> {
    yield bytes(mailText(1));
    await deleteAccount(tools, user);
    yield bytes("more\r\n");
  }
  await expect(box.deliver(none, slowly())).rejects.toMatchObject({ code: "not-found" });
  expect(names().some((name) => name.startsWith("note/"))).toBe(true);
  await sweep();
  expect(names().some((name) => name.startsWith("note/"))).toBe(false);
});

test("cut off at any request, the next call or sweep ends it", async () => {
  for (let cut = 1; ; cut++) {
    const { place, ring, user, tools, sweep, names } = await scene();
    const account = await open(place, ring());
    await append(account, 1);
    await account.dispose();
    let requests = 0;
    place.fault = () => (++requests < cut ? undefined : { kind: cut % 2 === 0 ? "unavailable" : "lost-answer" });
    const isCut = await deleteAccount(tools, user).then(
      () => false,
      (error: unknown) => error instanceof EngineError,
    );
    place.fault = () => undefined;
    if (!isCut) break;
    // Its operator sees the account until it is gone for sure.
    if (tools.users.users.length > 0) await deleteAccount(tools, user);
    await sweep();
    clock.now += LOG_KEPT_MS;
    await sweep();
    expect(names(), `cut ${cut}`).toHaveLength(2);
    await expect(open(place, ring())).rejects.toMatchObject({ code: "not-found" });
  }
});

test("an end that no trusted host signed closes nobody out: all is read, nothing is written on either side of it", async () => {
  const stranger = signingKeyPair(new Uint8Array(32).fill(77));
  const forge = (prefix: string, by: typeof signer, entry: number, text = "deleted" as const) =>
    makeEndMark(by, accountOfPrefix(prefix), text, position(entry), undefined);
  const forgeries: readonly ((prefix: string, entry: number) => Uint8Array)[] = [
    () => bytes("\0\0\0\0restante: moved"),
    (prefix, entry) => forge(prefix, stranger, entry),
    // Another account's, and another place's.
    (prefix, entry) => forge("00".repeat(16) + prefix.slice(32), signer, entry),
    (prefix, entry) => forge(prefix, signer, entry + 1),
    (prefix, entry) => makeEndMark(signer, accountOfPrefix(prefix), "moved", position(entry), bytes("another entry")),
    (prefix, entry) => forge(prefix, signer, entry).map((byte, at) => (at === 90 ? byte ^ 1 : byte)),
  ];
  for (const [number, make] of forgeries.entries()) {
    const { place, ring, prefix, names } = await scene();
    const account = await open(place, ring());
    await append(account, 1);
    const last = names()
      .filter((name) => name.startsWith("log/"))
      .at(-1)!;
    const entry = Number.parseInt(last.slice(4), 16) + 1;
    const name = `${prefix}log/${entry.toString(16).padStart(14, "0")}`;
    const live = await deaf(place, ring());
    place.write(name, make(prefix, entry));
    for (const one of [live, await open(place, ring())]) {
      await one.refresh();
      expect(one.barred, `forgery ${number}`).toBe("cut-off");
      expect(await textsOf(one, "INBOX")).toEqual([mailText(1)]);
      await expect(append(one, 2)).rejects.toMatchObject({ code: "not-permitted" });
      await one.takeIn();
      await one.upkeep.run();
      await one.dispose();
    }
    expect(
      names()
        .filter((found) => found.startsWith("log/"))
        .at(-1),
    ).toBe(name.slice(prefix.length));
    await account.dispose();
  }
});

test("a checkpoint that ends the log and is not signed bars changes where it is met, and hides no other checkpoint", async () => {
  const { place, ring, prefix } = await scene();
  const account = await open(place, ring());
  await append(account, 1);
  await account.upkeep.checkpoint();
  await account.dispose();
  place.write(prefix + END_CHECKPOINT, bytes("\0\0\0\0restante: end"));
  const opened = await open(place, ring());
  expect(await textsOf(opened, "INBOX")).toEqual([mailText(1)]);
  expect(opened.barred).toBe("cut-off");
  await opened.dispose();
});

test("a deleted account is not moved, backed up, or brought back to where it was", async () => {
  const { place, ring, user, prefix, tools } = await scene();
  const backup = new MemoryPlace(() => clock.now++);
  await backUpAccount({ from: place.open(), to: backup.open(), prefix });
  await deleteAccount(tools, user);
  const elsewhere = new MemoryPlace(() => clock.now++);
  const copying = { from: place.open(), to: elsewhere.open(), prefix };
  await expect(
    moveAccount({ ...copying, signer, outbound: outboundMove(copying.from, copying.to) }),
  ).rejects.toMatchObject({ code: "not-found" });
  await expect(backUpAccount(copying)).rejects.toMatchObject({ code: "not-found" });
  const back = { from: backup.open(), to: place.open(), prefix, signer, random: crypto.random };
  await expect(restoreAccount(back)).rejects.toMatchObject({
    code: "conflict",
    message: expect.stringMatching(/--salvage/),
  });
  await restoreAccount({ ...back, to: elsewhere.open() });
  await (await open(elsewhere, ring())).dispose();
});
