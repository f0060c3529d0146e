import { describe, expect, test } from "vitest";
import type { ObjectStore } from "../../storage/object-store.ts";
import { mailText, outboundQueue, signer, stream } from "../../testing/account-kit.ts";
import { HandTime, settle } from "../../testing/hand-time.ts";
import { FIRST, SECOND, setUpAda } from "../../testing/ways-in-kit.ts";
import { QuietEntries } from "../care/quiet-entries.ts";
import { Dropbox } from "../delivery/dropbox.ts";
import { Unsettled } from "../delivery/unsettled.ts";
import { addAppPassword, revokeAppPassword } from "../keys/app-passwords.ts";
import { changePassword } from "../keys/passwords.ts";
import { MandateStore } from "../mandates/mandate-store.ts";
import { deleteAccount } from "../moving/delete-account.ts";
import type { AccountSession } from "../session.ts";
import { Accounts } from "../sign-in/accounts.ts";
import { decodePushSubscription, encodePushSubscription } from "./push-subscription.ts";
import { PUSH_MS_MAX, PUSH_SUBSCRIPTIONS_MAX, PushSubscriptions } from "./push-subscriptions.ts";
import { PUSHES_PER_MINUTE, Pusher, type PushMessage, type PushNews, type PushReply } from "./pusher.ts";

const DAY = 24 * 60 * 60_000;
const ASKED = { client: "phone", url: "https://push.example.net/a", keys: undefined, types: undefined } as const;
const LONG = { ...ASKED, expiresMs: undefined };

/** Texts that stand for JMAP's in tests. */
const WORDS = {
  verification: (id: string, code: string) => ({ id, code }),
  change: (_account: string, { note, entry }: PushNews, types: readonly string[] | undefined) => {
    const told = [...(note ? ["mail"] : []), ...(entry ? ["change"] : [])];
    const wanted = told.filter((one) => types === undefined || types.includes(one));
    return wanted.length === 0 ? undefined : wanted;
  },
};

async function setUp() {
  const time = new HandTime();
  const ada = await setUpAda();
  ada.place.now = () => time.now();
  const base = { ...ada.tools.platform, ...time, quietEntries: new QuietEntries() };
  const pushed: (PushMessage & { readonly at: number })[] = [];
  /** The answer of push services. */
  const service: { answer: (message: PushMessage) => PushReply | Promise<PushReply> } = {
    answer: () => ({ outcome: "sent" }),
  };
  const open = (store: ObjectStore = ada.place.open()) => {
    const mandates = new MandateStore({ store, platform: base, serverKey: new Uint8Array(32).fill(7) });
    const accounts = new Accounts({ ...ada.tools, store, platform: { ...base, mandates } });
    const transport = {
      async push(message: PushMessage) {
        pushed.push({ ...message, at: time.now() });
        return service.answer(message);
      },
    };
    const pusher = new Pusher({ mandates, platform: base, transport, words: WORDS });
    return {
      mandates,
      accounts,
      pusher,
      signIn: (password = FIRST) => accounts.login("ada@example.org", password, ""),
    };
  };
  const users = { find: (address: string) => ada.users.find(address) };
  const deliverer = { store: ada.place.open(), platform: base, users, signer, unsettled: new Unsettled(base) };
  const dropbox = new Dropbox(deliverer, ada.user());
  let count = 0;
  const deliver = (): Promise<void> =>
    dropbox.deliver(new Uint8Array(0), stream(mailText(++count)), deliverer.unsettled.connect());
  const names = () => [...ada.place.objects.keys()].filter((name) => name.startsWith("outbound/"));
  return { ...ada, time, pushed, service, open, deliver, names };
}

/** A device that said what was pushed to it, and nobody is signed in. */
async function subscribed(types?: readonly string[], world?: Awaited<ReturnType<typeof setUp>>) {
  const made = world ?? (await setUp());
  const front = made.open();
  const session = await front.signIn();
  const { id, code } = await session.createPushSubscription({ ...LONG, types });
  await session.updatePushSubscription(id, { code });
  session.close();
  await front.accounts.dispose();
  const back = made.open();
  back.pusher.start();
  await settle();
  return { ...made, ...back, id, code };
}

async function hears(world: Pick<Awaited<ReturnType<typeof setUp>>, "pushed" | "deliver" | "time">): Promise<boolean> {
  const before = world.pushed.length;
  await world.deliver();
  await world.time.pass(10 * 60_000);
  return world.pushed.length > before;
}

