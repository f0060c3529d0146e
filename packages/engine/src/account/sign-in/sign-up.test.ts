import { describe, expect, test } from "vitest";
import { EngineError } from "../../errors.ts";
import { MemoryPlace } from "../../storage/memory.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { StoreError } from "../../storage/object-store.ts";
import { clock, crypto, MemoryUsers, platform } from "../../testing/account-kit.ts";
import { FIRST, quickArgon2, SECOND } from "../../testing/ways-in-kit.ts";
import { Accounts } from "./accounts.ts";
import { type SignUp, signUp } from "./sign-up.ts";
import type { User } from "./users.ts";

const ADDRESS = "ada@example.org";

class Users extends MemoryUsers {
  /** Runs in the midst of an `add`; what it throws, that throws. */
  inAdd: (user: User) => Promise<void> = async () => undefined;

  override async add(user: User): Promise<void> {
    await this.inAdd(user);
    if (this.users.length > 0) throw new EngineError("already-exists", "exists");
    await super.add(user);
  }
}

function setUp() {
  const place = new MemoryPlace(() => clock.now++);
  const users = new Users();
  const host = { ...platform, crypto: { ...crypto, argon2id: quickArgon2 } };
  const tools: SignUp = { store: place.open(), users, platform: host, pepper: undefined };
  /** Accounts that the place holds anything of. */
  const accounts = (): string[] => [...new Set([...place.objects.keys()].map((name) => name.split("/")[0]!))];
  const signsIn = async (password: string): Promise<void> => {
    const server = new Accounts({ ...tools, store: place.open() });
    (await server.login(ADDRESS, password, "")).close();
    await server.dispose();
  };
  return { place, users, tools, accounts, signsIn };
}

describe("an account that is not made leaves nothing behind", () => {
  test("when another of that address was made meanwhile, which is whole", async () => {
    const { users, tools, accounts, signsIn } = setUp();
    users.inAdd = async () => {
      users.inAdd = async () => undefined;
      await signUp(tools, ADDRESS, SECOND);
    };
    await expect(signUp(tools, ADDRESS, FIRST)).rejects.toMatchObject({ code: "already-exists" });
    expect(accounts()).toHaveLength(1);
    await signsIn(SECOND);
  });

  test("when a directory has nobody of that address", async () => {
    const { users, tools, accounts } = setUp();
    users.inAdd = async () => {
      throw new EngineError("not-found", "nobody");
    };
    await expect(signUp(tools, ADDRESS, FIRST)).rejects.toMatchObject({ code: "not-found" });
    expect(accounts()).toEqual([]);
  });

  test("when the store fails at any write", async () => {
    for (let at = 1; ; at++) {
      const { place, users, tools, accounts, signsIn } = setUp();
      let writes = 0;
      place.fault = (operation) => (operation === "putIfAbsent" && ++writes === at ? { kind: "full" } : undefined);
      const made = await signUp(tools, ADDRESS, FIRST).catch((error: unknown) => {
        expect(error).toMatchObject({ code: "over-quota" });
      });
      place.fault = () => undefined;
      expect(accounts()).toHaveLength(made ? 1 : 0);
      expect(users.users).toHaveLength(made ? 1 : 0);
      if (!made) continue;
      expect(at).toBeGreaterThan(3);
      await signsIn(FIRST);
      break;
    }
  });
});

describe("an account that is made, or may be, stays whole", () => {
  test("when its own entry is what exists: the first answer was lost", async () => {
    const { users, tools, signsIn } = setUp();
    users.inAdd = async (user) => void users.users.push(user);
    await signUp(tools, ADDRESS, FIRST);
    await signsIn(FIRST);
  });

  test("when nobody can say whether it was added", async () => {
    const { users, tools, signsIn } = setUp();
    users.inAdd = async (user) => {
      users.users.push(user);
      throw new EngineError("unavailable", "no answer");
    };
    await expect(signUp(tools, ADDRESS, FIRST)).rejects.toMatchObject({ code: "unavailable" });
    await signsIn(FIRST);
  });

  test("when it can't be told whose entry exists", async () => {
    const { users, tools, signsIn } = setUp();
    users.inAdd = async (user) => {
      users.users.push(user);
      users.find = async () => {
        throw new EngineError("unavailable", "away");
      };
    };
    await expect(signUp(tools, ADDRESS, FIRST)).rejects.toMatchObject({ code: "unavailable" });
    users.find = Users.prototype.find;
    await signsIn(FIRST);
  });
});

test("what can't be deleted either is told to the operator; the failure that is told is the first", async () => {
  const { tools } = setUp();
  const events: string[] = [];
  const store: ObjectStore = {
    ...tools.store,
    putIfAbsent: () => Promise.reject(new StoreError("full", "full")),
    list: () => Promise.reject(new StoreError("unavailable", "away")),
  };
  const host = { ...tools.platform, log: ({ event }: { readonly event: string }) => void events.push(event) };
  await expect(signUp({ ...tools, store, platform: host }, ADDRESS, FIRST)).rejects.toMatchObject({
    code: "over-quota",
  });
  expect(events).toEqual(["objects of an account that was not made stay"]);
});
