import { describe, expect, test } from "vitest";
import { MemoryPlace } from "../../storage/memory.ts";
import { outboundPlace, signer } from "../../testing/account-kit.ts";
import { stride } from "../../testing/extent.ts";
import { settle } from "../../testing/hand-time.ts";
import {
  DAY,
  EndedMemory,
  MINUTE,
  Mortal,
  NearlyFull,
  request,
  SERVER_KEY,
  type Sending,
  type Smarthost,
  Stalled,
  setUp,
  statusOf,
  TAKES,
  to,
} from "../../testing/outbound-kit.ts";
import type { MandatePlace } from "../mandates/mandate-store.ts";
import { LEASE_MS } from "../outbound/queue.ts";
import { accountPrefix } from "../sign-in/users.ts";
import { moveAccount } from "./move-account.ts";
import { moveOutbound } from "./move-outbound.ts";

/** Mail that waits, and mandates, of an account that moves to another store: docs/operating.md. */

const OTHER_KEY = new Uint8Array(32).fill(8);
const HOUR = 60 * MINUTE;
const LARGE = `From: ada@example.org\r\n\r\n${"x\r\n".repeat(9_000)}`;

/** A smarthost that puts off those that are called late. */
const LATER: Smarthost = ({ envelope }) =>
  envelope.recipients.map(({ address }) =>
    address.startsWith("late") ? { state: "waiting", reply: "451 later" } : { state: "sent", reply: "250 Ok" },
  );

async function scene(otherKey: Uint8Array = OTHER_KEY) {
  const world = await setUp();
  const fresh = new MemoryPlace(() => world.time.now());
  const prefix = accountPrefix(world.user().record);
  const smarthost: { treats: Smarthost } = { treats: LATER };
  const asIs: Smarthost = (mail, text) => smarthost.treats(mail, text);
  const here = await world.process({ smarthost: asIs });
  const there = (more: Parameters<typeof world.process>[0] = {}) =>
    world.process({ smarthost: asIs, place: fresh, serverKey: otherKey, ...more });
  const placesBy = (mortal: Mortal) => {
    const [from, to] = [mortal.store(world.place.open()), mortal.store(fresh.open())];
    return { from, to, outbound: { from: outboundPlace(from, SERVER_KEY), to: outboundPlace(to, otherKey) } };
  };
  const move = (mortal: Mortal = new Mortal()) => moveAccount({ ...placesBy(mortal), signer, prefix });
  /** Its owner's objects here are deleted first, by hand. */
  const moveBack = () => {
    for (const name of [...world.place.objects.keys()]) if (name.startsWith(prefix)) world.place.objects.delete(name);
    const { from, to, outbound } = placesBy(new Mortal());
    return moveAccount({
      from: to,
      to: from,
      outbound: { from: outbound.to, to: outbound.from },
      signer,
      prefix,
    });
  };
  const left = () =>
    [...world.place.objects.keys()].filter((name) => name.startsWith("outbound/") && !name.includes("/done/"));
  return { ...world, fresh, prefix, smarthost, asIs, here, there, move, moveBack, left };
}

/** How often each recipient has it. */
function counts({ sink }: Pick<Sending, "sink">): Record<string, number> {
  const all: Record<string, number> = {};
  for (const address of sink.flatMap((one) => one.to)) all[address] = (all[address] ?? 0) + 1;
  return all;
}

/** One of each kind: ids by what they are. */
async function submitAll({ here, time }: Awaited<ReturnType<typeof scene>>) {
  const session = await here.signIn();
  const holdUntilMs = time.now() + HOUR;
  const submit = async (...args: Parameters<typeof request>) => (await session.submit(request(...args))).id;
  const ids = {
    gone: await submit({ envelope: to("gone@x.org") }),
    held: await submit({ envelope: to("held@x.org"), holdUntilMs }),
    large: await submit({ envelope: to("large@x.org"), holdUntilMs }, LARGE),
    part: await submit({ envelope: to("bob@x.org", "late@x.org") }),
    canceled: await submit({ envelope: to("never@x.org"), holdUntilMs }),
  };
  await session.cancelSubmission(ids.canceled);
  await settle();
  session.close();
  await here.accounts.dispose();
  return ids;
}

const EACH_ONCE = { "gone@x.org": 1, "bob@x.org": 1, "held@x.org": 1, "large@x.org": 1, "late@x.org": 1 };

