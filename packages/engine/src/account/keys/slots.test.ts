import { describe, expect, test, vi } from "vitest";
import { BARRED } from "../../bay/bay.ts";
import { openSlot, utf8 } from "../../crypto/index.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { StoreError } from "../../storage/object-store.ts";
import { dropbox, mailText, platform, stream } from "../../testing/account-kit.ts";
import {
  FIRST,
  passwordSlots,
  quickArgon2,
  refused,
  SECOND,
  setUpAda,
  setUpWeakSlot,
} from "../../testing/ways-in-kit.ts";
import { openLog } from "../open-log.ts";
import { Accounts } from "../sign-in/accounts.ts";
import { accountPrefix } from "../sign-in/users.ts";
import { addAppPassword, listAppPasswords, revokeAppPassword } from "./app-passwords.ts";
import { isCommonPassword } from "./common-passwords.ts";
import { changePassword, recoverAccount } from "./passwords.ts";
import { rotateAccount } from "./rotate.ts";

describe("app passwords", () => {
  test("one opens the account by one request and no slow function; its label is sealed, and listed by the owner", async () => {
    const argon2id = vi.fn(quickArgon2);
    const { place, tools, accounts, user } = await setUpAda(argon2id);
    const { appPassword } = await addAppPassword(tools, user(), FIRST, "  My phone ");
    await addAppPassword(tools, user(), FIRST, "Laptop");
    expect((await listAppPasswords(tools, user(), FIRST)).map(({ label }) => label)).toEqual(["My phone", "Laptop"]);
    await expect(addAppPassword(tools, user(), FIRST, "Laptop")).rejects.toMatchObject({ code: "already-exists" });
    await expect(addAppPassword(tools, user(), "wrong", "Other")).rejects.toMatchObject(refused);
    await expect(addAppPassword(tools, user(), FIRST, " ")).rejects.toMatchObject({ code: "invalid" });
    for (const { bytes } of place.objects.values()) expect(Buffer.from(bytes).includes("phone")).toBe(false);
    const server = accounts();
    argon2id.mockClear();
    const asked: string[] = [];
    place.fault = (operation, name) => {
      if (name.includes("/slot/")) asked.push(operation);
      return undefined;
    };
    const session = await server.login("ada", appPassword.toUpperCase().replaceAll("-", " "), "192.0.2.1");
    expect(asked).toEqual(["get"]);
    expect(argon2id).not.toHaveBeenCalled();
    expect(session.state.inbox.path).toBe("INBOX");
    const wrong = appPassword.slice(0, 9) + appPassword.slice(9).replace(/./g, (char) => (char === "-" ? "-" : "0"));
    await expect(server.login("ada", wrong, "192.0.2.1")).rejects.toMatchObject(refused);
    await server.dispose();
  });

  test("what is revoked signs in no more, and who came in by it is signed out at once", async () => {
    const { tools, accounts, user } = await setUpAda();
    const { appPassword, id } = await addAppPassword(tools, user(), FIRST, "Phone");
    const server = accounts();
    const [byApp, byPassword] = [await server.login("ada", appPassword, ""), await server.login("ada", FIRST, "")];
    const told = new Promise<void>((resolve) => byApp.onChange(() => byApp.ended.aborted && resolve()));
    await revokeAppPassword(tools, user(), FIRST, id);
    await told;
    expect(() => byApp.state).toThrow("changed or revoked");
    expect(byPassword.ended.aborted).toBe(false);
    await expect(server.login("ada", appPassword, "")).rejects.toMatchObject(refused);
    expect(await listAppPasswords(tools, user(), FIRST)).toEqual([]);
    await expect(revokeAppPassword(tools, user(), FIRST, "Phone")).rejects.toMatchObject({ code: "not-found" });
    await server.dispose();
  });

  test("an app password outlives a change of the password; sessions by the old password do not", async () => {
    const { tools, accounts, user } = await setUpAda();
    const { appPassword } = await addAppPassword(tools, user(), FIRST, "Phone");
    const server = accounts();
    const [byApp, byPassword] = [await server.login("ada", appPassword, ""), await server.login("ada", FIRST, "")];
    await changePassword(tools, user(), FIRST, SECOND);
    await byApp.refresh();
    expect([byApp.ended.aborted, byPassword.ended.aborted]).toEqual([false, true]);
    (await server.login("ada", SECOND, "")).close();
    await server.dispose();
  });
});

