import { describe, expect, test } from "vitest";
import { signer } from "../../testing/account-kit.ts";
import { settle } from "../../testing/hand-time.ts";
import {
  DAY,
  EndedMemory,
  MINUTE,
  Mortal,
  NearlyFull,
  request,
  type Sending,
  type SendingProcess,
  type Smarthost,
  setUp,
  type TAKES,
  to,
} from "../../testing/outbound-kit.ts";
import { deleteAccount, sweepEnded } from "../moving/delete-account.ts";
import { LEASE_MS } from "./queue.ts";

/** Mail of an account that is deleted: docs/formats/outbound.md. */

const LATER: Smarthost = ({ envelope }) =>
  envelope.recipients.map(({ address }) =>
    address.startsWith("late") ? { state: "waiting", reply: "451 later" } : { state: "sent", reply: "250 Ok" },
  );

function left({ place }: Sending): string[] {
  return [...place.objects.keys()].filter((name) => name.startsWith("outbound/") && !name.includes("/done/"));
}

/** Its owner submits a mail, and closes. */
async function submitOne(process: SendingProcess, more: Parameters<typeof request>[0] = {}, text?: string) {
  const session = await process.signIn();
  const { id } = await session.submit(request(more, text));
  await settle();
  session.close();
  await process.accounts.dispose();
  return id;
}