describe("a device", () => {
  test("is told a code, and nothing else until its client has said it again", async () => {
    const world = await setUp();
    const { signIn, pusher } = world.open();
    pusher.start();
    const session = await signIn();
    const { id, code, isVerified } = await session.createPushSubscription(LONG);
    expect(isVerified).toBe(false);
    await settle();
    expect(world.pushed).toMatchObject([{ url: ASKED.url, content: { id, code } }]);
    await session.updatePushSubscription(id, { types: undefined });
    await settle();
    await world.deliver();
    await settle();
    expect(world.pushed).toHaveLength(1);
    await expect(session.updatePushSubscription(id, { code: "0".repeat(32) })).rejects.toMatchObject({
      property: "code",
    });
    expect(await session.updatePushSubscription(id, { code })).toMatchObject({ isVerified: true });
    await settle();
    await world.deliver();
    await settle();
    expect(world.pushed.slice(1).flatMap(({ content }) => content)).toContain("mail");
  });

  test("hears of mail while nobody is signed in, at once, and of nothing that it holds", async () => {
    const { deliver, pushed, place } = await subscribed();
    await deliver();
    await settle();
    expect(pushed.map(({ content }) => content)).toEqual([["mail"]]);
    for (const [name, { bytes }] of place.objects)
      if (name.startsWith("outbound/")) expect(Buffer.from(bytes).includes("push.example.net")).toBe(false);
  });

  test("is not woken by what upkeep of this host writes, day after day", async () => {
    const { signIn, place, pushed, time } = await subscribed();
    const session = await signIn();
    const entries = (): number => [...place.objects.keys()].filter((name) => name.includes("/log/")).length;
    const before = entries();
    await time.pass(2 * DAY);
    expect(entries()).toBeGreaterThan(before);
    expect(pushed).toEqual([]);
    session.close();
  });

  test("hears of mail once its client has said the code, where no store tells that it was written over", async () => {
    const world = await setUp();
    const session = await world.open().signIn();
    const { id, code } = await session.createPushSubscription({ ...LONG, types: ["mail"] });
    const deaf = new Proxy(world.place.open(), {
      get(target, name) {
        const value = Reflect.get(target, name) as unknown;
        if (typeof value !== "function") return value;
        return (...args: unknown[]) =>
          name === "watch" && args[0] === "outbound/push/" ? () => undefined : value.apply(target, args);
      },
    });
    world.open(deaf).pusher.start();
    await settle();
    await world.deliver();
    await settle();
    expect(world.pushed).toHaveLength(1);
    await session.updatePushSubscription(id, { code });
    await world.deliver();
    await settle();
    expect(world.pushed.slice(1).map(({ content }) => content)).toEqual([["mail"]]);
  });

  test("hears of what its client wants to hear of alone, and wakes up for mail", async () => {
    const world = await subscribed(["mail"]);
    const session = await world.signIn();
    await session.create("Another");
    await settle();
    expect(world.pushed).toEqual([]);
    await world.deliver();
    await settle();
    expect(world.pushed.map(({ content, urgency }) => [content, urgency])).toEqual([[["mail"], "high"]]);
  });

  test("is told no more than so often within a minute, and of the rest together", async () => {
    const world = await subscribed(["mail"]);
    for (let n = 0; n < 60; n++) {
      await world.deliver();
      await settle();
    }
    expect(world.pushed).toHaveLength(PUSHES_PER_MINUTE);
    await world.time.pass(60_000);
    expect(world.pushed).toHaveLength(PUSHES_PER_MINUTE + 1);
    await world.time.pass(60 * 60_000);
    expect(world.pushed).toHaveLength(PUSHES_PER_MINUTE + 1);
  });

  test("that fails is tried again at growing distances and told once it is there again", async () => {
    const world = await subscribed();
    world.service.answer = () => ({ outcome: "later", reason: "x" });
    await world.deliver();
    await world.time.pass(2 * 60 * 60_000);
    const pauses = world.pushed.slice(1).map(({ at }, n) => (at - world.pushed[n]!.at) / 1000);
    expect(pauses).toEqual([30, 120, 600, 1800, 3600]);
    world.service.answer = () => ({ outcome: "sent" });
    await world.time.pass(4 * 60 * 60_000);
    const count = world.pushed.length;
    await world.time.pass(DAY);
    expect(world.pushed).toHaveLength(count);
    world.service.answer = () => ({ outcome: "later", reason: "x" });
    await world.deliver();
    await world.time.pass(60_000);
    expect(
      world.pushed
        .slice(count)
        .map(({ at }, n) => at - world.pushed[count + n - 1]!.at)
        .slice(1),
    ).toEqual([30_000]);
  });

  test("is left alone for as long as its service asks", async () => {
    const world = await subscribed();
    world.service.answer = () => ({ outcome: "later", reason: "HTTP 429", afterMs: 20 * 60_000 });
    await world.deliver();
    await world.time.pass(20 * 60_000 - 1);
    expect(world.pushed).toHaveLength(1);
    await world.time.pass(2);
    expect(world.pushed).toHaveLength(2);
  });

  test("that its service knows no more is forgotten, bytes and all", async () => {
    const world = await subscribed();
    world.service.answer = () => ({ outcome: "gone", reason: "HTTP 410" });
    await world.deliver();
    await settle();
    expect(world.names()).toEqual([]);
    expect(world.pusher.deviceCount).toBe(0);
    expect(await hears(world)).toBe(false);
    expect(await (await world.signIn()).pushSubscriptions()).toEqual([]);
  });

  test("ends when its time is over, and lasts no longer than it may", async () => {
    const world = await subscribed();
    await world.time.pass(PUSH_MS_MAX - 60_000);
    expect(await hears(world)).toBe(true);
    const late = await subscribed();
    await late.time.pass(PUSH_MS_MAX);
    expect(await hears(late)).toBe(false);
    expect(late.names()).toEqual([]);
  });

  const ENDS: Readonly<Record<string, (world: Awaited<ReturnType<typeof subscribed>>) => Promise<unknown>>> = {
    "its client ends it": async ({ signIn, id }) => (await signIn()).endPushSubscription(id),
    "its owner ends the mandate": async ({ signIn, id }) => (await signIn()).endMandate(id),
    "the password is another": ({ tools, user }) => changePassword(tools, user(), FIRST, SECOND),
    "the account is deleted": ({ tools, user }) =>
      deleteAccount({ ...tools, queue: outboundQueue(tools.store), signer }, user()),
  };
  test.each(Object.entries(ENDS))("hears nothing once %s", async (_, end) => {
    const world = await subscribed();
    expect(await hears(world)).toBe(true);
    await end(world);
    await world.time.pass(60_000);
    const count = world.pushed.length;
    await world.deliver().catch(() => undefined);
    await world.time.pass(10 * 60_000);
    expect(world.pushed).toHaveLength(count);
    expect(world.names()).toEqual([]);
  });

  test("ends with the app password that it came by, and no other way in sees it", async () => {
    const world = await setUp();
    const { appPassword, id: slot } = await addAppPassword(world.tools, world.user(), FIRST, "Phone");
    const front = world.open();
    const phone = await front.signIn(appPassword);
    const { id, code } = await phone.createPushSubscription(LONG);
    await phone.updatePushSubscription(id, { code });
    const owner = await front.signIn();
    expect(await owner.pushSubscriptions()).toEqual([]);
    expect(await owner.updatePushSubscription(id, { types: [] })).toBeUndefined();
    expect(await owner.endPushSubscription(id)).toBe(false);
    expect((await owner.mandates()).map((one) => [one.id, one.kind, one.about])).toEqual([[id, "push", "phone"]]);
    front.pusher.start();
    await settle();
    expect(await hears(world)).toBe(true);
    await revokeAppPassword(world.tools, world.user(), FIRST, slot);
    await world.time.pass(60_000);
    await world.deliver();
    await settle();
    const count = world.pushed.length;
    expect(await hears(world)).toBe(false);
    expect([world.pushed.length, world.names()]).toEqual([count, []]);
  });

  test("that hangs holds up nobody else, by the hundred too", async () => {
    const world = await setUp();
    const { mandates, pusher, signIn } = world.open();
    const session = await signIn();
    const { id, code } = await session.createPushSubscription({ ...LONG, types: ["mail"] });
    await session.updatePushSubscription(id, { code });
    const good = (await mandates.read({ kind: "push", account: world.user().record.account, id }))!.plain;
    const one = decodePushSubscription(good);
    for (let n = 0; n < 300; n++) {
      const id = n.toString(16).padStart(32, "0");
      const bad = { ...one, slot: undefined, url: `https://hangs${n}.example.net/`, isVerified: false, code: `${n}` };
      await mandates.put(
        { kind: "push", account: new Uint8Array(16).fill(1 + (n % 9)), id },
        encodePushSubscription(bad),
      );
    }
    world.service.answer = ({ url }) =>
      url.includes("hangs") ? new Promise(() => undefined) : { outcome: "sent" as const };
    pusher.start();
    for (let n = 0; n < 100; n++) await settle();
    expect(pusher.deviceCount).toBe(301);
    await world.deliver();
    await settle();
    expect(world.pushed.filter(({ url }) => !url.includes("hangs"))).toHaveLength(1);
    expect(world.pushed.filter(({ url }) => url.includes("hangs")).length).toBeLessThan(100);
  });

  test("is woken although the store failed when it was to be", async () => {
    const world = await setUp();
    let fails = false;
    const flaky = new Proxy(world.place.open(), {
      get(target, name) {
        const value = Reflect.get(target, name) as unknown;
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => {
          if (fails && (name === "get" || name === "list")) return Promise.reject(new Error("away"));
          return value.apply(target, args);
        };
      },
    });
    const front = world.open();
    const session = await front.signIn();
    const { id, code } = await session.createPushSubscription({ ...LONG, types: ["mail"] });
    await session.updatePushSubscription(id, { code });
    const { pusher } = world.open(flaky);
    pusher.start();
    await settle();
    fails = true;
    await world.deliver();
    await settle();
    expect(world.pushed).toEqual([]);
    fails = false;
    await world.time.pass(10_000);
    expect(world.pushed).toHaveLength(1);
  });
});