describe("new keys", () => {
  test("all old ways in end; mail sealed to the old key is read, and a running server goes on", async () => {
    const { place, tools, accounts, user, recoveryCode } = await setUpAda();
    const { appPassword } = await addAppPassword(tools, user(), FIRST, "Phone");
    const old = user();
    const prefix = accountPrefix(old.record);
    const [slotName, slot] = [...place.objects].find(([name]) => name.includes("slot/password-"))!;
    const secret = { kind: "password", secret: utf8(FIRST), pepper: tools.pepper! } as const;
    const oldRing = (await openSlot(tools.platform.crypto, slotName.slice(prefix.length), slot.bytes, secret))!;
    const server = accounts();
    const before = await server.login("ada", FIRST, "");
    const box = dropbox(place, old);
    const rotated = await rotateAccount(tools, old, FIRST);
    expect(user().record.keyVersion).toBe(2);
    // A deliverer that has not seen the new record yet.
    await box.deliver(new Uint8Array(0), stream(mailText(1)));
    await dropbox(place, user()).deliver(new Uint8Array(0), stream(mailText(2)));
    await vi.waitFor(() => expect(before.ended.aborted).toBe(true));
    const after = await server.login("ada", FIRST, "");
    await after.refresh();
    expect(after.state.inbox.messages.length).toBe(2);
    await after.create("Written under the new keys");
    await expect(server.login("ada", appPassword, "")).rejects.toMatchObject(refused);
    await expect(recoverAccount(tools, user(), recoveryCode, SECOND)).rejects.toMatchObject(refused);
    // The old keys open nothing that came since, not even with the old slot put back.
    await expect(openLog(place.open(), prefix, platform, oldRing)).rejects.toMatchObject(refused);
    place.write(slotName, slot.bytes);
    await expect(accounts().login("ada", "wrong password here", "")).rejects.toMatchObject(refused);
    await recoverAccount(tools, user(), rotated.recoveryCode, SECOND);
    (await server.login("ada", SECOND, "")).close();
    await server.dispose();
  });

  test("that an entry or a checkpoint says so is believed where the log lists them: else what came before is read", async () => {
    const { place, tools, accounts, user } = await setUpAda();
    const server = accounts();
    const session = await server.login("ada", FIRST, "");
    for (const path of ["One", "Two", "Three"]) await session.create(path);
    const prefix = accountPrefix(user().record);
    const entries = [...place.objects.keys()].filter((name) => name.startsWith(`${prefix}log/`)).sort();
    for (const [name, known] of [
      [entries.at(-1)!, ["One", "Two"]],
      [entries.at(-2)!, ["One"]],
    ] as const) {
      const { bytes } = place.objects.get(name)!;
      const claim = bytes.slice();
      // The key version of a sealed object, behind the entry's own length.
      claim[7] = 2;
      place.write(name, claim);
      const other = accounts();
      const opened = await other.login("ada", FIRST, "");
      expect(opened.barred).toBe(BARRED.damaged);
      const paths = opened.state.liveMailboxes().map(({ path }) => path);
      expect(paths.filter((path) => /^(One|Two|Three)$/.test(path)).sort()).toEqual([...known].sort());
      await expect(addAppPassword(tools, user(), FIRST, "Phone")).rejects.toThrow(BARRED.damaged);
      await other.dispose();
      place.write(name, bytes);
    }
    await server.dispose();
  });

  test("a record that a crash left old is put right by the next sign-in", async () => {
    const { tools, accounts, users, user } = await setUpAda();
    const old = user();
    await rotateAccount(tools, old, FIRST);
    users.users = [old];
    const server = accounts();
    (await server.login("ada", FIRST, "")).close();
    expect(user().record.keyVersion).toBe(2);
    await server.dispose();
  });
});