describe("mail of an account that is deleted", () => {
  const HELD: Readonly<Record<string, (world: Sending) => Promise<unknown>>> = {
    "that is held": async ({ process, time }) =>
      submitOne(await process({ sends: false }), { holdUntilMs: time.now() + DAY }),
    "that is large": async ({ process, time }) =>
      submitOne(
        await process({ sends: false }),
        { holdUntilMs: time.now() + DAY },
        `From: ada@example.org\r\n\r\n${"x\r\n".repeat(9_000)}`,
      ),
    "that is tried again": async ({ process }) =>
      submitOne(await process({ smarthost: LATER }), { envelope: to("late@x.org") }),
    "of which one recipient has it": async ({ process }) =>
      submitOne(await process({ smarthost: LATER }), { envelope: to("bob@x.org", "late@x.org") }),
    "that was taken back": async ({ process, time }) => {
      const { signIn } = await process({ sends: false });
      const session = await signIn();
      const { id } = await session.submit(request({ holdUntilMs: time.now() + DAY }));
      await session.cancelSubmission(id);
    },
  };
  test.each(Object.entries(HELD))("%s goes with it, and none is sent", async (_, hold) => {
    const world = await setUp();
    await hold(world);
    // A sender that has read the queue before.
    await world.process();
    await settle();
    const count = world.sink.length;
    const { queue } = await world.process({ sends: false });
    await deleteAccount({ ...world.tools, queue, signer }, world.user());
    expect(left(world)).toEqual([]);
    await world.time.pass(6 * DAY);
    expect([world.sink.length, left(world)]).toEqual([count, []]);
  });

  test("of another account stays", async () => {
    const world = await setUp();
    const { queue } = await world.process({ sends: false });
    const account = new Uint8Array(16).fill(5);
    const id = "5".repeat(32);
    await queue.put(
      {
        ...{ id, account, address: "eve@example.org", envelope: to("bob@x.org"), envid: id },
        ...{ madeMs: 1, releaseMs: world.time.now() + DAY, needsUtf8: false, isSentByMaker: false },
      },
      (async function* () {
        yield Buffer.from("From: eve@example.org\r\n\r\nhi\r\n");
      })(),
    );
    await deleteAccount({ ...world.tools, queue, signer }, world.user());
    expect(left(world)).toHaveLength(1);
  });

  test("that is handed on just then is not taken out of a sender's hands, and is tried no more", async () => {
    const world = await setUp();
    let answer: (replies: ReturnType<typeof TAKES>) => void = () => undefined;
    const hangs: Smarthost = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    const busy = await world.process({ smarthost: hangs });
    await submitOne(busy);
    await deleteAccount({ ...world.tools, queue: busy.queue, signer }, world.user());
    expect(left(world)).toHaveLength(2);
    answer([{ state: "waiting", reply: "451 later" }]);
    await world.time.pass(2 * MINUTE);
    expect([world.sink, left(world)]).toEqual([[], []]);
  });

  test("whose sender was killed goes with the next sweep, once its claim counts no more", async () => {
    const world = await setUp();
    const mortal = new Mortal();
    const busy = await world.process({ mortal, smarthost: () => new Promise(() => undefined) });
    await submitOne(busy);
    mortal.isDead = true;
    const { queue } = await world.process({ sends: false });
    const tools = { ...world.tools, queue, signer };
    await deleteAccount(tools, world.user());
    await sweepEnded(tools, world.tools.platform.trustedHosts);
    expect(left(world)).toHaveLength(2);
    await world.time.pass(LEASE_MS);
    await sweepEnded(tools, world.tools.platform.trustedHosts);
    expect(left(world)).toEqual([]);
  });

  test("that comes after its end goes unsent when it is due, although nobody looks for it any more", async () => {
    const world = await setUp();
    await submitOne(await world.process({ sends: false }), { holdUntilMs: world.time.now() + 20 * DAY });
    const [late] = [...world.place.objects].filter(([name]) => name.startsWith("outbound/queue/"));
    const { queue } = await world.process({ sends: false });
    const tools = { ...world.tools, queue, signer };
    await deleteAccount(tools, world.user());
    world.place.objects.set(...late!);
    for (const { id } of [...world.place.objects.keys()].map((name) => ({ id: name })))
      if (id.startsWith("outbound/done/")) world.place.objects.delete(id);
    await world.time.pass(8 * DAY);
    await sweepEnded(tools, world.tools.platform.trustedHosts);
    expect(left(world)).toHaveLength(1);
    await world.process();
    await world.time.pass(12 * DAY);
    expect([world.sink, left(world)]).toEqual([[], []]);
  });

  test("is not taken out of the hands of who began it while another sender found the account gone", async () => {
    const world = await setUp();
    const releaseMs = world.time.now() + DAY;
    const id = await submitOne(await world.process({ sends: false }), { holdUntilMs: releaseMs });
    const { queue } = await world.process({ sends: false });
    const [mail] = [...world.place.objects].filter(([name]) => name.startsWith("outbound/queue/"));
    const sending = { holder: "1", state: "sending", dueMs: 0, tries: 1, isDelayTold: false, recipients: [] } as const;
    await queue.claim(id, 1, sending);
    const [claim] = [...world.place.objects].filter(([name]) => name.startsWith("outbound/claim/"));
    world.place.objects.delete(claim![0]);
    await deleteAccount({ ...world.tools, queue, signer }, world.user());
    world.place.objects.delete(`outbound/done/${id}`);
    world.place.objects.set(...mail!);
    let isBegun = false;
    world.place.fault = (operation, name) => {
      if (operation === "get" && name.endsWith("checkpoint/00000000000000") && !isBegun) {
        isBegun = true;
        world.place.write(claim![0], claim![1].bytes);
      }
      return undefined;
    };
    await world.process();
    await world.time.pass(DAY + MINUTE);
    expect([isBegun, left(world).length, await queue.isDone(id)]).toEqual([true, 2, false]);
    await world.time.pass(LEASE_MS);
    expect([world.sink, left(world)]).toEqual([[], []]);
  });

  test("goes from a disk that is nearly full", async () => {
    const world = await setUp();
    await submitOne(await world.process({ sends: false }), { holdUntilMs: world.time.now() + DAY });
    const full = new NearlyFull(true);
    const { queue } = await world.process({ sends: false, mortal: full });
    await deleteAccount({ ...world.tools, store: full.store(world.place.open()), queue, signer }, world.user());
    expect(left(world)).toEqual([]);
  });

  test("and which nobody of ours deleted is sent", async () => {
    const world = await setUp();
    await submitOne(await world.process({ sends: false }), { holdUntilMs: world.time.now() + DAY });
    const account = Buffer.from(world.user().record.account).toString("hex");
    world.place.write(`${account}/checkpoint/00000000000000`, Buffer.from("\0\0\0\0restante: end"));
    await world.process();
    await world.time.pass(DAY);
    expect(world.sink).toHaveLength(1);
  });

  test("that can't be read keeps the account from nothing", async () => {
    const world = await setUp();
    await submitOne(await world.process({ sends: false }), { holdUntilMs: world.time.now() + DAY });
    const [name, { created }] = [...world.place.objects].find(([one]) => one.startsWith("outbound/queue/"))!;
    const other = name.replace(/.{4}$/, "0000");
    world.place.objects.set(other, { bytes: new Uint8Array(90), created });
    const { queue } = await world.process({ sends: false });
    await deleteAccount({ ...world.tools, queue, signer }, world.user());
    expect(left(world)).toEqual([other]);
  });
});

