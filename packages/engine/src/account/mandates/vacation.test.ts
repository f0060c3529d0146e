import { describe, expect, test } from "vitest";
import { serverPublicKey } from "../../crypto/index.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { collect } from "../../streams.ts";
import { outboundQueue, signer, stream } from "../../testing/account-kit.ts";
import { HandTime, settle } from "../../testing/hand-time.ts";
import { FIRST, setUpAda } from "../../testing/ways-in-kit.ts";
import { Dropbox } from "../delivery/dropbox.ts";
import { Unsettled } from "../delivery/unsettled.ts";
import { deleteAccount } from "../moving/delete-account.ts";
import { OutboundQueue } from "../outbound/queue.ts";
import { type OutgoingMail, Sender } from "../outbound/sender.ts";
import { Accounts } from "../sign-in/accounts.ts";
import { accountPrefix } from "../sign-in/users.ts";
import { FACTS_MS } from "./facts-reader.ts";
import { MandateStore } from "./mandate-store.ts";
import { ANSWER_SPAN_MS, ANSWERS_PER_DAY, Responder } from "./responder.ts";
import { NO_VACATION, VACATION_BYTES_MAX, type Vacation } from "./vacation.ts";

const OWN = ["ada@example.org", "ada+x@example.org", "info@example.org"];
const DAY = 24 * 60 * 60_000;
const AWAY: Vacation = { ...NO_VACATION, isEnabled: true, text: "gone fishing, secretly" };
const SERVER_KEY = new Uint8Array(32).fill(7);

async function setUp() {
  const time = new HandTime();
  const ada = await setUpAda();
  ada.place.now = () => time.now();
  const logs: string[] = [];
  const sink: { readonly mail: OutgoingMail; readonly text: string }[] = [];
  const base = {
    ...ada.tools.platform,
    ...time,
    log: ({ event }: { readonly event: string }) => void logs.push(event),
  };
  /** A process: `store` may fail. */
  const process = (store: ObjectStore = ada.place.open()) => {
    const mandates = new MandateStore({ store, platform: base, serverKey: SERVER_KEY });
    const queue = new OutboundQueue({ store, platform: base, serverKey: SERVER_KEY });
    const accounts = new Accounts({ ...ada.tools, store, platform: { ...base, mandates } });
    const isOwn = async (_owner: string, address: string) => OWN.includes(address.toLowerCase());
    const sender = new Sender({
      queue,
      platform: base,
      giveUpMs: 5 * DAY,
      isDeleted: async () => false,
      reporter: { report: async () => undefined, tellSender: async () => void logs.push("told") },
      transport: {
        async send(mail) {
          sink.push({ mail, text: Buffer.from(await collect(mail.read())).toString("latin1") });
          return mail.envelope.recipients.map(() => ({ state: "sent", reply: "250 Ok" }));
        },
      },
    });
    const responder = new Responder({ mandates, queue, platform: base, serverKey: SERVER_KEY, isOwn, sender });
    return {
      mandates,
      queue,
      sender,
      responder,
      accounts,
      signIn: () => accounts.login("ada@example.org", FIRST, "127.0.0.1"),
    };
  };
  const users = { find: (address: string) => ada.users.find(address) };
  const deliverer = {
    store: ada.place.open(),
    platform: base,
    users,
    signer,
    unsettled: new Unsettled(base),
    serverPublicKey: serverPublicKey(SERVER_KEY),
  };
  let dropbox = new Dropbox(deliverer, ada.user());
  const deliver = async (text: string, from = "bob@x.org"): Promise<void> => {
    await dropbox.deliver(
      Buffer.from(`Return-Path: <${from}>\r\nDelivered-To: ada@example.org\r\n`),
      stream(text),
      deliverer.unsettled.connect(),
    );
  };
  const names = (folder: string) => [...ada.place.objects.keys()].filter((name) => name.startsWith(folder));
  return {
    ...ada,
    time,
    logs,
    sink,
    process,
    deliver,
    names,
    again: () => {
      dropbox = new Dropbox(deliverer, ada.user());
    },
  };
}

/** Somebody is away, nobody is signed in, and what answers runs. */
async function away(vacation: Vacation = AWAY) {
  const world = await setUp();
  const front = world.process();
  const session = await front.signIn();
  await session.setVacation(vacation);
  session.close();
  await front.accounts.dispose();
  const back = world.process();
  back.sender.start();
  back.responder.start();
  return { ...world, back };
}

const MAIL = "To: ada@example.org\r\nFrom: Bob <bob@x.org>\r\nSubject: hi\r\nMessage-ID: <1@x.org>\r\n\r\nhello\r\n";

