import { describe, expect, test } from "vitest";
import type { Witness } from "../bay/applied-log.ts";
import { entryNumber } from "../bay/entry.ts";
import { manifestNumber } from "../bay/manifest.ts";
import { signingKeyPair } from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import { previewOf } from "../mail/contents/summary.ts";
import { openView } from "../mail/mailbox-view.ts";
import { type Fault, MemoryPlace } from "../storage/memory.ts";
import {
  bytes,
  clock,
  crypto,
  dropbox,
  MemoryUsers,
  mailText,
  makeAccount,
  open,
  platform,
  stream,
  textOf,
  textsOf,
  visible,
} from "../testing/account-kit.ts";
import { isRewinding } from "../testing/rewinding-log.ts";
import { FIRST, quickArgon2, SECOND, setUpAda } from "../testing/ways-in-kit.ts";
import { Account } from "./account.ts";
import { checkAccount } from "./care/check.ts";
import { acceptHistory } from "./care/history.ts";
import { addAppPassword, listAppPasswords } from "./keys/app-passwords.ts";
import { changePassword, recoverAccount } from "./keys/passwords.ts";
import { rotateAccount } from "./keys/rotate.ts";
import type { Platform } from "./platform.ts";
import { AccountSession } from "./session.ts";
import { Accounts } from "./sign-in/accounts.ts";
import { FOLDERS, signUp } from "./sign-in/sign-up.ts";

describe("delivery and take-in", () => {
  test("what was delivered is taken in once, in order, byte for byte, small and large", async () => {
    const place = new MemoryPlace(() => clock.now++);
    const { ring, user } = await makeAccount(place);
    const box = dropbox(place, user);
    for (let n = 0; n < 5; n++)
      await box.deliver(bytes("Return-Path: <>\r\n"), stream(mailText(n, n === 2 ? 10_000 : 5)));
    for (let opening = 0; opening < 2; opening++) {
      const account = await open(place, ring());
      await account.refresh();
      expect(account.mail.state.inbox.messages.length).toBe(5);
      for (let n = 0; n < 5; n++)
        expect(await textOf(account, "INBOX", n)).toBe(`Return-Path: <>\r\n${mailText(n, n === 2 ? 10_000 : 5)}`);
      await account.dispose();
    }
  });

  test("a note that is stored after one of a later name is taken in too", async () => {
    const place = new MemoryPlace(() => clock.now++);
    const { ring, user } = await makeAccount(place);
    const box = dropbox(place, user);
    const account = await open(place, ring());
    // The first delivery began first, and ends last.
    let goOn: () => void = () => undefined;
    const waiting = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    async function* slow(): AsyncGenerator<Uint8Array> {
      yield bytes(mailText(1));
      await waiting;
    }
    const first = box.deliver(new Uint8Array(0), slow());
    await box.deliver(new Uint8Array(0), stream(mailText(2)));
    await account.refresh();
    expect(account.mail.state.inbox.messages.length).toBe(1);
    goOn();
    await first;
    await account.refresh();
    expect(account.mail.state.inbox.messages.length).toBe(2);
    await account.dispose();
  });

  test("two processes that take in at once take each mail in once", async () => {
    const place = new MemoryPlace(() => clock.now++);
    const { ring, user } = await makeAccount(place);
    const [one, two] = [await open(place, ring()), await open(place, ring())];
    const box = dropbox(place, user);
    for (let n = 0; n < 20; n++) {
      await box.deliver(new Uint8Array(0), stream(mailText(n)));
      await Promise.all([one.takeIn(), two.takeIn()]);
    }
    await Promise.all([one.refresh(), two.refresh()]);
    expect(visible(one.mail.state)).toEqual(visible(two.mail.state));
    expect(one.mail.state.inbox.messages.length).toBe(20);
    await Promise.all([one.dispose(), two.dispose()]);
  });

  test("a note that can't be opened blocks nothing and stays; one by a stranger is not verified", async () => {
    const place = new MemoryPlace(() => clock.now++);
    const { ring, user, prefix } = await makeAccount(place);
    const box = dropbox(place, user);
    await box.deliver(new Uint8Array(0), stream(mailText(1)));
    place.write(`${prefix}note/0000000000000000000000000000`, new Uint8Array(3000));
    place.write(`${prefix}note/ffffffffffff0000000000000000`, new Uint8Array(0));
    const account = await open(place, ring());
    await account.refresh();
    expect(account.mail.state.inbox.messages.length).toBe(1);
    expect([...place.objects.keys()].filter((name) => name.includes("/note/"))).toHaveLength(3);
    await account.dispose();
  });

  test("a delivery copied under another name by the store is taken in once", async () => {
    const place = new MemoryPlace(() => clock.now++);
    const { ring, user, prefix } = await makeAccount(place);
    await dropbox(place, user).deliver(new Uint8Array(0), stream(mailText(1)));
    const [name, stored] = [...place.objects].find(([key]) => key.includes("/note/"))!;
    place.write(`${name.slice(0, -1)}${name.endsWith("0") ? "1" : "0"}`, stored.bytes);
    const account = await open(place, ring());
    await account.refresh();
    expect(account.mail.state.inbox.messages.length).toBe(1);
    await account.dispose();
    expect(prefix).toHaveLength(33);
  });
});

