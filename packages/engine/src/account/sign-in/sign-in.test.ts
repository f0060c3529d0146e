import { expect, test } from "vitest";
import { FIRST, refused, setUpAda } from "../../testing/ways-in-kit.ts";
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
