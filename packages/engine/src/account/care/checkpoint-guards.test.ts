import { expect, test } from "vitest";
import { MemoryPlace } from "../../storage/memory.ts";
import { clock, dropbox, mailText, makeAccount, open, stream, textsOf, visible } from "../../testing/account-kit.ts";

/** Checkpoints upon which nothing may be built: one that was never announced, and one of another history. */
const HOURS_MS = 3_600_000;
const none = new Uint8Array(0);
const namesOf = (place: MemoryPlace, kind: string): string[] =>
  [...place.objects.keys()].filter((name) => name.includes(`/${kind}/`)).sort();

test("notes stay where they are while the checkpoint that holds them was not announced, though an opening stands on it", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, user } = await makeAccount(place);
  const box = dropbox(place, user);
  for (let n = 0; n < 3; n++) await box.deliver(none, stream(mailText(n)));
  const maker = await open(place, ring());
  await maker.refresh();
  const before = visible(maker.mail.state);
  // Its maker dies between the manifest and the op that announces it.
  let hasManifest = false;
  place.fault = (operation, name) => {
    if (operation === "putIfAbsent" && name.includes("/checkpoint/")) hasManifest = true;
    return hasManifest && name.includes("/log/") ? { kind: "unavailable" } : undefined;
  };
  await expect(maker.upkeep.checkpoint()).rejects.toMatchObject({ code: "unavailable" });
  await maker.dispose();
  place.fault = () => undefined;
  expect(namesOf(place, "checkpoint")).toHaveLength(1);
  const opener = await open(place, ring());
  expect(opener.mail.state.pages.covers).toBeGreaterThan(opener.mail.state.checkpoint?.covers ?? 0);
  clock.now += 25 * HOURS_MS;
  await opener.upkeep.run();
  expect(namesOf(place, "note")).toHaveLength(3);
  // An opener that goes by the log alone finds all of it.
  for (const name of namesOf(place, "checkpoint")) place.objects.delete(name);
  const other = await open(place, ring());
  expect(visible(other.mail.state)).toEqual(before);
  expect(await textsOf(other, "INBOX")).toEqual([0, 1, 2].map((n) => mailText(n)));
  await Promise.all([opener.dispose(), other.dispose()]);
});

test("a manifest of the right number and the wrong history is not taken over", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring } = await makeAccount(place);
  const common = place.snapshot();
  const errors: unknown[] = [];
  const append = async (account: Awaited<ReturnType<typeof open>>, n: number): Promise<void> => {
    await account.append(
      account.mail.getMailbox("INBOX").id,
      await account.prepare(stream(mailText(n)), { mailbox: "INBOX", flags: [] }),
    );
  };
  // The same account and keys, another history of as many entries.
  const fork = new MemoryPlace(() => clock.now++);
  fork.rollback(common);
  const forked = await open(fork, ring());
  for (let n = 10; n < 13; n++) await append(forked, n);
  await forked.upkeep.checkpoint();
  await forked.dispose();
  const reader = await open(place, ring(), { log: ({ error }) => void errors.push(error) });
  const maker = await open(place, ring());
  for (let n = 0; n < 3; n++) await append(maker, n);
  await maker.upkeep.checkpoint();
  const [manifest] = namesOf(place, "checkpoint");
  expect(namesOf(fork, "checkpoint")).toEqual([manifest]);
  for (const [name, object] of fork.objects)
    if (name === manifest || name.includes("/page/") || name.includes("/pack/")) place.objects.set(name, object);
  await reader.refresh();
  await expect(reader.upkeep.run()).rejects.toMatchObject({
    code: "corrupt",
    message: expect.stringContaining("not the one that the log names"),
  });
  expect(reader.mail.state.pages.covers).toBe(0);
  expect(await textsOf(reader, "INBOX")).toEqual([0, 1, 2].map((n) => mailText(n)));
  await Promise.all([reader.dispose(), maker.dispose()]);
});