describe("checkpoints", () => {
  test("a state loaded from a checkpoint, and the rest applied, is the state of the whole log", async () => {
    const place = new MemoryPlace(() => clock.now++);
    const { ring, user } = await makeAccount(place);
    const box = dropbox(place, user);
    const account = await open(place, ring());
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 70; n++) await box.deliver(new Uint8Array(0), stream(mailText(round * 100 + n)));
      await account.refresh();
      const view = openView(account.mail, account.mail.getMailbox("INBOX").id, { readOnly: false });
      await view.setFlags([0, 3, 5], { mode: "add", flags: ["\\Deleted", `k${round}`] });
      await view.expunge([0]);
      await view.copy([7, 8], await account.mail.create(`Folder ${round}/x`));
      await account.upkeep.checkpoint();
    }
    await account.append(
      account.mail.getMailbox("Sent").id,
      await account.prepare(stream("Subject: last\r\n\r\n"), { mailbox: "Sent", flags: ["\\Seen"] }),
    );
    await account.refresh();
    const reopened = await open(place, ring());
    expect(reopened.mail.state.tailStart).toBeGreaterThan(200);
    expect(visible(reopened.mail.state)).toEqual(visible(account.mail.state));
    for (const position of [0, 63, 64, 130])
      expect(await textOf(reopened, "INBOX", position)).toBe(await textOf(account, "INBOX", position));
    const session = new AccountSession({ address: "a@x" }, reopened, () => undefined);
    expect(await checkAccount(session)).toMatchObject({ findings: [] });
    // The same without the checkpoints.
    for (const name of [...place.objects.keys()]) if (name.includes("/checkpoint/")) place.objects.delete(name);
    const replayed = await open(place, ring());
    expect(replayed.mail.state.tailStart).toBe(0);
    expect(visible(replayed.mail.state)).toEqual(visible(account.mail.state));
    await Promise.all([account.dispose(), reopened.dispose(), replayed.dispose()]);
  });

  /** An account with two mails, the second after the first checkpoint, and what harms the second checkpoint. */
  async function checkpointed() {
    const place = new MemoryPlace(() => clock.now++);
    const { ring, user } = await makeAccount(place);
    const account = await open(place, ring());
    const names = (): string[] => [...place.objects.keys()].filter((name) => /\/(page|checkpoint)\//.test(name));
    const seen = new Set<string>();
    for (const n of [1, 2]) {
      for (const name of names()) seen.add(name);
      await dropbox(place, user).deliver(new Uint8Array(0), stream(mailText(n)));
      await account.refresh();
      await account.upkeep.checkpoint();
    }
    await account.dispose();
    const fresh = names().filter((name) => !seen.has(name));
    return { place, ring, fresh, before: [...seen] };
  }
  const flip = (bytes: Uint8Array): Uint8Array => bytes.map((byte, at) => (at === bytes.length - 1 ? byte ^ 1 : byte));

  /** As upkeep does a day later. */
  function trim(place: MemoryPlace): void {
    const names = [...place.objects.keys()];
    const covers = Math.max(...names.filter((name) => name.includes("/checkpoint/")).map(manifestNumber));
    const short = (name: string): string => name.slice(name.indexOf("/") + 1);
    for (const name of names)
      if (name.includes("/log/") && entryNumber(short(name)) <= covers) place.objects.delete(name);
  }

  test("a checkpoint that is damaged while the log has what it covers: all is there, and another checkpoint is made", async () => {
    const { place, ring, fresh } = await checkpointed();
    const good = place.snapshot();
    let made = 0;
    for (const name of fresh)
      for (const harm of ["damaged", "missing", "zeroed", "newer"]) {
        place.rollback(good);
        const { bytes: sealed } = place.objects.get(name)!;
        if (harm === "missing") place.objects.delete(name);
        // The last says that it was sealed by keys that are not made yet.
        else
          place.write(name, { damaged: flip(sealed), zeroed: sealed.map(() => 0), newer: sealed.map(() => 9) }[harm]!);
        const count = place.objects.size;
        const account = await open(place, ring());
        expect([name, account.barred]).toEqual([name, undefined]);
        await account.dispose();
        // A page that is read only when it is asked for is mended by check --repair.
        if (!name.includes("/checkpoint/") && place.objects.size === count) continue;
        made++;
        trim(place);
        const again = await open(place, ring());
        expect(await textsOf(again, "INBOX")).toEqual([mailText(1), mailText(2)]);
        await again.dispose();
      }
    expect(made).toBeGreaterThan(2);
  });

  test("the same when the log was trimmed: what is known without it is read, and nothing changed", async () => {
    const { place, ring, fresh } = await checkpointed();
    const manifest = fresh.find((name) => name.includes("/checkpoint/"))!;
    trim(place);
    place.write(manifest, flip(place.objects.get(manifest)!.bytes));
    const account = await open(place, ring());
    expect(account.barred).toBe("damaged");
    expect(await textsOf(account, "INBOX")).toEqual([mailText(1)]);
    const { size } = place.objects;
    await expect(account.mail.push({ kind: "raise", seconds: 1 })).rejects.toMatchObject({ code: "not-permitted" });
    await account.upkeep.run();
    await account.dispose();
    expect(place.objects.size).toBe(size);
  });
});