describe("a subscription", () => {
  test("that can't be so is refused by what it is", async () => {
    const { open } = await setUp();
    const session = await open().signIn();
    const key = new Uint8Array(65).fill(4);
    for (const [wrong, property] of [
      [{ url: "http://push.example.net/" }, "url"],
      [{ url: "push" }, "url"],
      [{ url: "https://user:pass@push.example.net/" }, "url"],
      [{ url: `https://push.example.net/${"x".repeat(2000)}` }, "url"],
      [{ client: "" }, "client"],
      [{ client: "x".repeat(1000) }, "client"],
      [{ keys: { p256dh: key.subarray(1), auth: new Uint8Array(16) } }, "keys"],
      [{ keys: { p256dh: key, auth: new Uint8Array(15) } }, "keys"],
      [{ keys: { p256dh: new Uint8Array(65), auth: new Uint8Array(16) } }, "keys"],
      [{ expiresMs: 1 }, "expires"],
      [{ types: Array.from({ length: 1000 }, () => "x") }, "types"],
    ] as const)
      await expect(session.createPushSubscription({ ...LONG, ...wrong })).rejects.toMatchObject({ property });
    expect(await session.pushSubscriptions()).toEqual([]);
  });

  test("beyond so many of an account is refused; those that nobody ever verified make room", async () => {
    const { open, time } = await setUp();
    const session: AccountSession = await open().signIn();
    for (let n = 0; n < PUSH_SUBSCRIPTIONS_MAX; n++) await session.createPushSubscription(LONG);
    await expect(session.createPushSubscription(LONG)).rejects.toMatchObject({ code: "over-quota" });
    await time.pass(60 * 60_000 + 1);
    await session.createPushSubscription(LONG);
    const [left, ...more] = await session.pushSubscriptions();
    expect(more).toEqual([]);
    for (let n = 1; n < PUSH_SUBSCRIPTIONS_MAX; n++) await session.createPushSubscription(LONG);
    for (const { id, code } of await session.pushSubscriptions()) await session.updatePushSubscription(id, { code });
    await time.pass(DAY);
    await expect(session.createPushSubscription(LONG)).rejects.toMatchObject({ code: "over-quota" });
    expect(left).toBeDefined();
  });

  test("that is over is shown no more, and goes when somebody looks", async () => {
    const { open, time, names } = await setUp();
    const session = await open().signIn();
    await session.createPushSubscription(LONG);
    await time.pass(PUSH_MS_MAX);
    expect(await session.pushSubscriptions()).toEqual([]);
    expect(names()).toEqual([]);
  });

  test("is its client's still when the same password was sealed anew", async () => {
    const { open, time, tools, user } = await setUp();
    const { mandates, signIn } = open();
    const session = await signIn();
    const { id } = await session.createPushSubscription(LONG);
    const all = new PushSubscriptions({ ...tools.platform, now: time.now, mandates }, user().record.account);
    const [slot, other] = [`${session.slot!.slice(0, -1)}x`, "slot/password-000099-x"];
    expect((await all.listOf({ slot })).map((one) => one.id)).toEqual([id]);
    expect(await all.listOf({ slot: other })).toEqual([]);
  });

  test("of a token lasts no longer than the token", async () => {
    const { open, time } = await setUp();
    const { accounts, signIn } = open();
    const session = await signIn();
    const expiresMs = time.now() + DAY;
    const { token } = await session.addToken({ label: "x", scope: "mail", days: 1 });
    const other = await accounts.loginByToken(token, "");
    expect((await other.createPushSubscription(LONG)).expiresMs).toBe(expiresMs);
  });

  test("is refused where nobody is woken", async () => {
    const { accounts } = await setUpAda();
    const session = await accounts().login("ada@example.org", FIRST, "");
    await expect(session.createPushSubscription(LONG)).rejects.toMatchObject({ code: "not-permitted" });
    expect(await session.pushSubscriptions()).toEqual([]);
  });
});
