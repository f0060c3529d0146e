import { expect, test } from "vitest";
import { openView } from "../../mail/mailbox-view.ts";
import { MemoryPlace } from "../../storage/memory.ts";
import { clock, mailText, makeAccount, open, stream, textsOf, unlessConflict } from "../../testing/account-kit.ts";
import type { Account } from "../account.ts";

const HOUR_MS = 3_600_000;

async function append(account: Account, text: string): Promise<void> {
  await account.append("INBOX", await account.prepare(stream(text), { mailbox: "INBOX", flags: [] }));
}

async function live(account: Account, hours: number): Promise<void> {
  for (let hour = 0; hour < hours; hour++) {
    clock.now += HOUR_MS;
    await account.upkeep.run();
  }
}

// What another's keys sealed, as it seems, is no more readable than what is cut off, or gone.
test.each([
  ["cut off", (bytes: Uint8Array) => bytes.subarray(0, 100)],
  ["of other keys", (bytes: Uint8Array) => bytes.map(() => 9)],
  ["gone", () => undefined],
])(
  "nothing is deleted upon a checkpoint whose manifest is %s: who knows what it held makes another",
  async (_what, harm) => {
    const place = new MemoryPlace(() => clock.now++);
    const { ring } = await makeAccount(place);
    const account = await open(place, ring());
    const texts = Array.from({ length: 70 }, (_, n) => mailText(n));
    for (const text of texts) await append(account, text);
    await account.upkeep.checkpoint();
    await account.upkeep.checkpoint().catch(unlessConflict);
    const view = openView(account.mail, "INBOX", { readOnly: false });
    await view.setFlags([3, 69], { mode: "add", flags: ["\\Deleted"] });
    await view.expunge();
    await live(account, 13);
    // What it replaced is condemned at once.
    expect(account.mail.state.condemned.size).toBeGreaterThan(0);
    const [manifest] = [...place.objects.keys()].filter((name) => name.includes("/checkpoint/")).sort();
    const harmed = harm(place.objects.get(manifest!)!.bytes);
    if (harmed) place.write(manifest!, harmed);
    else place.objects.delete(manifest!);
    const before = new Set(place.objects.keys());
    // Whoever opens it meanwhile finds all, by the checkpoint before.
    const opener = await open(place, ring());
    expect([opener.barred, (await textsOf(opener, "INBOX")).length]).toEqual([undefined, 68]);
    await opener.dispose();
    const { covers } = account.mail.state.checkpoint!;
    for (let hour = 0; hour < 40 && account.mail.state.checkpoint!.covers === covers; hour++) {
      await live(account, 1);
      if (account.mail.state.checkpoint!.covers === covers)
        expect([...before].filter((name) => !place.objects.has(name))).toEqual([]);
    }
    expect(account.mail.state.checkpoint!.covers).toBeGreaterThan(covers);
    await live(account, 30);
    expect(account.mail.state.trimmed).toBeGreaterThan(0);
    const left = texts.filter((_, n) => n !== 3 && n !== 69);
    expect(await textsOf(account, "INBOX")).toEqual(left);
    await account.dispose();
    const again = await open(place, ring());
    expect([again.barred, await textsOf(again, "INBOX")]).toEqual([undefined, left]);
    await again.dispose();
  },
);
