import { describe, expect, test, vi } from "vitest";
import { EngineError } from "../../errors.ts";
import { dropbox, mailText, outboundQueue, signer, stream } from "../../testing/account-kit.ts";
import { HandTime, settle } from "../../testing/hand-time.ts";
import { FIRST, quickArgon2, refused, SECOND, setUpAda } from "../../testing/ways-in-kit.ts";
import { changePassword } from "../keys/passwords.ts";
import { rotateAccount } from "../keys/rotate.ts";
import { revokeToken } from "../keys/tokens.ts";
import { deleteAccount } from "../moving/delete-account.ts";
import { Accounts, KEEP_OPEN_MS } from "./accounts.ts";
import { ATTENDANCE_LOOK_MS } from "./attendances.ts";
import { JUDGE_AGAIN_MS, RequestSessions, SESSION_KEPT_MS } from "./request-sessions.ts";

const HERE = "192.0.2.1";
const AWAY = { kind: "unavailable" } as const;
const BASIC = { kind: "password", name: "ada", password: FIRST } as const;

async function setUp() {
  const argon2id = vi.fn(quickArgon2);
  const ada = await setUpAda(argon2id);
  argon2id.mockClear();
  const time = new HandTime();
  const platform = { ...ada.tools.platform, ...time };
  const store = ada.place.open();
  const accounts = new Accounts({ ...ada.tools, store, platform });
  const login = vi.fn((name: string, password: string, address: string) => accounts.login(name, password, address));
  const loginByToken = (token: string, address: string) => accounts.loginByToken(token, address);
  const onClose = vi.fn();
  const sessions = new RequestSessions({ accounts, login, loginByToken, platform, onClose });
  /** One request, over at once. */
  const ask = async (credential: Parameters<RequestSessions["enter"]>[0] = BASIC): Promise<string> => {
    using entered = await sessions.enter(credential, HERE, time.monotonic());
    return entered.session.address;
  };
  const addToken = async (): Promise<{ token: string; id: string }> => {
    using entered = await sessions.enter(BASIC, HERE, time.monotonic());
    const { token, entry } = await entered.session.addToken({ label: `t${time.now()}`, scope: "mail" });
    return { token, id: entry.id };
  };
  return { ...ada, store, argon2id, time, accounts, login, sessions, onClose, ask, addToken };
}

test("1,000 requests with a password are one run of the slow function and one sign-in", async () => {
  const { argon2id, login, ask, sessions, accounts } = await setUp();
  for (let round = 0; round < 100; round++) await Promise.all(Array.from({ length: 10 }, () => ask()));
  expect([argon2id.mock.calls.length, login.mock.calls.length, sessions.size]).toEqual([1, 1, 1]);
  await accounts.dispose();
});

test("of each session that is closed is told once, when nobody uses it", async () => {
  const { sessions, time, onClose, ask, accounts } = await setUp();
  await ask();
  await time.pass(SESSION_KEPT_MS - 1000);
  expect(onClose).not.toHaveBeenCalled();
  await time.pass(2 * SESSION_KEPT_MS);
  expect(onClose).toHaveBeenCalledTimes(1);
  const held = await sessions.enter(BASIC, HERE, time.monotonic());
  sessions.dispose();
  sessions.dispose();
  await time.pass(SESSION_KEPT_MS);
  expect(onClose).toHaveBeenCalledTimes(1);
  held[Symbol.dispose]();
  await time.pass(3 * SESSION_KEPT_MS);
  expect(onClose.mock.calls.map(([{ address }]) => address)).toEqual([held.session.address, held.session.address]);
  await accounts.dispose();
});

