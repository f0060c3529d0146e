import { describe, expect, test } from "vitest";
import { isEnd } from "../../bay/log-end.ts";
import { EngineError } from "../../errors.ts";
import { MemoryPlace } from "../../storage/memory.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import {
  bytes,
  clock,
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
import { AccountSession } from "../session.ts";
import { moveAccount } from "./move-account.ts";

const none = new Uint8Array(0);
const LARGE = 30_000;

function moveBetween(from: ObjectStore, to: ObjectStore, prefix: string): ReturnType<typeof moveAccount> {
  return moveAccount({ signer, from, to, prefix, outbound: outboundMove(from, to) });
}

async function scene() {
  const [old, fresh] = [new MemoryPlace(() => clock.now++), new MemoryPlace(() => clock.now++)];
  const { ring, user, prefix } = await makeAccount(old);
  // Any bytes stand for the slot here: the test has the ring and needs no slot.
  old.write(`${prefix}slot/password-1`, bytes("a slot"));
  const owner = await open(old, ring());
  let number = 0;
  const write = async (account: Account, size = 10): Promise<string> => {
    const text = mailText(++number, size);
    await account.append(
      account.mail.getMailbox("INBOX").id,
      await account.prepare(stream(text), { mailbox: "INBOX", flags: [] }),
    );
    return text;
  };
  const deliver = async (place: MemoryPlace, size = 10): Promise<string> => {
    const text = mailText(++number, size);
    await dropbox(place, user).deliver(none, stream(text));
    return text;
  };
  const move = (): ReturnType<typeof moveAccount> => moveBetween(old.open(), fresh.open(), prefix);
  return { old, fresh, ring, user, prefix, owner, write, deliver, move };
}

async function expectWhole(place: MemoryPlace, ring: Awaited<ReturnType<typeof scene>>["ring"], texts: string[]) {
  const account = await open(place, ring());
  await account.takeIn();
  expect((await textsOf(account, "INBOX")).sort()).toEqual([...texts].sort());
  const session = new AccountSession({ address: "a@x" }, account, () => undefined);
  expect((await checkAccount(session)).findings).toEqual([]);
  return account;
}

describe("an account moves to another store", () => {
  test("with all that was written and delivered, in whatever it lies; the old place takes nothing more", async () => {
    const { old, fresh, ring, prefix, owner, write, deliver, move } = await scene();
    const texts = [await write(owner), await write(owner, LARGE), await deliver(old), await deliver(old, LARGE)];
    await owner.takeIn();
    await owner.upkeep.checkpoint();
    texts.push(await write(owner), await deliver(old, LARGE));
    expect(await move()).toMatchObject({ copied: fresh.objects.size, found: 0 });
    expect(await move()).toMatchObject({ copied: 0, found: 1 });

    await expect(write(owner)).rejects.toMatchObject({ code: "unavailable" });
    await expect(owner.refresh()).rejects.toMatchObject({ code: "unavailable" });
    await expect(open(old, ring())).rejects.toMatchObject({ code: "unavailable" });
    await owner.dispose();
    const moved = await expectWhole(fresh, ring, texts);
    expect([...fresh.objects.values()].some(({ bytes: stored }) => isEnd(stored))).toBe(false);
    await write(moved);
    await moved.dispose();
    expect([...old.objects.keys()].filter((name) => name.startsWith(`${prefix}note/`))).toEqual([]);
  });

  test("mail that the old place took afterwards goes over with the next call, once however often", async () => {
    const { old, fresh, ring, owner, write, deliver, move } = await scene();
    const texts = [await write(owner)];
    await owner.dispose();
    await move();
    const moved = await open(fresh, ring());
    texts.push(await deliver(old), await write(moved), await deliver(old, LARGE), await deliver(fresh));
    const late = [...old.objects].filter(([name]) => name.includes("/note/"));
    await move();
    await moved.takeIn();
    for (let again = 0; again < 2; again++) {
      for (const [name, { bytes: note }] of late) old.write(name, note);
      await move();
    }
    await moved.dispose();
    await (await expectWhole(fresh, ring, texts)).dispose();
  });

  test("cut off at any request and begun again, while its owner writes: what was acknowledged is there once", async () => {
    let cuts = 0;
    for (let cut = 1; ; cut += 3) {
      const { old, fresh, ring, owner, write, deliver, move } = await scene();
      const texts = [await write(owner), await write(owner, LARGE), await deliver(old)];
      await owner.takeIn();
      await owner.upkeep.checkpoint();
      texts.push(await deliver(old, LARGE));
      let requests = 0;
      const fault: MemoryPlace["fault"] = (_, name) => {
        if (++requests < cut) return undefined;
        return requests === cut && cut % 2 === 0 && name !== "" ? { kind: "lost-answer" } : { kind: "unavailable" };
      };
      // Only the mover meets it.
      const from = old.open();
      const to = fresh.open();
      const cutOff = await withFault([old, fresh], fault, () => moveBetween(from, to, prefixOf(old)));
      if (!cutOff) {
        await owner.dispose();
        break;
      }
      cuts++;
      // The owner of an account that is half moved goes on, or is told that it is not done.
      await write(owner).then(
        (text) => texts.push(text),
        (error: unknown) => expect(error).toMatchObject({ code: "unavailable" }),
      );
      texts.push(await deliver(old));
      await owner.upkeep.checkpoint().catch(unlessGone);
      await move();
      texts.push(await deliver(old));
      await owner.dispose();
      await move();
      await (await expectWhole(fresh, ring, texts)).dispose();
    }
    expect(cuts).toBeGreaterThan(10);
  });

  test("nothing is written over: another account's object, a place that it left, an account that came otherwise", async () => {
    const { old, fresh, prefix, owner, write, move } = await scene();
    await write(owner, LARGE);
    await owner.dispose();
    const [name] = [...old.objects.keys()].filter((one) => one.startsWith(`${prefix}log/`)).slice(-1);
    fresh.write(name!, bytes("another"));
    await expect(move()).rejects.toMatchObject({ code: "conflict" });
    fresh.objects.delete(name!);
    await move();
    // Back again: the old place is fenced.
    const back = moveBetween(fresh.open(), old.open(), prefix);
    await expect(back).rejects.toMatchObject({ code: "already-exists" });
    old.objects.delete(`${prefix}slot/password-1`);
    await expect(moveBetween(fresh.open(), old.open(), prefix)).rejects.toMatchObject({
      code: "conflict",
    });
    const third = new MemoryPlace(() => clock.now++);
    await expect(moveBetween(third.open(), old.open(), prefix)).rejects.toMatchObject({
      code: "not-found",
    });
  });
});

function prefixOf(place: MemoryPlace): string {
  const [name] = [...place.objects.keys()];
  return name!.slice(0, name!.indexOf("/") + 1);
}

/** True if `run` failed by a fault that it met. */
async function withFault(
  places: readonly MemoryPlace[],
  fault: MemoryPlace["fault"],
  run: () => Promise<unknown>,
): Promise<boolean> {
  for (const place of places) place.fault = fault;
  try {
    await run();
    return false;
  } catch (error) {
    if (error instanceof EngineError && ["unavailable", "unknown-outcome"].includes(error.code)) return true;
    throw error;
  } finally {
    for (const place of places) place.fault = () => undefined;
  }
}

function unlessGone(error: unknown): void {
  if (error instanceof EngineError && error.code === "unavailable") return;
  unlessConflict(error);
}
