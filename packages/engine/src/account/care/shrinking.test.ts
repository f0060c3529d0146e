import { expect, test, vi } from "vitest";
import { EngineError } from "../../errors.ts";
import { openView } from "../../mail/mailbox-view.ts";
import type { MailState } from "../../mail/state/state.ts";
import { MemoryPlace } from "../../storage/memory.ts";
import { type ObjectStore, StoreError } from "../../storage/object-store.ts";
import {
  clock,
  crypto,
  makeAccount,
  open,
  signer,
  stream,
  textsOf,
  unlessConflict,
  visible,
} from "../../testing/account-kit.ts";
import { stride } from "../../testing/extent.ts";
import { openEverything } from "../../testing/open-everything.ts";
import type { Account } from "../account.ts";
import { backUpAccount, restoreAccount } from "../moving/back-up-account.ts";
import { AccountSession } from "../session.ts";
import { checkAccount } from "./check.ts";

// An account that shrinks while others read, write, copy and die: what they see is the same (docs/rules.md §4 and §5).

// So little is remembered of what went that each of these leaves something out.
vi.mock("../../mail/checkpoint/shrink.ts", async (original) => {
  const shrinking = await original<typeof import("../../mail/checkpoint/shrink.ts")>();
  const limits = { removals: 2, goneMailboxes: 0 };
  return {
    ...shrinking,
    hasDeadWeight: (state: MailState) => shrinking.hasDeadWeight(state, limits),
    shrink: (...[state, numbering, breathe]: Parameters<typeof shrinking.shrink>) =>
      shrinking.shrink(state, numbering, breathe, limits),
  };
});

const HOUR_MS = 3_600_000;
const LARGE_BYTES = 20_000;

const word = (n: number): string =>
  `w${[...String(n).padStart(5, "0")].map((digit) => "qrstuvxyzk"[Number(digit)]).join("")}`;
const mail = (n: number): string =>
  `From: a@x\r\nSubject: ${word(n)}\r\nMessage-ID: <${word(n)}@x>\r\n\r\n${`${word(n)} `.repeat(n % 7 === 0 ? LARGE_BYTES / 7 : 3)}\r\n`;

async function append(account: Account, mailbox: string, n: number): Promise<void> {
  await account.append(
    account.mail.getMailbox(mailbox).id,
    await account.prepare(stream(mail(n)), { mailbox, flags: [`k${n % 5}`] }),
  );
}

async function expunge(account: Account, mailbox: string, positions: readonly number[]): Promise<void> {
  const view = openView(account.mail, account.mail.getMailbox(mailbox).id, { readOnly: false });
  await view.setFlags(positions, { mode: "add", flags: ["\\Deleted"] });
  await view.expunge(positions);
}

async function live(account: Account, hours: number, step: number): Promise<void> {
  for (let hour = 0; hour < hours; hour += step) {
    clock.now += step * HOUR_MS;
    await account.upkeep.run();
  }
}

async function expectClean(account: Account): Promise<void> {
  const { findings } = await checkAccount(new AccountSession({ address: "a@x" }, account, () => undefined));
  expect(findings).toEqual([]);
}

/** All that clients see, but for what vanished before anybody remembers. */
const seen = ({ mail: { state } }: Account): unknown => visible(state, state.modSeq);
/** The same but for what a restore raises. */
const held = (account: Account): unknown =>
  (seen(account) as readonly { readonly stamps: unknown }[]).map(({ stamps: _, ...others }) => others);

/** A process's way to the store: it dies at its request `at`, counted from when that is set. */
function mortal(place: MemoryPlace) {
  let die: () => void = () => undefined;
  const died = new Promise<void>((resolve) => {
    die = resolve;
  });
  const deaths = { at: 0, count: 0, died, open };
  function open(): ObjectStore {
    const store = place.open();
    for (const name of ["put", "putIfAbsent", "get", "list", "delete"] as const) {
      const request = store[name].bind(store) as (...args: unknown[]) => Promise<unknown>;
      Object.assign(store, {
        [name]: async (...args: unknown[]): Promise<unknown> => {
          if (deaths.at === 0 || ++deaths.count < deaths.at) return request(...args);
          // Its last request was done or not.
          if (deaths.at % 3 === 0) await request(...args);
          die();
          return new Promise(() => undefined);
        },
      });
    }
    return store;
  }
  return deaths;
}

/** An account of which something of each kind went, and is still in the store. */
async function scene() {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, prefix } = await makeAccount(place);
  place.write(`${prefix}slot/password-1`, new Uint8Array(9));
  const deaths = mortal(place);
  const account = await open(deaths, ring());
  await account.mail.create("Gone");
  for (let n = 0; n < 20; n++) await append(account, n < 15 ? "INBOX" : "Gone", n);
  await account.upkeep.checkpoint();
  await expunge(account, "INBOX", [1, 4, 7, 8]);
  await account.mail.delete(account.mail.getMailbox("Gone").id);
  for (let n = 20; n < 23; n++) await append(account, "INBOX", n);
  const gone = [1, 4, 7, 8, 15, 16, 17, 18, 19];
  return { place, ring, prefix, account, deaths, gone };
}