describe("while its owner is away and nobody is signed in", () => {
  test("a mail is answered, from nobody, to its return path alone, and says that it is an answer", async () => {
    const { deliver, sink, names } = await away();
    await deliver(MAIL);
    await settle();
    expect(sink).toHaveLength(1);
    const [{ mail, text }] = sink as [(typeof sink)[0]];
    expect(mail.envelope).toEqual({ mailFrom: "", recipients: [{ address: "bob@x.org", notify: "NEVER" }] });
    for (const line of [
      "From: ada@example.org",
      "To: bob@x.org",
      "Subject: Auto: hi",
      "Auto-Submitted: auto-replied (vacation)",
      "In-Reply-To: <1@x.org>",
      "References: <1@x.org>",
    ])
      expect(text).toContain(`${line}\r\n`);
    expect(text).toContain("gone fishing");
    expect(names("outbound/request/")).toEqual([]);
    expect(names("outbound/seen/")).toHaveLength(1);
  });

  test.each([
    '"a b"@x.org',
    '"a@b"@x.org',
    "a..b@x.org",
    ".a@x.org",
    "a@[127.0.0.1]",
    "a@x_y.org",
    "a@-x.org",
    "a@x..org",
    "ä@x.org",
    "a@例え.jp",
    "x@y",
    `${"x".repeat(400)}@x.org`,
    `a@${"y".repeat(300)}.org`,
    '"\\"@x.org',
    "a@x.org\u202e",
    "a b@x.org",
  ])("whatever a stranger's address looks like, their mail is looked at once: %s", async (from) => {
    const { deliver, names, logs, time } = await away();
    await deliver(MAIL, from);
    await settle();
    await time.pass(5 * 60_000);
    expect([names("outbound/request/"), logs.filter((event) => event.includes("can't"))]).toEqual([[], []]);
  });

  test("its own subject and HTML are used, and text is made of HTML alone", async () => {
    const { deliver, sink } = await away({ ...AWAY, text: undefined, subject: "Fort ö", html: "<p>weg</p>" });
    await deliver(MAIL);
    await settle();
    expect(sink[0]!.text).toContain("multipart/alternative");
    expect(sink[0]!.text).toContain("<p>weg</p>");
    expect(sink[0]!.text).not.toContain("Auto: hi");
  });

  test("a sender is answered once in seven days, whatever they write, and then again", async () => {
    const { deliver, sink, time } = await away();
    for (let n = 0; n < 5; n++) await deliver(MAIL.replace("<1@", `<${n}@`), n % 2 ? "BOB@x.org" : "bob@x.org");
    await settle();
    expect(sink).toHaveLength(1);
    await deliver(MAIL, "eve@x.org");
    await settle();
    expect(sink).toHaveLength(2);
    await time.pass(ANSWER_SPAN_MS + 1000);
    await deliver(MAIL);
    await settle();
    expect(sink).toHaveLength(3);
  });

  test("an account answers so many within a day and no more", async () => {
    const { deliver, sink, time } = await away();
    for (let n = 0; n < ANSWERS_PER_DAY + 5; n++) await deliver(MAIL, `bob${n}@x.org`);
    await time.pass(0);
    for (let n = 0; n < 20; n++) await settle();
    expect(sink).toHaveLength(ANSWERS_PER_DAY);
  });

  const UNANSWERED: Readonly<Record<string, readonly [text: string, from?: string]>> = {
    "a bounce": [MAIL, ""],
    "an answer": [`Auto-Submitted: auto-replied\r\n${MAIL}`],
    "what a program sent": [`auto-submitted: auto-generated; x\r\n${MAIL}`],
    "a list": [`List-Id: <l.x.org>\r\n${MAIL}`],
    "a newsletter": [`List-Unsubscribe: <mailto:u@x.org>\r\n${MAIL}`],
    "bulk mail": [`Precedence: Bulk\r\n${MAIL}`],
    "who wants none": [`X-Auto-Response-Suppress: DR, OOF\r\n${MAIL}`],
    junk: [`X-Spam-Flag: YES\r\n${MAIL}`],
    "a report": [`Content-Type: multipart/report; boundary=x\r\n${MAIL}`],
    noreply: [MAIL, "noreply@x.org"],
    "no-reply with a detail": [MAIL, "No-Reply+123@x.org"],
    "a list's owner": [MAIL, "owner-list@x.org"],
    "a list's address for requests": [MAIL, "list-request@x.org"],
    "bounces of a list": [MAIL, "list-bounces+ada=example.org@x.org"],
    "a daemon": [MAIL, "MAILER-DAEMON@x.org"],
    oneself: [MAIL, "ada+x@example.org"],
    "who did not write to the owner": [MAIL.replace("ada@example.org", "others@example.org")],
    "a blind copy": [MAIL.replace("To: ada@example.org\r\n", "")],
  };
  test.each(Object.entries(UNANSWERED))("nothing is answered to %s", async (_, [text, from]) => {
    const { deliver, sink, names, logs } = await away();
    await deliver(text, from);
    await settle();
    expect(sink).toEqual([]);
    expect(names("outbound/request/")).toEqual([]);
    expect(logs).toEqual([]);
  });

  test("mail to an alias, to a detail, among many others and by Cc is answered", async () => {
    const { deliver, sink } = await away();
    const many = Array.from({ length: 300 }, (_, n) => `x${n}@elsewhere.org`).join(", ");
    await deliver(MAIL.replace("ada@example.org", "Info@example.org"), "one@x.org");
    await deliver(MAIL.replace("ada@example.org", `${many}, ada+x@example.org`), "two@x.org");
    await deliver(MAIL.replace("To:", "Cc:"), "three@x.org");
    await settle();
    expect(sink.map(({ mail }) => mail.envelope.recipients[0]!.address).sort()).toEqual([
      "one@x.org",
      "three@x.org",
      "two@x.org",
    ]);
  });

  test("nothing is answered before it begins and after it ends; what is over is deleted", async () => {
    const world = await setUp();
    const now = world.time.now();
    const front = world.process();
    const session = await front.signIn();
    await session.setVacation({ ...AWAY, fromMs: now + DAY, untilMs: now + 2 * DAY });
    const { responder, sender } = world.process();
    sender.start();
    responder.start();
    await world.deliver(MAIL);
    await settle();
    expect(world.sink).toHaveLength(0);
    await world.time.pass(DAY);
    await world.deliver(MAIL);
    await settle();
    expect(world.sink).toHaveLength(1);
    expect(world.names("outbound/vacation/")).toHaveLength(1);
    await world.time.pass(DAY + 60 * 60_000);
    await world.deliver(MAIL, "other@x.org");
    await settle();
    expect(world.sink).toHaveLength(1);
    expect([...world.names("outbound/vacation/"), ...world.names("outbound/seen/")]).toEqual([]);
  });

  test("what came before the dates were changed is judged by the new ones", async () => {
    const world = await setUp();
    const session = await world.process().signIn();
    for (const [from, until] of [
      [60_000, undefined],
      [undefined, 60_000],
    ] as const) {
      const now = world.time.now();
      await session.setVacation(AWAY);
      await world.deliver(MAIL, `bob${world.time.now()}@x.org`);
      expect(world.names("outbound/request/")).toHaveLength(1);
      await session.setVacation({ ...AWAY, fromMs: from && now + from, untilMs: until && now + until });
      await world.time.pass(120_000);
      const { responder, sender } = world.process();
      sender.start();
      responder.start();
      await settle();
      await responder.stop();
      await sender.stop();
      expect(world.names("outbound/request/")).toEqual([]);
    }
    expect(world.sink).toEqual([]);
  });

  test("two hosts answer one mail once", async () => {
    const world = await away();
    const other = world.process();
    other.sender.start();
    other.responder.start();
    for (let n = 0; n < 20; n++) await world.deliver(MAIL, `bob${n % 10}@x.org`);
    for (let n = 0; n < 5; n++) await settle();
    expect(world.sink.map(({ mail }) => mail.envelope.recipients[0]!.address).sort()).toEqual(
      Array.from({ length: 10 }, (_, n) => `bob${n}@x.org`),
    );
  });

  test("a process that is killed at any step of answering leaves an answer that goes out once", async () => {
    for (let killAt = 1; killAt < 12; killAt++)
      for (const isDone of [false, true]) {
        const world = await setUp();
        const front = world.process();
        const session = await front.signIn();
        await session.setVacation(AWAY);
        await world.deliver(MAIL);
        let requests = 0;
        let isDead = false;
        const store = world.place.open();
        const mortal = new Proxy(store, {
          get(target, name) {
            const value = Reflect.get(target, name) as unknown;
            if (typeof value !== "function") return value;
            if (!["put", "putIfAbsent", "get", "list", "delete"].includes(name as string)) return value.bind(target);
            return async (...args: unknown[]) => {
              if (!isDead && ++requests < killAt) return value.apply(target, args);
              if (!isDead && requests === killAt && isDone) await value.apply(target, args);
              isDead = true;
              return new Promise(() => undefined);
            };
          },
        });
        world.process(mortal).responder.start();
        await settle();
        const { sender, responder } = world.process();
        responder.start();
        sender.start();
        for (let n = 0; n < 3; n++) await settle();
        await world.time.pass(2 * 60_000);
        expect([killAt, isDone, world.sink.length]).toEqual([killAt, isDone, 1]);
      }
  });

  test("forged and foreign requests and mandates give no leave, and are taken away", async () => {
    const world = await away();
    const hex = accountPrefix(world.user().record).slice(0, -1);
    world.place.write(`outbound/request/${hex}.${"0".repeat(32)}`, new Uint8Array(2000));
    world.place.write(`outbound/request/${hex}.${"1".repeat(32)}`, new Uint8Array(3));
    world.place.write("outbound/request/odd", new Uint8Array(3));
    await settle();
    await world.time.pass(60_000);
    expect(world.names("outbound/request/")).toEqual([]);
    // Another's mandate under this name.
    const [name] = world.names("outbound/vacation/");
    const other = `outbound/vacation/${"a".repeat(32)}`;
    world.place.write(other, world.place.objects.get(name!)!.bytes);
    const account = new Uint8Array(16).fill(0xaa);
    expect(await world.back.mandates.read({ kind: "vacation", account, id: "" })).toBeUndefined();
  });
});

