import { describe, expect, test } from "vitest";
import { MemoryPlace } from "../../storage/memory.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { FIRST, passwordSlots, refused, SECOND, setUpAda, setUpWeakSlot } from "../../testing/ways-in-kit.ts";
import { changePassword } from "./passwords.ts";
import { rotateAccount } from "./rotate.ts";
import { SLOT_LOOKS_MAX } from "./slots.ts";

/** A store whose first such request, of key slots, is met by `work`: once it was answered, or before. */
function metStore(store: ObjectStore, meeting: Meeting, work: () => Promise<unknown>): ObjectStore {
  let met = false;
  const meet = async <T>(operation: "list" | "get", name: string, call: () => Promise<T>): Promise<T> => {
    if (met || operation !== meeting.of || !name.includes("/slot/")) return call();
    met = true;
    const answer = meeting.answered ? await call() : undefined;
    await work();
    return answer ?? call();
  };
  return {
    put: (...args) => store.put(...args),
    putIfAbsent: (...args) => store.putIfAbsent(...args),
    delete: (...args) => store.delete(...args),
    get: (name, ...rest) => meet("get", name, () => store.get(name, ...rest)),
    list: (prefix, ...rest) => meet("list", prefix, () => store.list(prefix, ...rest)),
    watch: (...args) => store.watch(...args),
    dispose: () => store.dispose(),
  };
}
interface Meeting {
  readonly of: "list" | "get";
  readonly answered: boolean;
}
const MEETING: readonly Meeting[] = [
  { of: "list", answered: false },
  { of: "list", answered: true },
  { of: "get", answered: true },
];

describe.each(["rehash", "rotation"] as const)("a right password that meets a %s", (what) => {
  async function meet(meeting: Meeting) {
    const made = await setUpWeakSlot();
    const { place, tools, accounts, user } = made;
    const other = accounts();
    const work = async (): Promise<void> => {
      if (what === "rotation") await rotateAccount(tools, user(), FIRST);
      else (await other.login("ada", FIRST, "")).close();
      await other.dispose();
    };
    return { ...made, store: metStore(place.open(), meeting, work) };
  }

  test.each(MEETING)("signs in (met at its $of, answered: $answered)", async (meeting) => {
    const { accounts, store } = await meet(meeting);
    const server = accounts(store);
    const session = await server.login("ada", FIRST, "");
    await session.create("Written afterwards");
    session.close();
    await server.dispose();
  });

  test.each(MEETING)("changes the password (met at its $of, answered: $answered)", async (meeting) => {
    const { tools, store, user, accounts } = await meet(meeting);
    await changePassword({ ...tools, store }, user(), FIRST, SECOND);
    const server = accounts();
    (await server.login("ada", SECOND, "")).close();
    await server.dispose();
  });
});

test("a store that lists a slot and never has it is asked a few times, and no more", async () => {
  const { place, tools, accounts, user } = await setUpAda();
  const slot = [...place.objects.keys()].find((name) => name.includes("slot/password-"))!;
  const missing = new MemoryPlace();
  const store: ObjectStore = {
    ...metStore(place.open(), { of: "list", answered: false }, async () => undefined),
    get: (name, ...rest) => (name === slot ? missing : place).open().get(name, ...rest),
  };
  const server = accounts(store);
  await expect(server.login("ada", FIRST, "")).rejects.toMatchObject(refused);
  expect(missing.counts.get).toBe(SLOT_LOOKS_MAX);
  await expect(changePassword({ ...tools, store }, user(), FIRST, SECOND)).rejects.toMatchObject(refused);
  expect(missing.counts.get).toBe(2 * SLOT_LOOKS_MAX);
  await server.dispose();
});

/** A change of the password gets as far as its slot. */
function unlisted(place: MemoryPlace): MemoryPlace["fault"] {
  return (operation, name) => {
    const isMade = passwordSlots(place).length > 1;
    return isMade && operation === "putIfAbsent" && name.includes("/log/") ? { kind: "unavailable" } : undefined;
  };
}

test("a delete whose answer was lost, and that is done after a later change, locks nobody out", async () => {
  const { place, tools, accounts, user } = await setUpAda();
  const [old] = passwordSlots(place);
  place.fault = unlisted(place);
  await expect(changePassword(tools, user(), FIRST, SECOND)).rejects.toMatchObject({ code: "unavailable" });
  let late: (() => void) | undefined;
  const release = (run: () => void): void => {
    late = run;
  };
  place.fault = (operation) => (operation === "delete" && !late ? { kind: "late", release } : undefined);
  await expect(changePassword(tools, user(), FIRST, SECOND)).rejects.toMatchObject({ code: "unknown-outcome" });
  await changePassword(tools, user(), FIRST, SECOND);
  expect(passwordSlots(place)).not.toContain(old);
  late!();
  expect(passwordSlots(place)).toHaveLength(1);
  const server = accounts();
  (await server.login("ada", SECOND, "")).close();
  await server.dispose();
});

test("a slot of a change that came to nothing does not open by the name of another", async () => {
  const { place, tools, accounts, user } = await setUpAda();
  // New keys whose slots are stored and never listed.
  place.fault = unlisted(place);
  await expect(rotateAccount(tools, user(), FIRST)).rejects.toMatchObject({ code: "unavailable" });
  place.fault = () => undefined;
  // The reader of that slot meets a change that makes the next one valid.
  const work = async (): Promise<unknown> => changePassword(tools, user(), FIRST, FIRST);
  const server = accounts(metStore(place.open(), { of: "get", answered: true }, work));
  const session = await server.login("ada", FIRST, "");
  await session.create("Written afterwards");
  session.close();
  await server.dispose();
  const after = accounts();
  const reader = await after.login("ada", FIRST, "");
  expect(reader.getMailbox("Written afterwards").path).toBe("Written afterwards");
  reader.close();
  await after.dispose();
});
