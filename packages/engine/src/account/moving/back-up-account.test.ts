import { describe, expect, test, vi } from "vitest";
import { MemoryPlace } from "../../storage/memory.ts";
import {
  bytes,
  clock,
  dropbox,
  mailText,
  makeAccount,
  open,
  signer,
  stream,
  textsOf,
  unlessConflict,
} from "../../testing/account-kit.ts";
import type { Account } from "../account.ts";
import { checkAccount } from "../care/check.ts";
import { AccountSession } from "../session.ts";
import { backUpAccount, restoreAccount } from "./back-up-account.ts";
import { moveAccount } from "./move-account.ts";

const none = new Uint8Array(0);
const LARGE = 30_000;
const DAY_MS = 24 * 60 * 60_000;

async function scene() {
  const place = new MemoryPlace(() => clock.now++);
  const copy = new MemoryPlace(() => clock.now++);
  const { ring, user, prefix } = await makeAccount(place);
  place.write(`${prefix}slot/password-1`, bytes("a slot"));
  const owner = await open(place, ring());
  let number = 0;
  const write = async (size = 10): Promise<string> => {
    const text = mailText(++number, size);
    await owner.append("INBOX", await owner.prepare(stream(text), { mailbox: "INBOX", flags: [] }));
    return text;
  };
  const deliver = async (size = 10): Promise<string> => {
    const text = mailText(++number, size);
    await dropbox(place, user).deliver(none, stream(text));
    return text;
  };
  const copying = { from: place.open(), to: copy.open(), prefix };
  return { place, copy, ring, prefix, owner, write, deliver, copying };
}

/** The account's texts, after everything in it was opened. */
async function wholeTexts(account: Account): Promise<string[]> {
  await account.takeIn();
  const session = new AccountSession({ address: "a@x" }, account, () => undefined);
  const done = vi.fn();
  expect((await checkAccount(session, done)).findings).toEqual([]);
  const texts = await textsOf(account, "INBOX");
  expect(done).toHaveBeenCalledTimes(texts.length);
  await account.dispose();
  return texts;
}

describe("a backup of an account, object by object", () => {
  test("brings back all that was there, into a place that has no such account", async () => {
    const { copy, ring, prefix, owner, write, deliver, copying } = await scene();
    const texts = [await write(), await write(LARGE), await deliver()];
    await owner.takeIn();
    await owner.upkeep.checkpoint();
    texts.push(await write(), await deliver(LARGE));
    await owner.dispose();
    expect(await backUpAccount(copying)).toEqual({ copied: copy.objects.size, found: 0 });
    const third = new MemoryPlace(() => clock.now++);
    const back = { from: copy.open(), to: third.open(), prefix };
    await restoreAccount(back);
    expect((await wholeTexts(await open(third, ring()))).sort()).toEqual(texts.sort());
    await expect(restoreAccount(back)).rejects.toMatchObject({ code: "already-exists" });
  });

  test("made while the owner writes, checkpoints, trims and changes slots at any request, it is whole, as of one moment", async () => {
    let passes = 0;
    for (let every = 2; every < 14; every++) {
      const { place, copy, ring, prefix, owner, write, deliver, copying } = await scene();
      const before = [await write(), await write(LARGE), await deliver(), await deliver(LARGE)];
      await owner.takeIn();
      await owner.upkeep.checkpoint();
      const during: string[] = [];
      let slots = 1;
      const deeds = [
        async () => during.push(await write()),
        async () => during.push(await deliver(every % 2 ? 10 : LARGE)),
        () => owner.takeIn(),
        () => owner.upkeep.checkpoint().catch(unlessConflict),
        async () => {
          clock.now += DAY_MS + 1;
          await owner.upkeep.run();
        },
        async () => {
          place.write(`${prefix}slot/password-${++slots}`, bytes("a slot"));
          place.objects.delete(`${prefix}slot/password-${slots - 1}`);
        },
      ];
      // What the copier asks for waits, now and then, for something that the owner does.
      const from = place.open();
      const get = from.get.bind(from);
      let asked = 0;
      let done = 0;
      from.get = async (...args) => {
        // In the end they write alone, which needs no other pass.
        const isLate = done >= 3 * deeds.length;
        if (++asked % every === 0 && done < 200) await deeds[done++ % (isLate ? 2 : deeds.length)]!();
        return get(...args);
      };
      await backUpAccount({ ...copying, from });
      passes += done;
      await owner.dispose();
      expect([...copy.objects.keys()].filter((name) => name.includes("/slot/"))).toContain(
        `${prefix}slot/password-${slots}`,
      );
      const kept = await wholeTexts(await open(copy, ring()));
      expect(new Set(kept).size).toBe(kept.length);
      expect(kept).toEqual(expect.arrayContaining(before));
      expect([...before, ...during]).toEqual(expect.arrayContaining(kept));
    }
    expect(passes).toBeGreaterThan(50);
  });

  test("of mail that comes at any request, the body is there where its note is", async () => {
    for (let at = 1; ; at++) {
      const { copy, ring, owner, write, deliver, copying } = await scene();
      const before = [await write(LARGE), await deliver(LARGE)];
      await owner.dispose();
      const from = copying.from;
      let asked = 0;
      const hooked = async (): Promise<void> => {
        if (++asked === at) await deliver(LARGE);
      };
      const { get, list } = { get: from.get.bind(from), list: from.list.bind(from) };
      from.get = (...args) => hooked().then(() => get(...args));
      from.list = (...args) => hooked().then(() => list(...args));
      await backUpAccount(copying);
      expect(await wholeTexts(await open(copy, ring()))).toEqual(expect.arrayContaining(before));
      if (asked < at) break;
    }
  });

  test("an account that was moved away, or is not there, is not backed up", async () => {
    const { prefix, owner, copying } = await scene();
    await owner.dispose();
    await moveAccount({ signer, ...copying, to: new MemoryPlace().open() });
    await expect(backUpAccount(copying)).rejects.toMatchObject({ code: "not-found" });
    await expect(backUpAccount({ ...copying, from: new MemoryPlace().open(), prefix })).rejects.toMatchObject({
      code: "not-found",
    });
  });
});