describe("rollback", () => {
  function witnesses(): NonNullable<Platform["witnesses"]> & { readonly kept: ReadonlyMap<string, Witness> } {
    const kept = new Map<string, Witness>();
    return {
      kept,
      read: async (account) => kept.get(account),
      write: async (account, witness) => void kept.set(account, witness),
      replace: async (account, witness) => void kept.set(account, witness),
      isRestored: async () => false,
      clearRestored: async () => undefined,
    };
  }

  test("what was acknowledged is witnessed before the next is: a process that is killed has seen it", async () => {
    const place = new MemoryPlace(() => clock.now++);
    const { ring } = await makeAccount(place);
    const keeper = witnesses();
    const account = await open(place, ring(), { witnesses: keeper });
    for (let n = 0; n < 5; n++) {
      await account.mail.push({ kind: "raise", seconds: n });
      await platform.delay(1);
      expect((await keeper.read(account.prefix.slice(0, -1)))?.entry).toBe(account.position);
    }
    await account.dispose();
  });

  test("a store that shows an older history is found out; the account is read-only until its owner accepts it", async () => {
    const place = new MemoryPlace(() => clock.now++);
    const users = new MemoryUsers();
    const keeper = witnesses();
    const host = { ...platform, witnesses: keeper };
    const tools = { store: place.open(), users, platform: host, pepper: undefined };
    await signUp(tools, "ada@example.org", "first long password");
    const { encodeRing, decodeRing, openSlot, utf8 } = await import("../crypto/index.ts");
    const [slotName, slot] = [...place.objects].find(([name]) => name.includes("slot/password-"))!;
    const opened = await openSlot(crypto, slotName.slice(33), slot.bytes, {
      kind: "password",
      secret: utf8("first long password"),
    });
    const ring = encodeRing(opened!);
    const openHere = (): Promise<Account> => Account.open({ ...tools }, decodeRing(ring.slice()));
    const first = await openHere();
    await first.mail.create("Kept");
    const old = place.snapshot();
    await first.mail.create("Lost");
    const before = first.mail.state.inbox.uidValidity;
    await first.dispose();
    place.rollback(old);
    const [seen] = keeper.kept.values();
    const second = await openHere();
    expect(second.barred).toBe("rolled-back");
    // This host has seen nothing of the other history: a later process must find the rollback too.
    await second.refresh();
    await platform.delay(1);
    expect([...keeper.kept.values()]).toEqual([seen]);
    await expect(second.mail.create("More")).rejects.toMatchObject({ code: "not-permitted" });
    await acceptHistory(tools, users.users[0]!, "first long password");
    await second.refresh();
    expect(second.barred).toBeUndefined();
    expect(second.mail.state.inbox.uidValidity).toBeGreaterThan(before);
    await second.mail.create("More");
    await second.dispose();
    const third = await openHere();
    expect(third.barred).toBeUndefined();
    await third.dispose();
  });

  test("what its owner changes without a mail program is refused too, and nothing is written, until they accept it", async () => {
    const { place, tools, user, accounts, recoveryCode } = await setUpAda();
    const host = { ...tools.platform, witnesses: witnesses() };
    const here = { ...tools, platform: host };
    const old = place.snapshot();
    await addAppPassword(here, user(), FIRST, "Phone");
    place.rollback(old);
    const changes = [
      () => changePassword(here, user(), FIRST, SECOND),
      () => recoverAccount(here, user(), recoveryCode, SECOND),
      () => addAppPassword(here, user(), FIRST, "Tablet"),
      () => rotateAccount(here, user(), FIRST),
    ];
    for (const change of changes)
      await expect(change()).rejects.toMatchObject({
        code: "not-permitted",
        message: expect.stringContaining("account accept-history"),
      });
    expect(place.snapshot()).toEqual(old);
    expect(user().record.keyVersion).toBe(1);
    expect(await listAppPasswords(here, user(), FIRST)).toEqual([]);
    // An owner who forgot the password can set no new one before that: the recovery code accepts the history.
    await acceptHistory(here, user(), recoveryCode);
    await recoverAccount(here, user(), recoveryCode, SECOND);
    const server = accounts();
    (await server.login("ada", SECOND, "")).close();
    await server.dispose();
  });

  test("one that undoes a change of the password is found out, though nobody signed in since", async () => {
    const { place, tools, user } = await setUpAda();
    const here = { ...tools, platform: { ...tools.platform, witnesses: witnesses() } };
    const old = place.snapshot();
    await changePassword(here, user(), FIRST, SECOND);
    place.rollback(old);
    const server = new Accounts({ ...here, store: place.open() });
    const session = await server.login("ada", FIRST, "");
    expect(session.barred).toMatch(/older history/);
    expect(await checkAccount(session)).toMatchObject({ findings: [{ problem: expect.stringContaining("older") }] });
    session.close();
    await server.dispose();
  });

  test("mail that no trusted host signed is shown apart", async () => {
    const place = new MemoryPlace(() => clock.now++);
    const { ring, user } = await makeAccount(place);
    const stranger = signingKeyPair(new Uint8Array(32).fill(1));
    await dropbox(place, user, stranger).deliver(new Uint8Array(0), stream(mailText(1)));
    const account = await open(place, ring());
    await account.refresh();
    expect(account.mail.state.inbox.messages.length).toBe(0);
    expect(account.mail.getMailbox("Unverified").messages.length).toBe(1);
    await account.dispose();
  });
});