describe("a mail that is taken out of all senders' hands", () => {
  async function waiting() {
    const world = await setUp();
    const releaseMs = world.time.now() + DAY;
    const id = await submitOne(await world.process({ sends: false }), { holdUntilMs: releaseMs });
    const { queue } = await world.process({ sends: false });
    return { ...world, queue, place: { id, releaseMs }, store: world.place };
  }

  test("by a claim that came after its end has ended", async () => {
    const { queue, place, store } = await waiting();
    store.fault = (operation, name) => {
      // Between the look and the claim others end it.
      if (operation === "putIfAbsent" && name.startsWith("outbound/claim/"))
        store.write(`outbound/done/${place.id}`, Uint8Array.of(1));
      return undefined;
    };
    expect(await queue.seize(place.id, "canceled")).toBe("over");
  });

  test("stays in the hands that have it, by one claim", async () => {
    const { queue, place } = await waiting();
    const first = await queue.seize(place.id, "moved");
    expect(first).toMatchObject({ number: 1 });
    expect(await queue.seize(place.id, "moved")).toMatchObject({ number: 1 });
    expect(await queue.seize(place.id, "canceled")).toMatchObject({ number: 2 });
    expect(await queue.seize(place.id, "moved")).toMatchObject({ number: 2, claim: { state: "canceled" } });
  });

  test.each([
    [1, "too-late"],
    [2, "canceled"],
    [3, "too-late"],
  ])("by its owner, whose claim came after its end (%i), is told as that: %s", async (octet, told) => {
    const { queue, place, store } = await waiting();
    store.fault = (operation, name) => {
      if (operation === "putIfAbsent" && name.startsWith("outbound/claim/"))
        store.write(`outbound/done/${place.id}`, Uint8Array.of(octet));
      return undefined;
    };
    expect(await queue.cancel(place.id)).toBe(told);
  });

  test.each([
    ["elsewhere", 0],
    ["canceled", 1],
    ["sent", 1],
  ] as const)("is remembered on this host where it ended %s: %i", async (ending, count) => {
    const { process, time, place } = await waiting();
    const ended = new EndedMemory(time);
    const { queue } = await process({ sends: false, ended });
    await queue.end(place, ending);
    expect([await queue.isDone(place.id), ended.ids.size]).toEqual([true, count]);
  });

  test("is one whose end is not forgotten by who lets it in again", async () => {
    const { queue, place } = await waiting();
    await queue.end(place, "sent");
    await queue.bar(place.id);
    await queue.unbar(place.id);
    expect(await queue.isDone(place.id)).toBe(true);
    const other = "6".repeat(32);
    await queue.bar(other);
    expect(await queue.isDone(other)).toBe(true);
    await queue.unbar(other);
    expect(await queue.isDone(other)).toBe(false);
  });
});