describe("a vacation", () => {
  test("is said and read again; what it can't be is refused", async () => {
    const world = await setUp();
    const session = await world.process().signIn();
    expect(await session.vacation()).toEqual(NO_VACATION);
    const said = { isEnabled: true, fromMs: 1, untilMs: 2e12, subject: "s", text: "t", html: "<p>h</p>" };
    await session.setVacation(said);
    expect(await session.vacation()).toEqual(said);
    for (const [wrong, code] of [
      [{ ...said, text: "x".repeat(VACATION_BYTES_MAX) }, "too-large"],
      [{ ...said, subject: "a\r\nBcc: x@x.org" }, "invalid"],
      [{ ...said, fromMs: Number.NaN }, "invalid"],
      [{ ...said, text: "\ud800" }, "invalid"],
    ] as const)
      await expect(session.setVacation(wrong)).rejects.toMatchObject({ code });
    expect(await session.vacation()).toEqual(said);
  });

  test("is sealed in the store while it lasts, and nothing of it is left when it ends", async () => {
    const world = await setUp();
    const front = world.process();
    const session = await front.signIn();
    await session.setVacation(AWAY);
    await world.deliver(MAIL);
    const back = world.process();
    back.responder.start();
    back.sender.start();
    await settle();
    expect(world.names("outbound/vacation/")).toHaveLength(1);
    for (const [, { bytes }] of world.place.objects) expect(Buffer.from(bytes).includes("fishing")).toBe(false);
    await session.setVacation({ ...AWAY, isEnabled: false });
    for (const folder of ["outbound/vacation/", "outbound/seen/", "outbound/request/", "outbound/queue/"])
      expect(world.names(folder)).toEqual([]);
    // The owner's text is still there: the owner's keys alone open it.
    expect((await session.vacation()).text).toBe(AWAY.text);
    expect(world.sink).toHaveLength(1);
    await world.time.pass(FACTS_MS);
    await world.deliver(MAIL, "carol@x.org");
    expect(world.names("outbound/request/")).toEqual([]);
  });

  test("that is said while a process is killed at any step is what the server does once its owner is back", async () => {
    for (const [before, after] of [
      [NO_VACATION, AWAY],
      [AWAY, { ...AWAY, isEnabled: false }],
      [AWAY, { ...AWAY, text: "another" }],
    ] as const)
      for (let killAt = 1; killAt < 9; killAt++) {
        const world = await setUp();
        const first = world.process();
        const session = await first.signIn();
        if (before.isEnabled) await session.setVacation(before);
        session.close();
        await first.accounts.dispose();
        let requests = Number.NEGATIVE_INFINITY;
        const mortal = new Proxy(world.place.open(), {
          get(target, name) {
            const value = Reflect.get(target, name) as unknown;
            if (typeof value !== "function") return value;
            if (!["put", "putIfAbsent", "delete"].includes(name as string)) return value.bind(target);
            return (...args: unknown[]) =>
              ++requests < killAt ? value.apply(target, args) : new Promise(() => undefined);
          },
        });
        const killed = await world.process(mortal).signIn();
        requests = 0;
        void killed.setVacation(after);
        await settle();
        const next = world.process();
        const back = await next.signIn();
        await settle();
        const said = await back.vacation();
        const account = world.user().record.account;
        const stored = await next.mandates.read({ kind: "vacation", account, id: "" });
        expect([killAt, stored !== undefined]).toEqual([killAt, said.isEnabled]);
        if (stored && said.text) expect(Buffer.from(stored.plain).includes(said.text)).toBe(true);
      }
  });

  test("that two processes say at once is what the record says, whoever told the server last", async () => {
    const world = await setUp();
    const account = world.user().record.account;
    let go: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    const slow = new Proxy(world.place.open(), {
      get(target, name) {
        const value = Reflect.get(target, name) as unknown;
        if (typeof value !== "function") return value;
        if (name !== "put") return value.bind(target);
        return async (...args: unknown[]) => {
          if (String(args[0]).startsWith("outbound/vacation/")) await held;
          return value.apply(target, args);
        };
      },
    });
    const one = await world.process(slow).signIn();
    const first = one.setVacation({ ...AWAY, text: "first" });
    await settle();
    const other = world.process();
    const second = await other.signIn();
    await second.setVacation({ ...AWAY, text: "second" });
    go();
    await first;
    await one.refresh();
    expect((await one.vacation()).text).toBe("second");
    const stored = await other.mandates.read({ kind: "vacation", account, id: "" });
    expect(Buffer.from(stored!.plain).toString()).toContain("second");
  });

  test("that the server knows no more, since its key is lost or its store is another, is told again when its owner is back", async () => {
    for (const isLost of [(bytes: Uint8Array) => bytes.map((octet) => octet ^ 1), () => undefined]) {
      const world = await setUp();
      const front = world.process();
      const session = await front.signIn();
      await session.setVacation({ ...AWAY, untilMs: world.time.now() + DAY });
      session.close();
      await front.accounts.dispose();
      const [name] = world.names("outbound/vacation/");
      const left = isLost(world.place.objects.get(name!)!.bytes);
      if (left) world.place.write(name!, left);
      else await world.place.open().delete([name!]);
      const next = world.process();
      await next.signIn();
      await settle();
      const account = world.user().record.account;
      const place = { kind: "vacation", account, id: "" } as const;
      expect(Buffer.from((await next.mandates.read(place))!.plain).includes("fishing")).toBe(true);
      // A vacation that is over stays away.
      await world.time.pass(DAY);
      await next.mandates.end(place);
      await world.process().signIn();
      await settle();
      expect(world.names("outbound/vacation/")).toEqual([]);
    }
  });

  test("goes with its account", async () => {
    const world = await away();
    await world.deliver(MAIL);
    await settle();
    expect(world.names("outbound/seen/")).toHaveLength(1);
    await deleteAccount({ ...world.tools, queue: outboundQueue(world.tools.store), signer }, world.user());
    expect(world.names("outbound/").filter((name) => !name.startsWith("outbound/done/"))).toEqual([]);
  });

  test("takes answers along that wait, and requests, when its account goes", async () => {
    const world = await setUp();
    const { signIn, responder, accounts, sender } = world.process();
    const session = await signIn();
    await session.setVacation(AWAY);
    session.close();
    await accounts.dispose();
    await world.deliver(MAIL);
    // Nothing is sent yet.
    responder.start();
    await settle();
    await responder.stop();
    await world.deliver(MAIL, "eve@x.org");
    expect(["queue", "request"].map((kind) => world.names(`outbound/${kind}/`).length)).toEqual([1, 1]);
    await deleteAccount({ ...world.tools, queue: outboundQueue(world.tools.store), signer }, world.user());
    expect(world.names("outbound/").filter((name) => !name.startsWith("outbound/done/"))).toEqual([]);
    sender.start();
    await settle();
    expect(world.sink).toEqual([]);
  });

  test("is refused where the server answers nobody", async () => {
    const { accounts } = await setUpAda();
    const session = await accounts().login("ada@example.org", FIRST, "127.0.0.1");
    await expect(session.setVacation(AWAY)).rejects.toMatchObject({ code: "not-permitted" });
    await session.setVacation({ ...AWAY, isEnabled: false });
  });
});

test("two accounts of ours that are away answer each other once at most", async () => {
  const { deliver, sink } = await away();
  // The other account's answer as it comes.
  await deliver(MAIL);
  await settle();
  const answer = sink[0]!.text.replace("To: bob@x.org", "To: ada@example.org");
  await deliver(answer, "");
  await deliver(answer, "bob2@x.org");
  await settle();
  expect(sink).toHaveLength(1);
});
