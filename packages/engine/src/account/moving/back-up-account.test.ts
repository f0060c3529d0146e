import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { signingKeyPair } from "../../crypto/index.ts";
import { witnessFolder } from "../../node/witness-folder.ts";
import { MemoryPlace } from "../../storage/memory.ts";
import {
  bytes,
  clock,
  crypto,
  dropbox,
  mailText,
  makeAccount,
  open,
  outboundMove,
  signer,
  stream,
  textsOf,
  unlessConflict,
} from "../../testing/account-kit.ts";
import type { Account } from "../account.ts";
import { checkAccount } from "../care/check.ts";
import { accountOfPrefix } from "../end-mark.ts";
import type { WitnessKeeper } from "../platform.ts";
import { makeRestoredMark, openRestoredMark } from "../restored-mark.ts";
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
    await owner.append(
      owner.mail.getMailbox("INBOX").id,
      await owner.prepare(stream(text), { mailbox: "INBOX", flags: [] }),
    );
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

/** The witnesses of a host, outside the store. */
const witnesses = (folders: string[]): (() => WitnessKeeper) => {
  const folder = mkdtempSync(join(tmpdir(), "restante-witness-"));
  folders.push(folder);
  // Each process of it has a file of its own.
  return () => witnessFolder(folder);
};

describe("that an account was restored stands in the store", () => {
  const folders: string[] = [];
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
  });

  /** An account whose backup lacks what two of three hosts saw; the third has not seen it at all. */
  async function restoredScene() {
    const { copy, ring, prefix, owner, write, copying, place } = await scene();
    await write();
    await owner.upkeep.checkpoint();
    await write();
    await backUpAccount(copying);
    const hosts = [witnesses(folders), witnesses(folders), witnesses(folders)] as const;
    for (let n = 0; n < 9; n++) await write();
    await owner.dispose();
    const validityOf = async (from: MemoryPlace, keeper?: () => WitnessKeeper): Promise<number | "barred"> => {
      const account = await open(from, ring(), keeper ? { witnesses: keeper() } : {});
      const { barred, mail } = account;
      const { uidValidity } = mail.state.inbox;
      await account.dispose();
      return barred ? "barred" : uidValidity;
    };
    const before = (await validityOf(place, hosts[0])) as number;
    await validityOf(place, hosts[1]);
    const third = new MemoryPlace(() => clock.now++);
    const back = { from: copy.open(), to: third.open(), prefix, signer, random: crypto.random };
    return { hosts, before, third, back, prefix, validityOf };
  }

  test("whichever host opens it next raises UIDVALIDITY, and all go on; once each", async () => {
    for (const order of [
      [2, 0, 1],
      [0, 1, 2],
      [1, 2, 0],
    ] as const) {
      const { hosts, before, third, back, validityOf } = await restoredScene();
      await restoreAccount(back);
      const seen = [before];
      for (const host of order) seen.push((await validityOf(third, hosts[host])) as number);
      expect(seen[1]).toBeGreaterThan(before);
      // A host that saw mail that is gone now raises it once more; the third need not.
      for (const [at, host] of order.entries())
        if (at > 0) expect([host, seen[at + 1]! > seen[at]!]).toEqual([host, host < 2]);
      const last = seen.at(-1)!;
      for (const host of hosts) expect(await validityOf(third, host)).toBe(last);
    }
  });

  test("one that keeps no witness raises it once", async () => {
    const { before, third, back, validityOf } = await restoredScene();
    await restoreAccount(back);
    const after = await validityOf(third);
    expect(after).toBeGreaterThan(before);
    expect(await validityOf(third)).toBe(after);
  });

  test("put back with an old store it says nothing to who went along with it; nor does one that is forged, or another account's", async () => {
    const { hosts, third, back, prefix, validityOf } = await restoredScene();
    await restoreAccount(back);
    const restored = third.snapshot();
    await validityOf(third, hosts[0]);
    third.rollback(restored);
    expect(await validityOf(third, hosts[0])).toBe("barred");
    const name = `${prefix}public/restored`;
    const account = accountOfPrefix(prefix);
    const stranger = signingKeyPair(new Uint8Array(32).fill(77));
    const good = makeRestoredMark(signer, account, crypto.random(16));
    const flipped = Array.from(good, (_, at) => {
      const bad = good.slice();
      bad[at]! ^= 1;
      return bad;
    });
    const other = makeRestoredMark(signer, crypto.random(16), crypto.random(16));
    const cut = [none, good.subarray(0, 100), new Uint8Array([...good, 0])];
    for (const bad of [makeRestoredMark(stranger, account, crypto.random(16)), other, ...cut, ...flipped])
      expect(openRestoredMark(bad, account, [signer.publicKey])).toBeUndefined();
    third.write(name, makeRestoredMark(stranger, account, crypto.random(16)));
    expect(await validityOf(third, hosts[0])).toBe("barred");
    third.write(name, good);
    expect(await validityOf(third, hosts[0])).not.toBe("barred");
  });

  test("nothing is restored to where more of its log lies, before or since it began", async () => {
    const { third, back, prefix } = await restoredScene();
    const late = `${prefix}log/${(500).toString(16).padStart(14, "0")}`;
    third.write(late, bytes("an entry of who has it open"));
    const refusal = { code: "conflict", message: expect.stringContaining("never held") };
    await expect(restoreAccount(back)).rejects.toMatchObject(refusal);
    expect(third.objects.size).toBe(1);
    third.objects.delete(late);
    const to = third.open();
    const put = to.put.bind(to);
    to.put = async (name, ...rest) => {
      if (name.endsWith("public/restored")) third.write(late, bytes("an entry of who has it open"));
      return put(name, ...rest);
    };
    await expect(restoreAccount({ ...back, to })).rejects.toMatchObject(refusal);
    expect([...third.objects.keys()].some((name) => name.startsWith(`${prefix}slot/`))).toBe(false);
    third.objects.delete(late);
    await restoreAccount(back);
  });

  test("the backup of a restored account is restored as any other, also where that was cut short", async () => {
    const { third, back, prefix, hosts, validityOf } = await restoredScene();
    await restoreAccount(back);
    const first = (await validityOf(third, hosts[0])) as number;
    const again = new MemoryPlace(() => clock.now++);
    await backUpAccount({ from: third.open(), to: again.open(), prefix });
    const fourth = new MemoryPlace(() => clock.now++);
    const restoring = { ...back, from: again.open(), to: fourth.open() };
    fourth.fault = (operation, name) =>
      operation === "put" && name.includes("/slot/") ? { kind: "unavailable" } : undefined;
    await expect(restoreAccount(restoring)).rejects.toMatchObject({ code: "unavailable" });
    fourth.fault = () => undefined;
    await restoreAccount(restoring);
    const second = (await validityOf(fourth, hosts[0])) as number;
    expect(second).toBeGreaterThan(first);
    expect(await validityOf(fourth, hosts[0])).toBe(second);
  });
});

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
    const back = { from: copy.open(), to: third.open(), prefix, signer, random: crypto.random };
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
      // Requests of the copier wait, now and then, for a deed of the owner.
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
    const to = new MemoryPlace().open();
    await moveAccount({ signer, ...copying, to, outbound: outboundMove(copying.from, to) });
    await expect(backUpAccount(copying)).rejects.toMatchObject({ code: "not-found" });
    await expect(backUpAccount({ ...copying, from: new MemoryPlace().open(), prefix })).rejects.toMatchObject({
      code: "not-found",
    });
  });
});
