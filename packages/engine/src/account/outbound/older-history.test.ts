import { describe, expect, test, vi } from "vitest";
import type { Witness } from "../../bay/applied-log.ts";
import { stream } from "../../testing/account-kit.ts";
import { settle } from "../../testing/hand-time.ts";
import {
  DAY,
  EndedMemory,
  MINUTE,
  request,
  type Sending,
  setUp,
  statusOf,
  textsIn,
  to,
} from "../../testing/outbound-kit.ts";
import { FIRST } from "../../testing/ways-in-kit.ts";
import { acceptHistory } from "../care/history.ts";
import type { WitnessKeeper } from "../platform.ts";
import { type AsideReporter, FATE_UNKNOWN, setQueueAside } from "./after-restore.ts";
import type { EndedKeeper } from "./older-history.ts";
import { OutboundQueue } from "./queue.ts";
import type { Claim } from "./queued.ts";

/** A store that was put back to what it was, by no `restore` of ours: what waited then may have gone since. */

/** The store as it is, and a way back to it. */
function picture({ place }: Sending): () => void {
  const objects = new Map(place.objects);
  return () => {
    place.objects.clear();
    for (const [name, object] of objects) place.objects.set(name, object);
  };
}

const held = ({ time }: Sending, name: string) =>
  request({ envelope: to(`${name}@x.org`), holdUntilMs: time.now() + DAY });

async function scene() {
  const world = await setUp();
  const ended = new EndedMemory(world.time);
  const { signIn, accounts, sender } = await world.process({ ended });
  const session = await signIn();
  const gone = await session.submit(held(world, "gone"));
  const undone = await session.submit(held(world, "undone"));
  const other = await session.submit(request({ envelope: to("other@x.org"), holdUntilMs: world.time.now() + 3 * DAY }));
  const putBack = picture(world);
  await session.cancelSubmission(undone.id);
  await world.time.pass(2 * DAY);
  expect(world.sink.map((mail) => mail.to)).toEqual([["gone@x.org"]]);
  session.close();
  await accounts.dispose();
  await sender.stop();
  return { ...world, ended, gone, undone, other, putBack };
}

describe("a store that was put back", () => {
  test("sends nothing that waits in it: its owners have it", async () => {
    const world = await scene();
    world.putBack();
    const { signIn } = await world.process({ ended: world.ended });
    await world.time.pass(5 * DAY);
    expect(world.sink).toHaveLength(1);
    expect(world.logs).toContain("what waits to be sent is of an older history: its owners have it");
    const session = await signIn();
    for (const { id } of [world.gone, world.undone, world.other])
      expect(await statusOf(session, id)).toEqual(["final", ["sent"]]);
    const told = (await textsIn(session)).filter((text) => text.includes("A message may not have been sent"));
    expect(told).toHaveLength(3);
  });

  test("is seen by what was taken back alone, and what is submitted then goes", async () => {
    const world = await scene();
    world.ended.ids.delete(world.gone.id);
    world.putBack();
    const { signIn } = await world.process({ ended: world.ended });
    await settle();
    const session = await signIn();
    await session.submit(request({ envelope: to("new@x.org") }));
    await world.time.pass(5 * DAY);
    expect(world.sink.map((mail) => mail.to)).toEqual([["gone@x.org"], ["new@x.org"]]);
  });

  test.each([
    ["of which nobody here remembers anything", (world: Awaited<ReturnType<typeof scene>>) => world.ended.ids.clear()],
    [
      "whose ids come again",
      ({ ended: { ids } }: Awaited<ReturnType<typeof scene>>) => {
        for (const id of ids.keys()) ids.set(id, 0);
      },
    ],
    [
      "whose ends are known",
      ({ place, gone, undone }: Awaited<ReturnType<typeof scene>>) => {
        for (const { id } of [gone, undone]) place.write(`outbound/done/${id}`, Uint8Array.of(1));
      },
    ],
  ])("and %s goes on", async (_, forget) => {
    const world = await scene();
    world.putBack();
    forget(world);
    await world.process({ ended: world.ended });
    await world.time.pass(5 * DAY);
    expect(world.sink.map(({ to: [one] }) => one)).toContain("other@x.org");
  });

  test("is looked at until it answers, and nothing is sent before", async () => {
    const world = await scene();
    world.putBack();
    world.place.fault = (operation, name) =>
      operation === "list" && name.startsWith("outbound/queue/") ? { kind: "unavailable" } : undefined;
    const { sender } = await world.process({ ended: world.ended });
    sender.queued({ id: world.gone.id, releaseMs: 0 });
    await world.time.pass(MINUTE);
    expect(world.sink).toHaveLength(1);
    world.place.fault = () => undefined;
    await world.time.pass(5 * DAY);
    expect(world.sink).toHaveLength(1);
  });
});