/** A store that works until its `nth` write, which it does or not, and then never again. */
function dyingStore(store: ObjectStore, nth: number, done: boolean): ObjectStore {
  let writes = 0;
  const dead = (): never => {
    throw new StoreError("unavailable", "the process is dead");
  };
  const guard =
    <A extends unknown[], T>(call: (...args: A) => Promise<T>, isWrite: boolean) =>
    async (...args: A): Promise<T> => {
      if (writes >= nth) dead();
      if (!isWrite || ++writes < nth) return call(...args);
      if (done) await call(...args);
      return dead();
    };
  return {
    put: guard((...args) => store.put(...args), true),
    putIfAbsent: guard((...args) => store.putIfAbsent(...args), true),
    delete: guard((...args) => store.delete(...args), true),
    get: guard((...args) => store.get(...args), false),
    list: guard((...args) => store.list(...args), false),
    watch: () => () => undefined,
    dispose: () => store.dispose(),
  };
}

describe("changes of the ways in", () => {
  test("a slot of weaker parameters is sealed anew when its password is seen, and nobody is signed out", async () => {
    const { place, accounts } = await setUpWeakSlot();
    const [one, two] = [accounts(), accounts()];
    const before = passwordSlots(place);
    const session = await one.login("ada", FIRST, "");
    const after = passwordSlots(place);
    expect(after).toEqual([expect.stringMatching(/^slot\/password-000001-/)]);
    expect(after).not.toEqual(before);
    await session.refresh();
    expect(session.ended.aborted).toBe(false);
    for (const server of [one, two]) (await server.login("ada", FIRST, "")).close();
    expect(passwordSlots(place)).toEqual(after);
    await Promise.all([one.dispose(), two.dispose()]);
  });

  test("a rotation that is cut short at any write loses nothing that is written afterwards, and locks nobody out", async () => {
    for (let at = 1, ended = false; !ended; at++)
      for (const done of [false, true]) {
        const { place, tools, accounts, user } = await setUpAda();
        const { appPassword } = await addAppPassword(tools, user(), FIRST, "Phone");
        const store = dyingStore(place.open(), at, done);
        ended = await rotateAccount({ ...tools, store }, user(), FIRST).then(
          () => true,
          () => false,
        );
        // Several at once, on a server that opens the account anew: some try a slot that was never listed.
        const server = accounts();
        const [session, other] = await Promise.all([server.login("ada", FIRST, ""), server.login("ada", FIRST, "")]);
        const isRotated = user().record.keyVersion === 2;
        const phone = await server.login("ada", appPassword, "").catch((error: unknown) => {
          expect(error).toMatchObject(refused);
          return undefined;
        });
        expect(phone === undefined).toBe(isRotated);
        await session.create("Written afterwards");
        for (const one of [session, other, phone]) one?.close();
        await server.dispose();
        await changePassword(tools, user(), FIRST, SECOND);
        const after = accounts();
        const reader = await after.login("ada", SECOND, "");
        expect(reader.getMailbox("Written afterwards").path).toBe("Written afterwards");
        if (!isRotated) (await after.login("ada", appPassword, "")).close();
        reader.close();
        await after.dispose();
      }
  });

  test("a password that could be an app password is refused: it would open nothing", async () => {
    const { tools, user } = await setUpAda();
    const { appPassword } = await addAppPassword(tools, user(), FIRST, "Phone");
    await expect(changePassword(tools, user(), FIRST, appPassword)).rejects.toMatchObject({ code: "invalid" });
  });

  /** The other process meanwhile: it does nothing, or begins so many turns later, or earlier. */
  const MEETINGS = ["alone", 0, 40, 150, -40, -150] as const;
  const turns = async (count: number): Promise<void> => {
    for (let turn = 0; turn < count; turn++) await undefined;
  };

  test.each(["change", "rehash"] as const)(
    "a crash at any write of a %s: one password opens, and the recovery code",
    async (dying) => {
      for (const meeting of MEETINGS)
        for (const done of [false, true])
          for (let nth = 1; nth <= 6; nth++) {
            const where = `dies ${done ? "after" : "before"} write ${nth}, ${meeting}`;
            const { place, tools, accounts, user, recoveryCode } = await setUpWeakSlot();
            const storeOf = (who: typeof dying): ObjectStore =>
              who === dying ? dyingStore(place.open(), nth, done) : place.open();
            const server = new Accounts({ ...tools, store: storeOf("rehash") });
            const lag = meeting === "alone" ? 0 : meeting;
            const work: Record<typeof dying, () => Promise<unknown>> = {
              change: () => changePassword({ ...tools, store: storeOf("change") }, user(), FIRST, SECOND),
              rehash: () => server.login("ada", FIRST, ""),
            };
            const other = dying === "change" ? "rehash" : "change";
            const results = await Promise.allSettled([
              turns(Math.max(0, -lag)).then(work[dying]),
              meeting === "alone" ? undefined : turns(Math.max(0, lag)).then(work[other]),
            ]);
            const changed = meeting === "alone" && other === "change" ? undefined : results[dying === "change" ? 0 : 1];
            const fresh = accounts();
            const opens = async (password: string): Promise<boolean> =>
              fresh.login("ada", password, `192.0.2.${nth}`).then(
                (session) => {
                  session.close();
                  return true;
                },
                (error: unknown) => {
                  expect(error, where).toMatchObject(refused);
                  return false;
                },
              );
            const found = [await opens(FIRST), await opens(SECOND)];
            expect(
              found.filter((opened) => opened),
              where,
            ).toHaveLength(1);
            if (changed?.status === "fulfilled") expect(found, where).toEqual([false, true]);
            await recoverAccount(tools, user(), recoveryCode, "third long sesame");
            expect(await opens("third long sesame"), where).toBe(true);
            expect(passwordSlots(place), where).toHaveLength(1);
            await Promise.all([fresh.dispose(), server.dispose()]);
          }
    },
  );

  test("an old slot put back opens nothing; a slot that is damaged hides no other", async () => {
    const { place, tools, accounts, user } = await setUpAda();
    const [name, slot] = [...place.objects].find(([key]) => key.includes("slot/password-"))!;
    await changePassword(tools, user(), FIRST, SECOND);
    place.write(name, slot.bytes);
    place.write(`${name.slice(0, 33)}slot/password-999999-0`, new Uint8Array(200));
    const server = accounts();
    await expect(server.login("ada", FIRST, "")).rejects.toMatchObject(refused);
    (await server.login("ada", SECOND, "")).close();
    await server.dispose();
  });

  test("with the pepper lost, the recovery code opens, and a password set by it", async () => {
    const { tools, user, recoveryCode } = await setUpAda();
    const lost = { ...tools, pepper: new Uint8Array(32).fill(4) };
    const server = new Accounts({ ...lost });
    await expect(server.login("ada", FIRST, "")).rejects.toMatchObject(refused);
    await recoverAccount(lost, user(), recoveryCode, SECOND);
    (await server.login("ada", SECOND, "")).close();
    await server.dispose();
  });
});

test("common passwords are known in any dress; four words are not", () => {
  for (const common of [
    "passwordpassword",
    "P@ssw0rd12345",
    "qwertyuiop1234",
    "1q2w3e4r5t6y",
    "Summer2024!!!!",
    "iloveyou iloveyou",
    "correct horse battery staple",
    "Willkommen123!",
    "123456789012",
  ])
    expect(isCommonPassword(common), common).toBe(true);
  for (const good of ["first long sesame", "velvet-otter-lamp-92", "8462913750184", "restante-demo", "Zq7#mv!pLw2x"])
    expect(isCommonPassword(good), good).toBe(false);
});
