import { describe, expect, test } from "vitest";
import { EngineError } from "../../errors.ts";
import { MemoryPlace } from "../../storage/memory.ts";
import { clock, crypto, MemoryUsers, platform } from "../../testing/account-kit.ts";
import { FIRST, quickArgon2, SECOND } from "../../testing/ways-in-kit.ts";
import { addAppPassword } from "../keys/app-passwords.ts";
import { changePassword } from "../keys/passwords.ts";
import { rotateAccount } from "../keys/rotate.ts";
import type { Platform } from "../platform.ts";
import { Accounts } from "./accounts.ts";
import { DirectoryLogin } from "./directory-login.ts";
import { FIRST_DELAY_MS } from "./throttle.ts";
import type { PasswordDirectory, Person, User } from "./users.ts";

const ADDRESS = "ada@example.org";
const HERE = "192.0.2.1";

/** A directory with one person in it, that counts the passwords it is asked for. */
class Directory extends MemoryUsers implements PasswordDirectory {
  password = FIRST;
  judged = 0;
  isAway = false;
  /** Another process is first: it puts its key there while ours is made. */
  meanwhile: (() => Promise<void>) | undefined;

  async findPerson(name: string): Promise<Person | undefined> {
    if (this.isAway) throw new EngineError("unavailable", "away");
    if (!["ada", "ada ", ADDRESS].includes(name)) return undefined;
    return { entry: "uid=ada", address: ADDRESS, record: this.users[0]?.record };
  }

  async isPassword(_person: Person, password: string): Promise<boolean> {
    this.judged++;
    return password === this.password;
  }

  override async add(user: User): Promise<void> {
    await this.meanwhile?.();
    if (this.users.length > 0) throw new EngineError("already-exists", "exists");
    await super.add(user);
  }
}

function setUp() {
  const place = new MemoryPlace(() => clock.now++);
  const users = new Directory();
  const waits: number[] = [];
  const host: Platform = {
    ...platform,
    crypto: { ...crypto, argon2id: quickArgon2 },
    async delay(ms, signal) {
      waits.push(ms);
      await platform.delay(ms, signal);
    },
  };
  const tools = { store: place.open(), users, platform: host, pepper: undefined };
  const server = (): DirectoryLogin => {
    const accounts = new Accounts({ ...tools, store: place.open() });
    return new DirectoryLogin({ ...tools, accounts });
  };
  const slots = (): string[] => [...place.objects.keys()].filter((name) => name.includes("/slot/"));
  return { place, users, tools, waits, server, slots, user: () => users.users[0]! };
}

describe("sign-in by a directory", () => {
  test("the first one makes the account once, with no recovery code, until new keys show one", async () => {
    const { users, tools, server, slots, user } = setUp();
    const login = server();
    const sessions = await Promise.all(["ada", ADDRESS, "ada"].map((name) => login.login(name, FIRST, HERE)));
    expect(sessions.map(({ address }) => address)).toEqual([ADDRESS, ADDRESS, ADDRESS]);
    expect(users.users).toHaveLength(1);
    expect(slots()).toEqual([expect.stringMatching(/\/slot\/password-000001-/)]);
    for (const session of sessions) session.close();
    await rotateAccount(tools, user(), FIRST);
    expect(slots().filter((name) => name.includes("/slot/recovery-"))).toHaveLength(1);
    (await server().login("ada", FIRST, HERE)).close();
  });

  test("of two processes that make it at once, one's keys stay, and both let the owner in", async () => {
    const { users, server } = setUp();
    const other = server();
    users.meanwhile = async () => {
      users.meanwhile = undefined;
      (await other.login("ada", FIRST, HERE)).close();
    };
    const session = await server().login("ada", FIRST, HERE);
    expect(users.users).toHaveLength(1);
    expect(session.state.inbox.path).toBe("INBOX");
    session.close();
  });

  test("a wrong password, an empty one and an unknown name: the same words, after the same time; no account", async () => {
    const { users, server, waits, slots } = setUp();
    const login = server();
    const refusals = [];
    for (const [name, password] of [
      ["ada", "wrong long sesame"],
      ["bob", FIRST],
      [ADDRESS, ""],
    ] as const)
      refusals.push(
        await login.login(name, password, `192.0.2.${refusals.length + 7}`).catch((error: unknown) => error),
      );
    for (const refusal of refusals)
      expect(refusal).toMatchObject({ code: "not-permitted", message: "wrong user name or password" });
    expect(waits.filter((ms) => ms > 200)).toHaveLength(3);
    expect(users.users).toEqual([]);
    expect(slots()).toEqual([]);
  });

  test("wrong passwords are counted by the person, however the name is spelled", async () => {
    const { server, waits } = setUp();
    const login = server();
    for (const name of ["ada", ADDRESS, "ada "])
      await expect(login.login(name, "wrong long sesame", HERE)).rejects.toMatchObject({ code: "not-permitted" });
    waits.length = 0;
    (await login.login("ada", FIRST, HERE)).close();
    expect(waits[0]).toBe(FIRST_DELAY_MS * 4);
  });

  test("a password that the directory changed lets in and opens nothing; the former one makes the new slot", async () => {
    const { users, tools, server, user } = setUp();
    (await server().login("ada", FIRST, HERE)).close();
    users.password = SECOND;
    await expect(server().login("ada", FIRST, HERE)).rejects.toMatchObject({ code: "not-permitted" });
    await expect(server().login("ada", SECOND, HERE)).rejects.toMatchObject({ code: "locked" });
    await changePassword(tools, user(), FIRST, SECOND);
    (await server().login("ada", SECOND, HERE)).close();
  });

  test("an app password is asked of nobody but its slot; a directory that is away is no wrong password", async () => {
    const { users, tools, server, user } = setUp();
    const login = server();
    (await login.login("ada", FIRST, HERE)).close();
    const { appPassword } = await addAppPassword(tools, user(), FIRST, "Phone");
    users.judged = 0;
    (await login.login("ada", appPassword, HERE)).close();
    expect(users.judged).toBe(0);
    users.isAway = true;
    for (const password of [FIRST, "wrong long sesame"])
      await expect(login.login("ada", password, HERE)).rejects.toMatchObject({ code: "unavailable" });
  });

  test("a first password that is too short makes no account", async () => {
    const { users, server, slots } = setUp();
    users.password = "short";
    await expect(server().login("ada", "short", HERE)).rejects.toMatchObject({ code: "invalid" });
    expect(slots()).toEqual([]);
  });
});