test("a store that was put back is known as that until all of it is set aside", async () => {
  const world = await scene();
  // Another host sent all but the first, of which this one knows nothing.
  const [first] = [world.gone.id, world.undone.id].sort();
  for (const id of [...world.ended.ids.keys()]) if (id !== first) world.ended.ids.delete(id);
  world.putBack();
  let ends = 0;
  world.place.fault = (operation, name) =>
    operation === "putIfAbsent" && name.startsWith("outbound/done/") && ++ends > 1
      ? { kind: "unavailable" }
      : undefined;
  const killed = await world.process({ ended: world.ended });
  await world.time.pass(MINUTE);
  world.place.fault = () => undefined;
  await world.time.pass(MINUTE);
  await killed.sender.stop();
  await world.process({ ended: world.ended });
  await world.time.pass(5 * DAY);
  expect(world.sink.map((mail) => mail.to)).toEqual([["gone@x.org"]]);
});

describe("a mail that waits in a store that was put back keeps nobody from sending", () => {
  async function withOne(name: string, text?: string, more: Parameters<typeof request>[0] = {}, options = {}) {
    const world = await setUp();
    const ended = new EndedMemory(world.time);
    const { signIn, accounts, sender } = await world.process({ ended, ...options });
    const session = await signIn();
    const gone = await session.submit(held(world, "gone"));
    const { envelope, holdUntilMs } = held(world, name);
    const one = await session.submit(request({ envelope, holdUntilMs, ...more }, text));
    return { ...world, ended, session, accounts, sender, gone, one };
  }
  async function afterwards(world: Awaited<ReturnType<typeof withOne>>, options = {}) {
    world.session.close();
    await world.accounts.dispose();
    await world.sender.stop();
    world.ended.note(world.gone.id);
    const { signIn } = await world.process({ ended: world.ended, ...options });
    await world.time.pass(MINUTE);
    const session = await signIn();
    await session.submit(request({ envelope: to("new@x.org") }));
    await world.time.pass(MINUTE);
    expect(world.sink.map((mail) => mail.to)).toEqual([["new@x.org"]]);
    expect(await statusOf(session, world.one.id)).toEqual(["final", ["sent"]]);
    return session;
  }

  test("although it is a notice, whose sender is nobody", async () => {
    await afterwards(await withOne("notice", undefined, { isNotice: true }));
  });

  test("although its octets are lost", async () => {
    const world = await withOne("large", `From: ada@example.org\r\n\r\n${"x\r\n".repeat(9_000)}`);
    for (const name of [...world.place.objects.keys()])
      if (name.startsWith("outbound/mail/")) world.place.objects.delete(name);
    const session = await afterwards(world);
    const texts = await textsIn(session);
    expect(texts.filter((text) => text.includes("  large@x.org"))).toHaveLength(1);
  });

  test("although its owner's mailbox is full", async () => {
    const options = { quota: { bytesMax: undefined, messagesMax: 1 } };
    const world = await withOne("full", undefined, {}, options);
    const text = "From: ada@example.org\r\n\r\nhello\r\n";
    const prepared = await world.session.prepare(stream(text), { mailbox: "INBOX", flags: [] });
    await world.session.append(world.session.getMailbox("INBOX").id, prepared);
    await world.time.pass(2 * MINUTE);
    const session = await afterwards(world, options);
    expect((await textsIn(session)).filter((one) => one.includes("may not have been sent"))).toHaveLength(2);
  });
});