test("requests that find out together that a session is over close it once", async () => {
  const { tools, user, ask, onClose, time, accounts } = await setUp();
  await ask();
  await changePassword(tools, user(), FIRST, SECOND);
  const asked = Promise.allSettled([ask(), ask(), ask()]);
  await time.pass(SESSION_KEPT_MS);
  expect((await asked).map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
  await time.pass(3 * SESSION_KEPT_MS);
  expect(onClose).toHaveBeenCalledTimes(1);
  await accounts.dispose();
});

test("a directory is asked again each five minutes, and the slow function is not", async () => {
  const { argon2id, login, ask, time, accounts } = await setUp();
  for (let second = 0; second < 1000; second++) {
    await ask();
    await time.pass((JUDGE_AGAIN_MS - 1000) / 500);
  }
  expect([argon2id.mock.calls.length, login.mock.calls.length]).toEqual([1, 2]);
  login.mockRejectedValueOnce(new EngineError("not-permitted", "the directory has shut them out"));
  await time.pass(JUDGE_AGAIN_MS);
  await expect(ask()).rejects.toMatchObject(refused);
  await accounts.dispose();
});

test("a wrong password is judged each time, and right ones beside it are not hurt", async () => {
  const { login, ask, accounts, time } = await setUp();
  await ask();
  const wrong = ask({ ...BASIC, password: "wrong long sesame" });
  await expect(wrong).rejects.toMatchObject(refused);
  const again = expect(ask({ ...BASIC, password: "wrong long sesame" })).rejects.toMatchObject(refused);
  await ask();
  await time.pass(1000);
  await again;
  expect(login).toHaveBeenCalledTimes(3);
  // The end of a name is not the beginning of a password.
  await expect(ask({ kind: "password", name: "ad", password: `a${FIRST}` })).rejects.toMatchObject(refused);
  await accounts.dispose();
});

test("a password that was changed elsewhere is refused at the next request", async () => {
  const { tools, user, ask, time, accounts } = await setUp();
  await ask();
  await changePassword(tools, user(), FIRST, SECOND);
  await expect(ask()).rejects.toMatchObject(refused);
  // The old password was a wrong guess: the next one waits.
  const right = ask({ ...BASIC, password: SECOND });
  await time.pass(1000);
  expect(await right).toBe("ada@example.org");
  await accounts.dispose();
});

test("so is one of a store that tells of nothing by itself", async () => {
  const { tools, user, store, ask, addToken, accounts } = await setUp();
  Object.defineProperty(store, "freshen", { value: undefined });
  store.watch = () => () => undefined;
  const { token, id } = await addToken();
  await ask({ kind: "token", token });
  await revokeToken(tools, user(), FIRST, id);
  await expect(ask({ kind: "token", token })).rejects.toMatchObject(refused);
  await accounts.dispose();
});

test("the same password goes on where the account has new keys", async () => {
  const { tools, user, ask, accounts } = await setUp();
  await ask();
  await rotateAccount(tools, user(), FIRST);
  expect(await ask()).toBe("ada@example.org");
  await accounts.dispose();
});

test("a store that is away refuses nobody for good", async () => {
  const { place, store, ask, accounts } = await setUp();
  await ask();
  // As a bucket, that is asked each time.
  Object.defineProperty(store, "freshen", { value: undefined });
  place.fault = () => AWAY;
  await expect(ask()).rejects.toMatchObject({ code: "unavailable" });
  place.fault = () => undefined;
  expect(await ask()).toBe("ada@example.org");
  await accounts.dispose();
});

test("a token that was revoked elsewhere is refused at the next request", async () => {
  const { tools, user, ask, addToken, accounts } = await setUp();
  const { token, id } = await addToken();
  expect(await ask({ kind: "token", token })).toBe("ada@example.org");
  await revokeToken(tools, user(), FIRST, id);
  await expect(ask({ kind: "token", token })).rejects.toMatchObject(refused);
  await accounts.dispose();
});

test("a session is kept for a minute after its last request, and keys for ten", async () => {
  const { argon2id, ask, time, sessions, accounts } = await setUp();
  await ask();
  await time.pass(SESSION_KEPT_MS - 1);
  expect(sessions.size).toBe(1);
  await ask();
  await time.pass(2 * SESSION_KEPT_MS);
  expect(sessions.size).toBe(0);
  // The account is open still: no slow function.
  await time.pass(KEEP_OPEN_MS - 3 * SESSION_KEPT_MS);
  await ask();
  expect(argon2id).toHaveBeenCalledTimes(1);
  // To the minute: the time in which the session was kept counts.
  await time.pass(KEEP_OPEN_MS - 1);
  expect(accounts.openCount).toBe(1);
  await time.pass(1);
  expect(accounts.openCount).toBe(0);
  await ask();
  expect(argon2id).toHaveBeenCalledTimes(2);
  await accounts.dispose();
});

test("a request that takes long keeps its session, whatever becomes of the others", async () => {
  const { ask, time, sessions, accounts } = await setUp();
  const long = await sessions.enter(BASIC, HERE, time.monotonic());
  await time.pass(2 * JUDGE_AGAIN_MS + KEEP_OPEN_MS);
  await ask();
  // Theirs are closed by now, and its own was let go of when it was judged anew.
  await time.pass(2 * KEEP_OPEN_MS);
  expect([sessions.size, accounts.openCount]).toEqual([0, 1]);
  expect(long.session.state.inbox.path).toBe("INBOX");
  expect(long.session.ended.aborted).toBe(false);
  await long.session.refresh();
  long[Symbol.dispose]();
  long[Symbol.dispose]();
  await time.pass(2 * KEEP_OPEN_MS);
  expect([sessions.size, accounts.openCount]).toEqual([0, 0]);
});

describe("who attends", () => {
  /** An attendant that counts, for the bearer of a new token or the password's owner. */
  async function attending(by: "token" | "password") {
    const made = await setUp();
    const { token, id } = await made.addToken();
    const credential = by === "token" ? ({ kind: "token", token } as const) : BASIC;
    const seen = { changed: 0, ended: 0 };
    const entered = await made.sessions.enter(credential, HERE, made.time.monotonic());
    const attendant = { changed: () => void seen.changed++, ended: () => void seen.ended++ };
    const leave = entered.attend(attendant);
    entered[Symbol.dispose]();
    await settle();
    seen.changed = 0;
    const deliver = async (n: number): Promise<void> => {
      await dropbox(made.place, made.user()).deliver(new Uint8Array(0), stream(mailText(n)));
      await settle();
    };
    return { ...made, seen, leave, deliver, token, id };
  }

  test("holds no keys: eleven minutes later they are wiped, and a delivery is still told", async () => {
    const { seen, time, accounts, deliver, argon2id, ask } = await attending("token");
    await deliver(1);
    expect(seen.changed).toBeGreaterThan(0);
    await time.pass(KEEP_OPEN_MS + SESSION_KEPT_MS);
    expect(accounts.openCount).toBe(0);
    const before = seen.changed;
    await deliver(2);
    expect(seen.changed).toBeGreaterThan(before);
    expect(seen.ended).toBe(0);
    // A request brings the keys back, and the account tells by itself again.
    await ask();
    await settle();
    const open = seen.changed;
    await deliver(3);
    expect(seen.changed).toBeGreaterThan(open);
    expect(argon2id).toHaveBeenCalledTimes(2);
    await accounts.dispose();
  });

  test.each(["token", "password"] as const)(
    "by a %s that ends is told at once while the account is open",
    async (by) => {
      const { seen, tools, user, id, accounts, ask } = await attending(by);
      if (by === "token") await revokeToken(tools, user(), FIRST, id);
      else await changePassword(tools, user(), FIRST, SECOND);
      await settle();
      expect(seen.ended).toBe(1);
      await expect(ask(by === "token" ? { kind: "token", token: "rst_" } : BASIC)).rejects.toMatchObject(refused);
      await settle();
      expect(seen.ended).toBe(1);
      await accounts.dispose();
    },
  );

  test("is told of its last way in by the log, before its slot is gone", async () => {
    const { seen, tools, user, store, accounts } = await attending("password");
    // The server can't look for slots.
    const list = store.list.bind(store);
    store.list = (prefix, options) =>
      prefix.includes("/slot/") ? new Promise(() => undefined) : list(prefix, options);
    await changePassword(tools, user(), FIRST, SECOND);
    await settle();
    expect(seen.ended).toBe(1);
    await accounts.dispose();
  });

  test("stays when the password is sealed anew while nobody has keys", async () => {
    const { seen, place, time } = await attending("password");
    await time.pass(KEEP_OPEN_MS + SESSION_KEPT_MS);
    const [name, { bytes }] = [...place.objects].find(([key]) => key.includes("slot/password-"))!;
    place.write(name.replace(/-[^-]*$/, "-0000000000000000"), bytes);
    place.objects.delete(name);
    await time.pass(2 * ATTENDANCE_LOOK_MS);
    expect(seen.ended).toBe(0);
  });

  test("is told that the last way in has ended", async () => {
    const { seen, tools, user, accounts } = await attending("password");
    await rotateAccount(tools, user(), FIRST);
    await settle();
    expect(seen.ended).toBe(1);
    await accounts.dispose();
  });

  test.each(["token", "password"] as const)(
    "by a %s that ends is told within a minute while nobody has keys",
    async (by) => {
      const { seen, tools, user, id, time, accounts } = await attending(by);
      await time.pass(KEEP_OPEN_MS + SESSION_KEPT_MS);
      expect([accounts.openCount, seen.ended]).toEqual([0, 0]);
      await time.pass(10 * ATTENDANCE_LOOK_MS);
      expect(seen.ended).toBe(0);
      if (by === "token") await revokeToken(tools, user(), FIRST, id);
      else await changePassword(tools, user(), FIRST, SECOND);
      await time.pass(ATTENDANCE_LOOK_MS);
      expect(seen.ended).toBe(1);
    },
  );

  test("is told that the account is deleted, locked or not", async () => {
    const { seen, tools, user, time } = await attending("password");
    await time.pass(KEEP_OPEN_MS + SESSION_KEPT_MS);
    await deleteAccount({ ...tools, queue: outboundQueue(tools.store), signer }, user());
    await time.pass(ATTENDANCE_LOOK_MS);
    expect(seen.ended).toBe(1);
  });

  test("is not ended by a store that can't be asked", async () => {
    const { seen, place, time } = await attending("token");
    await time.pass(KEEP_OPEN_MS + SESSION_KEPT_MS);
    place.fault = () => AWAY;
    await time.pass(5 * ATTENDANCE_LOOK_MS);
    place.fault = () => undefined;
    await time.pass(ATTENDANCE_LOOK_MS);
    expect(seen.ended).toBe(0);
  });

  test("is told when a token expires", async () => {
    const { seen, time } = await attending("token");
    await time.pass(29 * 86_400_000);
    expect(seen.ended).toBe(0);
    await time.pass(86_400_000 + ATTENDANCE_LOOK_MS);
    expect(seen.ended).toBe(1);
  });

  test("and leaves is told nothing, and nothing of it stays", async () => {
    const { seen, leave, deliver, time, accounts, place } = await attending("token");
    leave();
    leave();
    await deliver(1);
    expect(seen.changed).toBe(0);
    await time.pass(KEEP_OPEN_MS + SESSION_KEPT_MS);
    expect(accounts.openCount).toBe(0);
    const asked = vi.fn();
    place.fault = asked;
    await time.pass(10 * ATTENDANCE_LOOK_MS);
    expect(asked).not.toHaveBeenCalled();
    expect(seen.ended).toBe(0);
  });
});