describe("faults of the store", () => {
  const commands: Record<string, (account: Account) => Promise<unknown>> = {
    append: async (account) =>
      account.append(
        account.mail.getMailbox("Sent").id,
        await account.prepare(stream(mailText(1)), { mailbox: "Sent", flags: [] }),
      ),
    "append of a large message": async (account) =>
      account.append(
        account.mail.getMailbox("Sent").id,
        await account.prepare(stream(mailText(1, 5000)), { mailbox: "Sent", flags: [] }),
      ),
    create: (account) => account.mail.create("New"),
  };
  for (const [name, command] of Object.entries(commands)) {
    test(`${name}: an answer that is lost at any write leaves it done once`, async () => {
      for (let nth = 0; nth < 2; nth++) {
        const place = new MemoryPlace(() => clock.now++);
        const { ring } = await makeAccount(place);
        const account = await open(place, ring());
        let writes = 0;
        place.fault = (operation): Fault | undefined =>
          operation === "putIfAbsent" && writes++ === nth ? { kind: "lost-answer" } : undefined;
        await command(account);
        place.fault = () => undefined;
        await command(account).catch((error: unknown) => {
          if (!(error instanceof EngineError && error.code === "already-exists")) throw error;
        });
        const reopened = await open(place, ring());
        expect(visible(reopened.mail.state)).toEqual(visible(account.mail.state));
        const sent = reopened.mail.getMailbox("Sent").messages.length;
        expect(sent).toBe(name === "create" ? 0 : 2);
        await Promise.all([account.dispose(), reopened.dispose()]);
      }
    });

    test(`${name}: while the store is away it is refused and nothing is there`, async () => {
      const place = new MemoryPlace(() => clock.now++);
      const { ring } = await makeAccount(place);
      const account = await open(place, ring());
      const before = visible(account.mail.state);
      place.fault = (operation) =>
        operation === "put" || operation === "putIfAbsent" ? { kind: "unavailable" } : undefined;
      await expect(command(account)).rejects.toMatchObject({ code: "unavailable" });
      place.fault = () => undefined;
      await account.refresh();
      expect(visible(account.mail.state)).toEqual(before);
      await command(account);
      await account.dispose();
    });
  }
});