test("each mail that is set aside is told as what is known of it, and told once", async () => {
  const world = await setUp();
  const { queue, signIn } = await world.process({ sends: false });
  const session = await signIn();
  const ids: Record<string, string> = {};
  for (const name of ["canceled", "moved", "partly", "ended"])
    ids[name] = (await session.submit(request({ ...held(world, name), envelope: to("a@x.org", "b@x.org") }))).id;
  await queue.seize(ids.canceled!, "canceled");
  await queue.seize(ids.moved!, "moved");
  const recipients = ["sent", "waiting"].map((state, at) => ({ address: `${"ab"[at]}@x.org`, state, reply: "1" }));
  const claim = { holder: "", state: "waiting", dueMs: 0, tries: 1, isDelayTold: false, recipients } as Claim;
  await queue.claim(ids.partly!, 1, claim);
  world.place.write(`outbound/done/${ids.ended}`, Uint8Array.of(1));
  const told: unknown[] = [];
  const reporter: AsideReporter = {
    report: async ({ id }, outcome) =>
      void told.push([id, outcome.state, ...outcome.recipients.map((one) => one.reply)]),
    tellSetAside: async ({ id }) => void told.push(id),
  };
  expect(await setQueueAside(queue, reporter)).toBe(2);
  const expected = [
    [ids.canceled, "canceled"],
    [ids.moved, "sent", FATE_UNKNOWN, FATE_UNKNOWN],
    ids.moved,
    [ids.partly, "sent", "1", FATE_UNKNOWN],
    ids.partly,
  ];
  expect(told).toHaveLength(expected.length);
  expect(told).toEqual(expect.arrayContaining(expected));
  expect([...world.place.objects.keys()].filter((name) => name.startsWith("outbound/queue/"))).toEqual([]);
  expect(await queue.cancel(ids.canceled!)).toBe("canceled");
});

test("clocks of its hosts may be a day apart", async () => {
  const world = await scene();
  // The host that sent had a clock which was behind that of the host where it was submitted.
  for (const [id, endedMs] of world.ended.ids) world.ended.ids.set(id, endedMs - 1.5 * DAY);
  expect(world.ended.ids.get(world.gone.id)).toBeLessThan(world.gone.madeMs);
  world.putBack();
  await world.process({ ended: world.ended });
  await world.time.pass(5 * DAY);
  expect(world.sink).toHaveLength(1);
});

test.each([
  ["and goes by the sender that ended it, within a day", true],
  ["also where nobody was there for weeks", false],
])("a mail that came again when it had ended goes unsent, %s", async (_, stays) => {
  const world = await setUp();
  const { signIn, accounts, sender } = await world.process();
  const session = await signIn();
  const submitted = session.submit(request());
  const place = await new Promise<[string, Parameters<typeof world.place.write>[1]]>((resolve) => {
    world.place.fault = (operation, name) => {
      const found = [...world.place.objects].find(([one]) => one.startsWith("outbound/queue/"));
      if (operation === "putIfAbsent" && name.startsWith("outbound/claim/")) resolve([found![0], found![1].bytes]);
      return undefined;
    };
  });
  await submitted;
  await settle();
  expect(world.sink).toHaveLength(1);
  // By a process that was about to queue it too, and slow.
  world.place.write(...place);
  session.close();
  await accounts.dispose();
  if (!stays) {
    await sender.stop();
    await world.time.pass(10 * DAY);
    await world.process();
  }
  await world.time.pass(DAY + MINUTE);
  expect(world.sink).toHaveLength(1);
  expect([...world.place.objects.keys()].filter((name) => name.startsWith("outbound/queue/"))).toEqual([]);
});

