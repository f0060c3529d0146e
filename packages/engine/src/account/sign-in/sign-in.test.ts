import { expect, test, vi } from "vitest";
import { CryptoError, formatAppPassword } from "../../crypto/index.ts";
import { FIRST, PREFIX_CHARS, quickArgon2, refused, setUpAda } from "../../testing/ways-in-kit.ts";
import { Accounts, KEEP_OPEN_MS } from "./accounts.ts";
import { FIRST_DELAY_MS } from "./throttle.ts";

/** A server that notes what its sign-ins wait for. */
async function setUp() {
  const { place, tools } = await setUpAda();
  const { platform } = tools;
  const waits: number[] = [];
  const delay: typeof platform.delay = (ms, signal) => {
    if (ms < KEEP_OPEN_MS) waits.push(ms);
    return platform.delay(ms, signal);
  };
  const server = new Accounts({ ...tools, store: place.open(), platform: { ...platform, delay } });
  return { server, waits };
}

test("wrong passwords that come at once wait as they would one after another", async () => {
  const { server, waits } = await setUp();
  const guess = async (n: number): Promise<void> => {
    await expect(server.login("ada", `wrong long sesame ${n}`, "192.0.2.1")).rejects.toMatchObject(refused);
  };
  await Promise.all([0, 1, 2, 3].map(guess));
  expect(waits).toEqual([1, 2, 4].map((times) => times * FIRST_DELAY_MS));
  await server.dispose();
});

test("an unknown user takes what a known one takes: the same requests, the same slow function, the same answers", async () => {
  const argon2id = vi.fn(quickArgon2);
  const { place, accounts } = await setUpAda(argon2id);
  const server = accounts();
  const look = async (name: string, password: string) => {
    argon2id.mockClear();
    const asked: string[] = [];
    place.fault = (operation, object) => {
      // Which account, which object: what takes the same time.
      asked.push(`${operation} ${object.slice(PREFIX_CHARS).replace(/-[0-9a-z-]*$/, "")}`);
      return undefined;
    };
    const error: unknown = await server.login(name, password, "192.0.2.1").catch((reason: unknown) => reason);
    const calls = argon2id.mock.calls.map(([, , parameters, length, lane]) => [parameters, length, lane]);
    return { asked: asked.sort(), calls, error: String(error) };
  };
  const appPassword = formatAppPassword(new Uint8Array(5).fill(1), new Uint8Array(16).fill(2));
  for (const password of ["wrong long sesame", appPassword]) {
    const known = await look("ada@example.org", password);
    expect(await look("nobody@example.org", password)).toEqual(known);
    expect(await look("nobody", password)).toEqual(known);
    expect(known.calls).toHaveLength(password === appPassword ? 0 : 1);
  }
  argon2id.mockRejectedValue(new CryptoError("busy", "too many sign-ins at once"));
  const known = await look("ada@example.org", "another long sesame");
  expect(known.error).toMatch(/too many/);
  expect((await look("nobody@example.org", "another long sesame")).error).toBe(known.error);
  await server.dispose();
});

test("connections that one mail program opens at once don't wait for each other", async () => {
  const { server, waits } = await setUp();
  const sessions = await Promise.all(Array.from({ length: 5 }, () => server.login("ada", FIRST, "192.0.2.1")));
  expect(waits.filter((ms) => ms === FIRST_DELAY_MS)).toEqual([]);
  for (const session of sessions) session.close();
  await server.dispose();
});

test("a store is asked often for others' changes only while somebody waits for them", async () => {
  const { place, tools } = await setUpAda();
  const store = place.open();
  const urgent: (() => boolean)[] = [];
  const watch = store.watch.bind(store);
  store.watch = (prefix, ring, options) => {
    if (options?.isUrgent) urgent.push(options.isUrgent);
    return watch(prefix, ring, options);
  };
  const server = new Accounts({ ...tools, store });
  const session = await server.login("ada", FIRST, "192.0.2.1");
  expect(urgent.length).toBeGreaterThan(1);
  const isUrgent = (): boolean => urgent.some((ask) => ask());
  expect(isUrgent()).toBe(false);
  const stop = session.onChange(() => undefined);
  expect(isUrgent()).toBe(true);
  stop();
  expect(isUrgent()).toBe(false);
  session.close();
  await server.dispose();
});

test("however many slots somebody puts into the store, a wrong password costs eight tries at most, of the newest", async () => {
  const argon2id = vi.fn(quickArgon2);
  const { place, accounts } = await setUpAda(argon2id);
  const [name, { bytes }] = [...place.objects].find(([key]) => key.includes("slot/password-"))!;
  const made = Array.from({ length: 30 }, (_, n) =>
    name.replace(/password-\d+/, `password-${String(n + 2).padStart(6, "0")}`),
  );
  for (const other of made) place.write(other, bytes);
  const asked: string[] = [];
  place.fault = (operation, object) => {
    if (operation === "get" && object.includes("slot/")) asked.push(object);
    return undefined;
  };
  argon2id.mockClear();
  const server = accounts();
  await expect(server.login("ada", "wrong long sesame", "192.0.2.1")).rejects.toMatchObject(refused);
  expect(argon2id).toHaveBeenCalledTimes(8);
  expect(asked).toEqual(made.slice(-8).reverse());
  await server.dispose();
});
