import { expect, test, vi } from "vitest";
import { openView } from "../../mail/mailbox-view.ts";
import { MemoryPlace } from "../../storage/memory.ts";
import {
  clock,
  dropbox,
  mailText,
  makeAccount,
  open,
  stream,
  textsOf,
  unlessConflict,
} from "../../testing/account-kit.ts";
import type { Account } from "../account.ts";

const HOUR_MS = 3_600_000;

async function append(account: Account, text: string): Promise<void> {
  await account.append(
    account.mail.getMailbox("INBOX").id,
    await account.prepare(stream(text), { mailbox: "INBOX", flags: [] }),
  );
}

async function live(account: Account, hours: number): Promise<void> {
  for (let hour = 0; hour < hours; hour++) {
    clock.now += HOUR_MS;
    await account.upkeep.run();
  }
}

/** An account that was swept a moment ago: what the checkpoint before that named alone is condemned. */
async function swept() {
  const place = new MemoryPlace(() => clock.now++);
  const { ring } = await makeAccount(place);
  const account = await open(place, ring());
  const texts = Array.from({ length: 70 }, (_, n) => mailText(n));
  for (const text of texts) await append(account, text);
  await account.upkeep.checkpoint();
  await account.upkeep.checkpoint().catch(unlessConflict);
  const view = openView(account.mail, account.mail.getMailbox("INBOX").id, { readOnly: false });
  await view.setFlags([3, 69], { mode: "add", flags: ["\\Deleted"] });
  await view.expunge();
  await live(account, 13);
  expect(account.mail.state.condemned.size).toBeGreaterThan(0);
  const [manifest] = [...place.objects.keys()].filter((name) => name.includes("/checkpoint/")).sort();
  return { place, ring, account, manifest: manifest!, left: texts.filter((_, n) => n !== 3 && n !== 69) };
}

// A manifest that seems sealed by other keys is no more readable than one that is cut off, or gone.
test.each([
  ["cut off", (bytes: Uint8Array) => bytes.subarray(0, 100)],
  ["of other keys", (bytes: Uint8Array) => bytes.map(() => 9)],
  ["gone", () => undefined],
])(
  "nothing is deleted upon a checkpoint whose manifest is %s: who knows what it held makes another",
  async (_what, harm) => {
    const { place, ring, account, manifest, left } = await swept();
    const harmed = harm(place.objects.get(manifest)!.bytes);
    if (harmed) place.write(manifest, harmed);
    else place.objects.delete(manifest);
    const before = new Set(place.objects.keys());
    const { covers } = account.mail.state.checkpoint!;
    for (let hour = 0; hour < 40 && account.mail.state.checkpoint!.covers === covers; hour++) {
      await live(account, 1);
      expect([...before].filter((name) => !place.objects.has(name))).toEqual([]);
    }
    expect(account.mail.state.checkpoint!.covers).toBeGreaterThan(covers);
    await live(account, 30);
    expect(account.mail.state.trimmed).toBeGreaterThan(0);
    expect(await textsOf(account, "INBOX")).toEqual(left);
    await account.dispose();
    const again = await open(place, ring());
    expect([again.barred, await textsOf(again, "INBOX")]).toEqual([undefined, left]);
    await again.dispose();
  },
);

test("who opens an account by the checkpoint before a damaged one makes another of it: what was condemned is needed again", async () => {
  const { place, ring, account, manifest, left } = await swept();
  await account.dispose();
  const { covers } = account.mail.state.checkpoint!;
  place.write(manifest, place.objects.get(manifest)!.bytes.subarray(0, 100));
  const opened = await open(place, ring());
  await vi.waitFor(() => expect(opened.mail.state.checkpoint!.covers).toBeGreaterThan(covers));
  await live(opened, 60);
  expect(await textsOf(opened, "INBOX")).toEqual(left);
  await opened.dispose();
  const again = await open(place, ring());
  expect([again.barred, await textsOf(again, "INBOX")]).toEqual([undefined, left]);
  await again.dispose();
});

test("what was condemned half a day ago somebody may be about to delete: nothing is made of it", async () => {
  const { place, ring, account, manifest, left } = await swept();
  await account.dispose();
  const { covers } = account.mail.state.checkpoint!;
  place.write(manifest, place.objects.get(manifest)!.bytes.subarray(0, 100));
  clock.now += 12 * HOUR_MS;
  const failed: unknown[] = [];
  const opened = await open(place, ring(), { log: ({ event }) => failed.push(event) });
  await vi.waitFor(() => expect(failed).toContain("checkpoint failed"));
  expect(opened.mail.state.checkpoint!.covers).toBe(covers);
  expect(opened.mail.state.condemned.size).toBeGreaterThan(0);
  expect(await textsOf(opened, "INBOX")).toEqual(left);
  await opened.dispose();
});

test("notes stay where they are as long as the checkpoint that holds what they brought can't be read", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, user } = await makeAccount(place);
  const account = await open(place, ring());
  await dropbox(place, user).deliver(new Uint8Array(0), stream(mailText(1)));
  await account.refresh();
  await account.upkeep.checkpoint();
  const names = (kind: string): string[] =>
    [...place.objects.keys()].filter((name) => name.includes(`/${kind}/`)).sort();
  const [manifest] = names("checkpoint");
  place.write(manifest!, new Uint8Array(50));
  await account.upkeep.run();
  expect([names("note").length, names("checkpoint").length]).toEqual([1, 2]);
  await account.upkeep.run();
  expect(names("note")).toEqual([]);
  await account.dispose();
  const again = await open(place, ring());
  expect(await textsOf(again, "INBOX")).toEqual([mailText(1)]);
  await again.dispose();
});

test("where all is due at once nothing goes before another checkpoint is there", async () => {
  const { place, ring, account, manifest, left } = await swept();
  // So that collection is due too.
  left.push(mailText(100));
  await append(account, mailText(100));
  place.write(manifest, new Uint8Array(50));
  const before = [...place.objects.keys()];
  clock.now += 48 * HOUR_MS;
  await account.upkeep.run();
  expect(before.filter((name) => !place.objects.has(name))).toEqual([]);
  await account.upkeep.run();
  expect(before.filter((name) => !place.objects.has(name)).length).toBeGreaterThan(0);
  // Nobody condemns an object that it named.
  await live(account, 60);
  await account.dispose();
  const again = await open(place, ring());
  expect([again.barred, await textsOf(again, "INBOX")]).toEqual([undefined, left]);
  await again.dispose();
});