describe("signing in", () => {
  test("password, its change, recovery; an old slot put back by the store opens nothing", async () => {
    const place = new MemoryPlace(() => clock.now++);
    const users = new MemoryUsers();
    // Keys are derived alike on either log: once in earnest will do.
    const host = isRewinding ? { ...platform, crypto: { ...crypto, argon2id: quickArgon2 } } : platform;
    const tools = { store: place.open(), users, platform: host, pepper: new Uint8Array(32).fill(3) };
    const { recoveryCode } = await signUp(tools, "Ada@Example.org", "first long password");
    const [user] = users.users;
    const accounts = new Accounts({ ...tools });
    const session = await accounts.login("ada", "first long password", "192.0.2.1");
    expect(session.state.liveMailboxes().map((mailbox) => mailbox.path)).toEqual(FOLDERS.map(({ path }) => path));
    for (const [name, password] of [
      ["ada", "wrong"],
      ["nobody@example.org", "first long password"],
    ] as const)
      await expect(accounts.login(name, password, "192.0.2.9")).rejects.toMatchObject({ code: "not-permitted" });
    const oldSlot = [...place.objects].find(([name]) => name.includes("slot/password-"))!;
    await changePassword(tools, user!, "first long password", "second long password");
    expect([...place.objects.keys()].filter((name) => name.includes("slot/password-"))).toHaveLength(1);
    place.write(oldSlot[0], oldSlot[1].bytes);
    await expect(accounts.login("ada", "first long password", "192.0.2.1")).rejects.toMatchObject({
      code: "not-permitted",
    });
    (await accounts.login("ada", "second long password", "192.0.2.1")).close();
    await expect(recoverAccount(tools, user!, "0000-0000", "third long password")).rejects.toMatchObject({
      code: "not-permitted",
    });
    await recoverAccount(tools, user!, recoveryCode, "third long password");
    (await accounts.login("ada", "third long password", "192.0.2.1")).close();
    await expect(signUp(tools, "ada@example.org", "some long password")).rejects.toMatchObject({
      code: "already-exists",
    });
    await expect(signUp(tools, "eve@example.org", "short")).rejects.toMatchObject({ code: "invalid" });
    session.close();
    await accounts.dispose();
  });
});

test("what was just stored is listed without asking for it again", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring } = await makeAccount(place);
  const account = await open(place, ring());
  await account.append(
    account.mail.getMailbox("Drafts").id,
    await account.prepare(stream(mailText(7)), { mailbox: "Drafts", flags: [] }),
  );
  place.fault = () => ({ kind: "unavailable" });
  const message = openView(account.mail, account.mail.getMailbox("Drafts").id, { readOnly: true }).message(0);
  const [[summary], [header]] = await Promise.all([
    account.contents.readSummaries([message]),
    account.contents.readHeaders([message]),
  ]);
  expect(previewOf(summary!)).toMatch(/^body body/);
  expect(header!.text).toBe("Subject: mail 7\r\nMessage-ID: <7@x>\r\n\r\n");
  place.fault = () => undefined;
  await account.dispose();
});

test("the uids that came next when an account was opened stay as they were, whatever comes", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring } = await makeAccount(place);
  const first = await open(place, ring());
  const inbox = first.mail.getMailbox("INBOX").id;
  const add = async (account: Account, n: number): Promise<unknown> =>
    account.append(inbox, await account.prepare(stream(mailText(n)), { mailbox: "INBOX", flags: [] }));
  await add(first, 1);
  await add(first, 2);
  await first.mail.create("Made");
  expect([first.uidNextAtOpening.get(inbox), first.uidNextAtOpening.size]).toEqual([1, FOLDERS.length]);
  await first.dispose();
  const again = await open(place, ring());
  const made = again.mail.getMailbox("Made").id;
  await add(again, 3);
  expect([again.uidNextAtOpening.get(inbox), again.uidNextAtOpening.get(made)]).toEqual([3, 1]);
  await again.dispose();
});