test("a store that goes on is no older one, whatever ended there", async () => {
  const world = await scene();
  await world.process({ ended: world.ended });
  await world.time.pass(2 * DAY);
  expect(world.sink.map((mail) => mail.to)).toEqual([["gone@x.org"], ["other@x.org"]]);
  expect(world.logs.filter((event) => event.includes("older"))).toEqual([]);
});

test("a submission of an older history, which was never queued in it, is handed over by nobody, and told to its owner", async () => {
  const world = await setUp();
  const kept = new Map<string, Witness>();
  const witnesses: WitnessKeeper = {
    read: async (account) => kept.get(account),
    write: async (account, one) => void kept.set(account, one),
    replace: async (account, one) => void kept.set(account, one),
    isRestored: async () => false,
    clearRestored: async () => undefined,
  };
  const open = async () => {
    const process = await world.process({ witnesses, ended: new EndedMemory(world.time) });
    const session = await process.signIn();
    await settle();
    const close = async (): Promise<void> => {
      session.close();
      await process.accounts.dispose();
      await process.sender.stop();
    };
    return { session, close };
  };
  const first = await open();
  const text = "From: ada@example.org\r\n\r\nhello\r\n";
  const prepared = await first.session.prepare(stream(text), { mailbox: "Sent", flags: [] });
  await first.session.append(first.session.getMailbox("Sent").id, prepared);
  const email = { id: prepared.email.id, thread: new Uint8Array(8) };
  const killed = { size: 0, put: () => Promise.reject(new Error("killed")) };
  const spy = vi.spyOn(OutboundQueue.prototype, "prepare").mockResolvedValueOnce(killed);
  await expect(first.session.submit(request({ email }, text))).rejects.toThrow("killed");
  spy.mockRestore();
  await first.close();
  const putBack = picture(world);

  const second = await open();
  await world.time.pass(MINUTE);
  expect(world.sink).toHaveLength(1);
  await second.close();

  putBack();
  const third = await open();
  await world.time.pass(MINUTE);
  expect([world.sink.length, third.session.barred !== undefined]).toEqual([1, true]);
  await third.close();
  await acceptHistory({ ...world.tools, platform: { ...world.tools.platform, witnesses } }, world.user(), FIRST);
  const fourth = await open();
  await world.time.pass(MINUTE);
  expect(world.sink).toHaveLength(1);
  const [one] = await fourth.session.submissions();
  expect(one).toMatchObject({ undoStatus: "final", recipients: [{ delivered: "unknown" }] });
  expect((await textsIn(fourth.session)).join()).toContain("A message may not have been sent");
  await fourth.close();
});

test("a host that can't read what it remembers sends, and says so", async () => {
  const world = await setUp();
  const unreadable: EndedKeeper = { note: () => undefined, find: () => Promise.reject(new Error("EACCES")) };
  const session = await (await world.process({ sends: false })).signIn();
  const { id } = await session.submit(request());
  await world.process({ ended: unreadable });
  await world.time.pass(2 * MINUTE);
  expect([world.sink.length, await statusOf(session, id)]).toEqual([1, ["final", ["sent"]]]);
  expect(world.logs).toEqual(["witness can't be read", "sent"]);
});

test("a mail ends although its host can't remember it", async () => {
  const world = await setUp();
  const full: EndedKeeper = {
    note() {
      throw new Error("ENOSPC");
    },
    find: async () => new Map(),
  };
  const session = await (await world.process({ ended: full })).signIn();
  const { id } = await session.submit(request());
  await settle();
  expect([world.sink.length, await statusOf(session, id)]).toEqual([1, ["final", ["sent"]]]);
  expect([...world.place.objects.keys()].filter((name) => /^outbound\/(?:queue|claim)/.test(name))).toEqual([]);
  expect(world.logs).toEqual(["sent", "witness can't be kept"]);
});