describe("mail of an account that moves to another store", () => {
  test("goes along, whatever its state, is sealed to the key there, and each recipient gets it once", async () => {
    const world = await scene();
    const ids = await submitAll(world);
    const waits = await world.move();
    // One that was taken back may have ended by then.
    expect(waits).toMatchObject({ mails: expect.toSatisfy((n: number) => n === 3 || n === 4), busy: 0, unreadable: 0 });
    expect(world.left()).toEqual([]);
    const there = await world.there();
    const session = await there.signIn();
    expect(await statusOf(session, ids.held)).toEqual(["pending", ["waiting"]]);
    expect(await session.cancelSubmission(ids.part)).toBe(false);
    world.smarthost.treats = TAKES;
    await world.time.pass(2 * HOUR);
    expect(counts(world)).toEqual(EACH_ONCE);
    await world.move();
    for (const id of [ids.gone, ids.held, ids.large]) expect(await statusOf(session, id)).toEqual(["final", ["sent"]]);
    expect(await statusOf(session, ids.part)).toEqual(["final", ["sent", "sent"]]);
    expect((await statusOf(session, ids.canceled))[0]).toBe("canceled");
    expect(world.sink.find(({ to: [one] }) => one === "large@x.org")!.text).toContain(LARGE.slice(30));
    expect([...world.fresh.objects.keys()].filter((name) => name.startsWith("outbound/queue"))).toEqual([]);
  });

  test("is taken back there, and by nobody here any more", async () => {
    const world = await scene();
    const ids = await submitAll(world);
    await world.move();
    const session = await (await world.there()).signIn();
    expect(await world.here.queue.cancel(ids.held)).toBe("too-late");
    expect(await session.cancelSubmission(ids.held)).toBe(true);
    await world.time.pass(2 * HOUR);
    expect(counts(world)["held@x.org"]).toBeUndefined();
    expect((await statusOf(session, ids.held))[0]).toBe("canceled");
  });

  test.each([false, true])(
    "whose mover is killed at any request (the request done: %s) goes once, and is told so",
    async (isDone) => {
      let kills = 0;
      for (let at = 1; ; at += 2 * stride(4)) {
        const world = await scene();
        const ids = await submitAll(world);
        const there = await world.there();
        const mortal = new Mortal(at, isDone);
        // One that is killed answers nobody.
        void world.move(mortal);
        await settle();
        await world.time.pass(10 * MINUTE);
        if (!mortal.isDead) break;
        kills++;
        world.smarthost.treats = TAKES;
        // Half of them are begun again only when what went over has been sent.
        if (at % 4 === 1) await world.time.pass(2 * HOUR);
        await world.move();
        await world.time.pass(3 * HOUR);
        await world.move();
        expect([at, counts(world)]).toEqual([at, EACH_ONCE]);
        const session = await there.signIn();
        await settle();
        await world.time.pass(HOUR);
        expect([at, counts(world)]).toEqual([at, EACH_ONCE]);
        for (const id of [ids.gone, ids.held, ids.large])
          expect([at, await statusOf(session, id)]).toEqual([at, ["final", ["sent"]]]);
        expect([at, await statusOf(session, ids.part)]).toEqual([at, ["final", ["sent", "sent"]]]);
        expect([at, (await statusOf(session, ids.canceled))[0]]).toEqual([at, "canceled"]);
        expect([at, world.left()]).toEqual([at, []]);
      }
      expect(kills * stride(4)).toBeGreaterThan(20);
    },
    60_000,
  );

  describe("that is just handed on", () => {
    async function busy() {
      const world = await scene();
      let answer: (replies: ReturnType<typeof TAKES>) => void = () => undefined;
      world.smarthost.treats = () =>
        new Promise((resolve) => {
          answer = resolve;
        });
      const session = await world.here.signIn();
      const { id } = await session.submit(request());
      await settle();
      session.close();
      await world.here.accounts.dispose();
      expect(await world.move()).toMatchObject({ mails: 0, busy: 1 });
      const there = await (await world.there()).signIn();
      await settle();
      return { ...world, id, session: there, answer: (replies: ReturnType<typeof TAKES>) => answer(replies) };
    }

    test("stays with who has it in hand: it is neither begun nor taken back there, and its report comes after", async () => {
      const { id, session, sink, answer, move, time } = await busy();
      expect(await session.cancelSubmission(id)).toBe(false);
      await time.pass(5 * MINUTE);
      expect(sink).toEqual([]);
      answer([{ state: "sent", reply: "250 Ok" }]);
      await settle();
      expect(await move()).toMatchObject({ mails: 0, busy: 0 });
      await time.pass(HOUR);
      expect([sink.length, await statusOf(session, id)]).toEqual([1, ["final", ["sent"]]]);
    });

    test("and put off goes there with the next call, and may be taken back again", async () => {
      const { id, session, sink, answer, move, smarthost, time, left } = await busy();
      answer([{ state: "waiting", reply: "451 later" }]);
      await settle();
      smarthost.treats = TAKES;
      expect(await move()).toMatchObject({ mails: 1, busy: 0 });
      expect(left()).toEqual([]);
      await time.pass(HOUR);
      await session.refresh();
      expect([sink.length, await statusOf(session, id)]).toEqual([1, ["final", ["sent"]]]);
      const again = await busy();
      again.answer([{ state: "waiting", reply: "451 later" }]);
      await settle();
      await again.move();
      expect(await again.session.cancelSubmission(again.id)).toBe(true);
      await again.time.pass(HOUR);
      expect(again.sink).toEqual([]);
    });

    test("by a sender that was killed goes once its claim counts no more", async () => {
      const { sink, move, smarthost, time, here } = await busy();
      void here.sender.stop();
      smarthost.treats = TAKES;
      await time.pass(MINUTE);
      expect(await move()).toMatchObject({ mails: 0, busy: 1 });
      await time.pass(LEASE_MS);
      expect(await move()).toMatchObject({ mails: 1, busy: 0 });
      // At once: nobody else is about to send it.
      await settle();
      expect(sink).toHaveLength(1);
    });
  });

  test("goes when it is due, also within the minute for which others leave a mail to its maker", async () => {
    const world = await scene();
    const session = await world.here.signIn();
    await session.submit(request({ envelope: to("soon@x.org"), holdUntilMs: world.time.now() + MINUTE / 2 }));
    session.close();
    await world.here.accounts.dispose();
    await world.move();
    await world.there();
    await world.time.pass(MINUTE / 2);
    expect(counts(world)).toEqual({ "soon@x.org": 1 });
  });

  test("is sent by nobody here while it is on its way, and taken back by nobody", async () => {
    const world = await scene();
    const { held } = await submitAll(world);
    expect(await world.here.queue.seize(held, "moved")).toMatchObject({ claim: { state: "moved" } });
    expect(await world.here.queue.cancel(held)).toBe("too-late");
    await world.time.pass(2 * HOUR);
    expect(counts(world)["held@x.org"]).toBeUndefined();
    expect(world.logs).toContain("a mail waits for its account's move to go on");
    await world.move();
    await world.there();
    await world.time.pass(MINUTE);
    expect(counts(world)["held@x.org"]).toBe(1);
  });

  test("waits in silence while its move is new, and is told when that does not go on", async () => {
    const world = await scene();
    const session = await world.here.signIn();
    const { id } = await session.submit(request({ holdUntilMs: world.time.now() + MINUTE }));
    await world.here.queue.seize(id, "moved");
    const told = () => world.logs.filter((event) => event.includes("its account's move"));
    await world.time.pass(30 * MINUTE);
    expect([told(), world.sink]).toEqual([[], []]);
    await world.time.pass(3 * HOUR);
    expect([told().length, world.sink]).toEqual([1, []]);
  });

  test("and was taken back by a process that was killed then goes as that", async () => {
    const world = await scene();
    const { held } = await submitAll(world);
    expect(await world.here.queue.cancel(held)).toBe("canceled");
    await world.move();
    const session = await (await world.there()).signIn();
    await world.time.pass(2 * HOUR);
    expect(counts(world)["held@x.org"]).toBeUndefined();
    expect((await statusOf(session, held))[0]).toBe("canceled");
  });

  test("stays where it is if both places have one queue", async () => {
    const world = await scene();
    const ids = await submitAll(world);
    const from = world.place.open();
    const outbound = { from: outboundPlace(from, SERVER_KEY), to: outboundPlace(world.place.open(), SERVER_KEY) };
    const before = world.left();
    await moveAccount({ from, to: world.fresh.open(), outbound, signer, prefix: world.prefix });
    expect(world.left()).toEqual(before);
    expect(await outbound.from.queue.has({ id: ids.held, releaseMs: world.time.now() + HOUR })).toBe(true);
  });

  test("goes also with an account that comes back to where it left", async () => {
    const world = await scene();
    const ids = await submitAll(world);
    await world.move();
    const there = await world.there();
    world.smarthost.treats = TAKES;
    await world.moveBack();
    await there.sender.stop();
    await world.here.sender.stop();
    const back = await world.process({ smarthost: world.asIs });
    await world.time.pass(2 * HOUR);
    expect(counts(world)).toEqual(EACH_ONCE);
    const session = await back.signIn();
    expect(await statusOf(session, ids.held)).toEqual(["final", ["sent"]]);
    expect(world.left()).toEqual([]);
  });

  test("and comes back to where a mover left it half moved is stuck nowhere", async () => {
    const world = await scene();
    const { held } = await submitAll(world);
    await world.move();
    // As a mover leaves it that was killed before its end: its claim is for good.
    const name = `outbound/queue/${(world.time.now() + HOUR).toString(16).padStart(12, "0")}${held}`;
    const there = [...world.fresh.objects].find(([one]) => one.endsWith(held))!;
    expect(there[0]).toBe(name);
    const { mail } = (await outboundPlace(world.fresh.open(), OTHER_KEY).queue.open({
      id: held,
      releaseMs: world.time.now() + HOUR,
    }))!;
    const { queue } = outboundPlace(world.place.open(), SERVER_KEY);
    await queue.put(mail, outboundPlace(world.fresh.open(), OTHER_KEY).queue.read(mail));
    world.place.objects.delete(`outbound/done/${held}`);
    await queue.seize(held, "moved");
    await world.moveBack();
    await world.here.sender.stop();
    await world.process({ smarthost: world.asIs });
    await world.time.pass(2 * HOUR);
    expect(counts(world)["held@x.org"]).toBe(1);
  });

  test.each([
    ["a claim", "part", (name: string) => name.startsWith("outbound/claim/")],
    ["octets", "large", (name: string) => name.startsWith("outbound/mail/")],
    ["octets, which are gone,", "large", (name: string) => name.startsWith("outbound/mail/")],
  ] as const)(
    "of which %s can't be read keeps its account from nothing, and all else goes",
    async (what, which, isIt) => {
      const world = await scene();
      const ids = await submitAll(world);
      const [name, { bytes, created }] = [...world.place.objects].find(
        ([one]) => isIt(one) && one.includes(ids[which]),
      )!;
      if (what.includes("gone")) world.place.objects.delete(name);
      else world.place.objects.set(name, { bytes: new Uint8Array(bytes.length), created });
      expect(await world.move()).toMatchObject({ unreadable: 1 });
      const there = await world.there();
      const session = await there.signIn();
      world.smarthost.treats = TAKES;
      await world.time.pass(2 * HOUR);
      expect(counts(world)["held@x.org"]).toBe(1);
      // A mail that can't be sent may still be taken back.
      if (which === "large") expect(await session.cancelSubmission(ids.large)).toBe(true);
    },
  );

  test("goes from a disk that is nearly full", async () => {
    const world = await scene();
    await submitAll(world);
    let isFirst = true;
    class FirstIsFull extends NearlyFull {
      override store(store: Parameters<NearlyFull["store"]>[0]) {
        const isFull = isFirst;
        isFirst = false;
        return isFull ? super.store(store) : store;
      }
    }
    expect(await world.move(new FirstIsFull(true))).toMatchObject({ busy: 0, unreadable: 0 });
    expect(world.left()).toEqual([]);
  });

  test("and was sent there when its mover comes again is neither sent again nor taken for one of an older history", async () => {
    const world = await scene();
    const { part } = await submitAll(world);
    const ended = new EndedMemory(world.time);
    const first = await world.there({ ended });
    world.place.fault = (operation, name) =>
      operation === "putIfAbsent" && name === `outbound/done/${part}` ? { kind: "unavailable" } : undefined;
    await expect(world.move()).rejects.toMatchObject({ code: "unavailable" });
    world.place.fault = () => undefined;
    world.smarthost.treats = TAKES;
    await world.time.pass(2 * HOUR);
    await world.move();
    expect([...world.fresh.objects.keys()].filter((name) => name.endsWith(part) && name.includes("/queue/"))).toEqual(
      [],
    );
    await world.time.pass(9 * DAY);
    expect([...world.fresh.objects.keys()].filter((name) => name.startsWith("outbound/queue/"))).toEqual([]);
    await first.sender.stop();
    await world.there({ ended });
    await world.time.pass(2 * HOUR);
    expect(counts(world)).toEqual(EACH_ONCE);
    expect(world.logs.filter((event) => event.includes("older"))).toEqual([]);
  });

  test("is none that ended on this host, where a sender comes to it too late", async () => {
    const world = await scene();
    await world.here.sender.stop();
    const ended = new EndedMemory(world.time);
    const mortal = new Stalled();
    const { signIn, accounts } = await world.process({ smarthost: world.asIs, mortal, ended });
    const session = await signIn();
    await session.submit(request({ envelope: to("gone@x.org") }));
    await mortal.hasStopped;
    session.close();
    await accounts.dispose();
    expect(await world.move()).toMatchObject({ mails: 1 });
    mortal.goOn();
    await settle();
    expect([world.sink, world.left()]).toEqual([[], []]);
    // The same host, by the configuration of the new store.
    await world.there({ ended });
    await world.time.pass(2 * HOUR);
    expect(counts(world)).toEqual({ "gone@x.org": 1 });
    expect(world.logs.filter((event) => event.includes("older"))).toEqual([]);
  });

  test("is looked for among all that waits, which is opened once for all accounts that move", async () => {
    const world = await scene();
    await submitAll(world);
    const outbound = { from: outboundPlace(world.place.open()), to: outboundPlace(world.fresh.open()) };
    const gets = async () => {
      const before = world.place.counts.get;
      expect(await moveOutbound(new Uint8Array(16).fill(5), outbound, true)).toMatchObject({ mails: 0, unreadable: 0 });
      return world.place.counts.get - before;
    };
    expect([(await gets()) > 1, await gets(), await gets()]).toEqual([true, 0, 0]);
  });

  test("of another account stays, and what nobody can read is told", async () => {
    const world = await scene();
    await submitAll(world);
    const [name, { bytes, created }] = [...world.place.objects].find(([one]) => one.startsWith("outbound/queue/"))!;
    const damaged = name.replace(/.{4}$/, "0000");
    world.place.objects.set(damaged, { bytes, created });
    const id = "5".repeat(32);
    await world.here.queue.put(
      {
        ...{ id, account: new Uint8Array(16).fill(5), address: "eve@example.org", envelope: to("x@x.org"), envid: id },
        ...{ madeMs: 1, releaseMs: world.time.now() + DAY, needsUtf8: false, isSentByMaker: false },
      },
      (async function* () {
        yield Buffer.from("From: eve@example.org\r\n\r\nhi\r\n");
      })(),
    );
    expect(await world.move()).toMatchObject({ unreadable: 1 });
    expect(world.left().map((one) => one.slice(-32, -4))).toEqual([damaged.slice(-32, -4), id.slice(0, -4)]);
  });
});