test("whoever dies at any step of it, and whatever is opened, copied and restored then, nothing is lost and all that went goes", async () => {
  let steps = 0;
  for (let at = 1, isReached = true; isReached; at += stride(6)) {
    const { place, ring, prefix, account, deaths, gone } = await scene();
    const old = await open(place, ring());
    const expected = seen(account);
    const texts = await textsOf(account, "INBOX");
    deaths.at = at;
    const work = (async () => {
      await account.upkeep.checkpoint("anew");
      await live(account, 30, 10);
    })();
    await Promise.race([work, deaths.died]);
    isReached = deaths.count >= at;
    if (isReached) steps++;

    const opener = await open(place, ring());
    const copy = new MemoryPlace(() => clock.now++);
    await backUpAccount({ from: place.open(), to: copy.open(), prefix });
    const restored = new MemoryPlace(() => clock.now++);
    await restoreAccount({ from: copy.open(), to: restored.open(), prefix, signer, random: crypto.random });
    const fromBackup = await open(restored, ring());
    await old.refresh();
    for (const one of [opener, fromBackup, old]) {
      if (one === fromBackup) expect(held(one), `step ${at}`).toEqual(held(account));
      else expect(seen(one), `step ${at}`).toEqual(expected);
      expect(await textsOf(one, "INBOX"), `step ${at}`).toEqual(texts);
      await expectClean(one);
    }
    // Life goes on in what is left: in the one that was there before, or the one that came after.
    const [heir, other] = at % 2 === 0 ? [old, opener] : [opener, old];
    await append(heir, "INBOX", 30);
    await expunge(other, "INBOX", [0]);
    // A checkpoint that was never announced holds its name: the next one is of a later entry.
    await live(heir, 60, 4);
    await other.refresh();
    expect(seen(other)).toEqual(seen(heir));
    await expectClean(heir);
    const objects = [...place.objects]
      .filter(([name]) => !name.includes("/slot/"))
      .map(([name, stored]) => [name.slice(prefix.length), stored.bytes] as const);
    const left = [...(await openEverything(crypto, ring(), objects))]
      .map(([name, pieces]) => [name, pieces.map((piece) => Buffer.from(piece).toString("latin1")).join("\n")] as const)
      .flatMap(([name, text]) => [0, ...gone].filter((n) => text.includes(word(n))).map((n) => `${n} in ${name}`));
    expect(left, `step ${at}`).toEqual([]);
    expect(heir.mail.state.numbering).toBeGreaterThan(0);
    await Promise.all([opener, fromBackup, old].map((one) => one.dispose()));
  }
  expect(steps * stride(6)).toBeGreaterThan(20);
}, 600_000);

/** A store in which no checkpoint is found but those that were there: its process keeps its rows for ever. */
function deafToCheckpoints(place: MemoryPlace): { open(): ObjectStore } {
  const store = place.open();
  const { get } = store;
  let isDeaf = false;
  store.get = async (name, ...rest) => {
    if (isDeaf && name.includes("/checkpoint/")) throw new StoreError("unavailable", "store is away");
    return get.call(store, name, ...rest);
  };
  return {
    open() {
      setTimeout(() => {
        isDeaf = true;
      });
      return store;
    },
  };
}

test("of two hosts one shrinks after each change, and one stays as old as it was: both say the same", async () => {
  const { place, ring, account: shrinking } = await scene();
  const old = await open(deafToCheckpoints(place), ring());
  await new Promise((resolve) => setTimeout(resolve, 5));
  let next = 100;
  const changes: ((account: Account) => Promise<unknown>)[] = [
    (account) => append(account, "INBOX", next++),
    (account) => expunge(account, "INBOX", [2]),
    (account) =>
      openView(account.mail, account.mail.getMailbox("INBOX").id, { readOnly: false }).setFlags([0, 3], {
        mode: "add",
        flags: ["new"],
      }),
    (account) =>
      openView(account.mail, account.mail.getMailbox("INBOX").id, { readOnly: false }).move(
        [1],
        account.mail.getMailbox("Archive").id,
      ),
    (account) =>
      openView(account.mail, account.mail.getMailbox("INBOX").id, { readOnly: false }).copy(
        [2, 3],
        account.mail.getMailbox("Sent").id,
      ),
    (account) => append(account, "Sent", next++),
    (account) =>
      openView(account.mail, account.mail.getMailbox("INBOX").id, { readOnly: false }).setFlags([0], {
        mode: "remove",
        flags: ["new", "k0"],
      }),
    (account) => account.mail.create(`Box ${next++}`),
    (account) =>
      account.mail.delete(
        account.mail.getMailbox(account.mail.state.liveMailboxes().find(({ path }) => path.startsWith("Box"))!.path).id,
      ),
    (account) => expunge(account, "Sent", [0]),
  ];
  const numberings = new Set<number>();
  for (let round = 0; round < 6; round++)
    for (const change of changes) {
      const author = (round + changes.indexOf(change)) % 2 === 0 ? shrinking : old;
      await author.refresh();
      await change(author);
      await shrinking.refresh();
      await shrinking.upkeep.checkpoint("anew").catch(unlessConflict);
      numberings.add(shrinking.mail.state.pages.numbering);
      // Its own checkpoints are of an older numbering: void.
      if (round === 3) await expect(old.upkeep.checkpoint()).rejects.toBeInstanceOf(EngineError);
      await Promise.all([shrinking, old].map((one) => one.refresh()));
      expect(seen(old)).toEqual(seen(shrinking));
      expect(old.mail.state.pages.numbering).toBe(0);
      for (const path of ["INBOX", "Sent", "Archive"])
        expect(await textsOf(old, path)).toEqual(await textsOf(shrinking, path));
    }
  expect(numberings.size).toBe(6 * changes.length);
  expect(shrinking.mail.state.memberships.rows).toBeLessThan(old.mail.state.memberships.rows - 20);
  for (const one of [shrinking, old]) await expectClean(one);
  await Promise.all([shrinking, old].map((one) => one.dispose()));
});