describe("mandates of an account that moves", () => {
  async function withMandates(key: Uint8Array) {
    const world = await scene(key);
    const account = world.user().record.account;
    const [here, there] = [outboundPlace(world.place.open(), SERVER_KEY), outboundPlace(world.fresh.open(), key)];
    const vacation = { kind: "vacation", account, id: "" } as const;
    const push = { kind: "push", account, id: "7".repeat(32) } as const;
    await here.mandates.put(vacation, Buffer.from("away"));
    await here.mandates.put(push, Buffer.from("device"));
    const marks = ["seen", "request"].map((kind) => `outbound/${kind}/${world.prefix.slice(0, 32)}.${"3".repeat(32)}`);
    for (const mark of marks) world.place.write(mark, Buffer.from("mark"));
    const textOf = async (which: typeof there, place: MandatePlace) =>
      Buffer.from((await which.mandates.read(place))?.plain ?? []).toString();
    const read = async (which: typeof there) => [await textOf(which, vacation), await textOf(which, push)];
    const found = () => marks.filter((mark) => world.fresh.objects.has(mark)).length;
    return { ...world, here, there, vacation, push, read, found };
  }

  test.each([
    ["the same", SERVER_KEY, 2],
    ["another", OTHER_KEY, 0],
  ])("are the server's there under %s key, and nothing of them is left here", async (_, key, marks) => {
    const { move, here, there, read, found, left } = await withMandates(key);
    await move();
    expect(await read(there)).toEqual(["away", "device"]);
    expect([await read(here), left(), found()]).toEqual([["", ""], [], marks]);
  });

  test("that their owner ended there don't come again", async () => {
    const { move, here, there, vacation, push, read } = await withMandates(OTHER_KEY);
    await move();
    await there.mandates.end(vacation, push);
    await here.mandates.put(vacation, Buffer.from("away"));
    await here.mandates.put(push, Buffer.from("device"));
    await move();
    expect([await read(here), await read(there)]).toEqual([
      ["", ""],
      ["", ""],
    ]);
  });
});
