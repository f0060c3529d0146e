import { parseHeaders } from "@restante/mime";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { asEmailRow } from "../../mail/numbers.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { signer, stream } from "../../testing/account-kit.ts";
import { settle } from "../../testing/hand-time.ts";
import {
  DAY,
  MESSAGE,
  MINUTE,
  Mortal,
  NearlyFull,
  request,
  type Smarthost,
  Stalled,
  setUp,
  statusOf,
  TAKES,
  textsIn,
  to,
} from "../../testing/outbound-kit.ts";
import { Dropbox } from "../delivery/dropbox.ts";
import { Unsettled } from "../delivery/unsettled.ts";
import { LEASE_MS, OutboundQueue } from "./queue.ts";
import { encodeReport } from "./report.ts";
import { DELAY_TOLD_MS, EXCHANGE_MS, MAKER_MS, type TransportReply, TransportTrouble } from "./sender.ts";
import type { SubmitRefusal, SubmitRequest } from "./submit.ts";

const REFUSES: Smarthost = ({ envelope }) =>
  envelope.recipients.map(() => ({ state: "failed", reply: "550 5.1.1 Nobody here" }));

describe("what came of a mail", () => {
  test("is told once to an owner whose mailbox is full, and keeps nobody else waiting", async () => {
    const { process, place, time } = await setUp();
    const options = { quota: { bytesMax: undefined, messagesMax: 1 }, smarthost: REFUSES };
    const { signIn, sender } = await process(options);
    const session = await signIn();
    const prepared = await session.prepare(stream(MESSAGE), { mailbox: "INBOX", flags: [] });
    await session.append(session.getMailbox("INBOX").id, prepared);
    await time.pass(2 * MINUTE);
    const { id } = await session.submit(request());
    const notes = () => [...place.objects.keys()].filter((name) => name.includes("/note/")).length;
    await time.pass(MINUTE);
    expect([sender.waitingCount, notes() <= 2]).toEqual([0, true]);
    expect(await statusOf(session, id)).toEqual(["final", ["failed"]]);
    expect((await textsIn(session)).filter((text) => text.includes("Undelivered mail"))).toHaveLength(1);
  });

  test("is told although its octets are lost", async () => {
    const { process, place, time } = await setUp();
    const away: Smarthost = () => {
      throw new TransportTrouble("later", "away");
    };
    const { signIn } = await process({ smarthost: away });
    const session = await signIn();
    const { id } = await session.submit(request({}, `${MESSAGE}${"x\r\n".repeat(9_000)}`));
    await settle();
    for (const name of [...place.objects.keys()]) if (name.startsWith("outbound/mail/")) place.objects.delete(name);
    await time.pass(6 * DAY);
    expect(await statusOf(session, id)).toEqual(["final", ["failed"]]);
    expect([...place.objects.keys()].filter((name) => /^outbound\/(?:queue|claim)/.test(name))).toEqual([]);
  });

  test("is written although the disk is nearly full: nobody sends it again", async () => {
    const { process, sink, time } = await setUp();
    const mortal = new NearlyFull(false);
    const { signIn } = await process({
      mortal,
      smarthost: (mail, text) => {
        mortal.isFull = true;
        return TAKES(mail, text);
      },
    });
    const session = await signIn();
    await session.submit(request());
    await settle();
    expect(sink).toHaveLength(1);
    mortal.isDead = true;
    await process();
    await time.pass(LEASE_MS + MINUTE);
    expect(sink).toHaveLength(1);
  });

  test("stays true when an older report comes later", async () => {
    const world = await setUp();
    const session = await (await world.process()).signIn();
    const { id } = await session.submit(request());
    await settle();
    expect(await statusOf(session, id)).toEqual(["final", ["sent"]]);
    // By a host that was slow, or from the store that its account left.
    const deliverer = { ...world.tools, signer, unsettled: new Unsettled(world.tools.platform) };
    const recipients = [{ address: "bob@x.org", state: "waiting", reply: "451 later" }] as const;
    const late = encodeReport({ id, state: "waiting", atMs: world.time.now(), recipients });
    await new Dropbox(deliverer, world.user()).report(late);
    await world.time.pass(MINUTE);
    expect(await statusOf(session, id)).toEqual(["final", ["sent"]]);
    expect((await session.findSubmission(id))!.recipients[0]).toMatchObject({ reply: "250 2.0.0 Ok" });
  });
});

describe("a mail that is submitted", () => {
  test("goes out once, at once, and its owner is told; nothing of it is left", async () => {
    const { process, sink, place } = await setUp();
    const { signIn } = await process();
    const session = await signIn();
    const { id, undoStatus } = await session.submit(request());
    expect(undoStatus).toBe("pending");
    await settle();
    expect(sink.map((one) => one.to)).toEqual([["bob@x.org"]]);
    expect(await statusOf(session, id)).toEqual(["final", ["sent"]]);
    const left = [...place.objects.keys()].filter((name) => name.startsWith("outbound/"));
    expect(left).toEqual([`outbound/done/${id}`]);
  });

  test("a large one too, and what waits is sealed", async () => {
    const { process, sink, place } = await setUp();
    const idle = await process({ sends: false });
    const session = await idle.signIn();
    const text = `${MESSAGE}${"a secret line\r\n".repeat(20_000)}`;
    await session.submit(request({}, text));
    const stored = [...place.objects].filter(([name]) => name.startsWith("outbound/"));
    expect(stored.map(([name]) => name.split("/")[1]).sort()).toEqual(["mail", "queue"]);
    for (const [, { bytes }] of stored)
      for (const word of ["a secret", "bob@x.org", "ada@example.org"])
        expect(Buffer.from(bytes).includes(word)).toBe(false);
    await process();
    await settle();
    expect(sink[0]!.text.endsWith(text.slice(-1000))).toBe(true);
    expect(sink[0]!.mail.size).toBe(sink[0]!.text.length);
  });

  test.each([
    ["small", MESSAGE, 0],
    ["large", `${MESSAGE}${"x\r\n".repeat(9_000)}`, 1],
  ])(
    "a %s one is queued only when its record is in the log; octets that nothing names are swept",
    async (_, text, octets) => {
      const { process, sink, place, time } = await setUp();
      const { signIn } = await process();
      const session = await signIn();
      await settle();
      const kinds = () => [...place.objects.keys()].filter((name) => /^outbound\/(?:queue|mail)\//.test(name));
      let recorded: () => void = () => undefined;
      place.fault = (operation, name) =>
        operation === "putIfAbsent" && name.includes("/log/")
          ? {
              kind: "late",
              release: (run) => {
                recorded = run;
              },
            }
          : undefined;
      // The answer is lost, and the record comes later than the process waits for it.
      const submitted = session.submit(request({}, text)).catch((error: unknown) => error);
      await settle();
      expect([kinds().filter((name) => name.includes("/queue/")), kinds().length]).toEqual([[], octets]);
      recorded();
      place.fault = () => undefined;
      await time.pass(MINUTE);
      await submitted;
      await time.pass(MINUTE);
      expect(sink.length).toBe(1);
      expect(kinds()).toEqual([]);

      place.fault = (operation, name) =>
        operation === "putIfAbsent" && name.includes("/log/") ? { kind: "full" } : undefined;
      await expect(session.submit(request({}, text))).rejects.toMatchObject({ code: "over-quota" });
      await settle();
      place.fault = () => undefined;
      expect(kinds().map((name) => name.split("/")[1])).toEqual(octets === 0 ? [] : ["mail"]);
      await time.pass(9 * DAY);
      expect([sink.length, kinds()]).toEqual([1, []]);
    },
  );

  test("by a process that was killed before it was queued is handed over, whatever is damaged besides", async () => {
    const { process, sink, place, time, logs } = await setUp();
    const first = await process();
    const session = await first.signIn();
    const killed = { size: 0, put: () => Promise.reject(new Error("killed")) };
    const prepare = vi.spyOn(OutboundQueue.prototype, "prepare").mockResolvedValue(killed);
    onTestFinished(() => void prepare.mockRestore());
    const bodies = () => [...place.objects.keys()].filter((name) => name.includes("/body/"));
    const texts = ["one", "other", "third"].map((word) => `${MESSAGE}${`${word}\r\n`.repeat(20_000)}`);
    let damaged: string | undefined;
    for (const [at, text] of texts.entries()) {
      const before = bodies();
      const prepared = await session.prepare(stream(text), { mailbox: "Sent", flags: [] });
      await session.append(session.getMailbox("Sent").id, prepared);
      // They are looked at the newest first.
      if (at === 2) damaged = bodies().find((name) => !before.includes(name));
      const email = { id: prepared.email.id, thread: new Uint8Array(8) };
      await expect(session.submit(request({ email }, text))).rejects.toThrow("killed");
      await time.pass(1000);
    }
    session.close();
    await first.accounts.dispose();
    await first.sender.stop();
    prepare.mockRestore();
    place.objects.delete(damaged!);
    await (await process()).signIn();
    await time.pass(MINUTE);
    expect([damaged !== undefined, sink.length]).toEqual([true, 2]);
    expect(logs).toContain("what was submitted can't be looked at");
  });

  test("and refused for want of room is sent by no later opening, and may be submitted again", async () => {
    const { process, sink, place, time } = await setUp();
    const first = await process();
    const session = await first.signIn();
    const text = `${MESSAGE}${"x\r\n".repeat(9_000)}`;
    const prepared = await session.prepare(stream(text), { mailbox: "Sent", flags: [] });
    await session.append(session.getMailbox("Sent").id, prepared);
    const email = { id: prepared.email.id, thread: new Uint8Array(8) };
    const again = request({ email, repeatKey: "k" }, text);
    for (const kind of ["mail", "queue"]) {
      place.fault = (_, name) => (name.startsWith(`outbound/${kind}/`) ? { kind: "full" } : undefined);
      await expect(session.submit(again)).rejects.toMatchObject({ code: "over-quota" });
      place.fault = () => undefined;
      expect(await session.submissions()).toEqual([]);
    }
    session.close();
    await first.accounts.dispose();
    const other = await (await process()).signIn();
    await time.pass(MINUTE);
    expect(sink).toEqual([]);
    await other.submit(again);
    await time.pass(MINUTE);
    expect(sink).toHaveLength(1);
  });

  test("whose answer the store loses is one that was taken, and goes once", async () => {
    const { process, sink, place, time } = await setUp();
    const session = await (await process({ sends: false })).signIn();
    let isFirst = true;
    place.fault = (operation, name) => {
      const isLost = operation === "putIfAbsent" && name.startsWith("outbound/queue/") && isFirst;
      if (isLost) isFirst = false;
      return isLost ? { kind: "lost-answer" } : undefined;
    };
    const submitted = expect(session.submit(request())).resolves.toMatchObject({ undoStatus: "pending" });
    await time.pass(MINUTE);
    await submitted;
    place.fault = (operation, name) =>
      operation === "putIfAbsent" && name.startsWith("outbound/queue/") ? { kind: "lost-answer" } : undefined;
    // One that is never answered is no refusal either.
    const unknown = expect(session.submit(request())).rejects.toMatchObject({ code: "unknown-outcome" });
    await time.pass(2 * MINUTE);
    await unknown;
    // It is known as long as it may be queued.
    expect(await session.submissions()).toHaveLength(2);
    await process();
    await time.pass(MINUTE);
    expect(sink).toHaveLength(2);
  });

  test("whose text and record both fail is told by the record's failure, and by nothing else", async () => {
    const { process, place } = await setUp();
    const session = await (await process({ sends: false })).signIn();
    let isFirst = true;
    const failing = request();
    const message = {
      size: failing.message.size,
      async *read(start: number, end: number) {
        if (!isFirst) throw new Error("the text is gone");
        isFirst = false;
        yield* failing.message.read(start, end);
      },
    };
    place.fault = (operation, name) =>
      operation === "putIfAbsent" && name.includes("/log/") ? { kind: "full" } : undefined;
    await expect(session.submit({ ...failing, message })).rejects.toMatchObject({ code: "over-quota" });
  });

  test("Bcc is cut out of what goes, however it is written, and no other octet is touched", async () => {
    const { process, sink } = await setUp();
    const { signIn } = await process();
    const text =
      "Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@x>\r\nBCC: one@x.org,\r\n two@x.org\r\nfrom:ada@example.org\r\n" +
      "bcc : three@x.org\r\nX-Odd:  \xff  \r\n\tfolded\r\nResent-Bcc: four@x.org\r\nSubject: Bcc: kept\r\n\r\nBcc: body@x.org\r\n";
    await (await signIn()).submit(request({}, text));
    await settle();
    expect(sink[0]!.text).toBe(
      "Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@x>\r\nfrom:ada@example.org\r\n" +
        "X-Odd:  \xff  \r\n\tfolded\r\nSubject: Bcc: kept\r\n\r\nBcc: body@x.org\r\n",
    );
    expect(sink[0]!.mail).toMatchObject({ needsUtf8: true, needsEightBit: true });
  });

  test("Date and Message-ID are set where they are missing", async () => {
    const { process, sink } = await setUp();
    const { signIn } = await process();
    await (await signIn()).submit(request());
    await settle();
    const names = parseHeaders(Buffer.from(sink[0]!.text)).map(({ name }) => name);
    expect(names).toEqual(["Date", "Message-ID", "From", "To", "Subject"]);
    expect(sink[0]!.text.endsWith(MESSAGE)).toBe(true);
  });

  test.each([
    ["bob@x.org", "forbiddenMailFrom"],
    ["", "forbiddenMailFrom"],
    ["ada@example.org\r\nRCPT TO:<x@y>", "forbiddenMailFrom"],
  ])("not with MAIL FROM %j", async (mailFrom, reason) => {
    const { process, sink } = await setUp();
    const session = await (await process()).signIn();
    await expect(session.submit(request({ envelope: { ...to("bob@x.org"), mailFrom } }))).rejects.toMatchObject({
      reason,
    });
    expect(sink).toEqual([]);
  });

  test.each([
    ["From: eve@x.org\r\n\r\n", "forbiddenFrom"],
    ["From: ada@example.org, eve@x.org\r\n\r\n", "forbiddenFrom"],
    ["From: ada@example.org\r\nSender: eve@x.org\r\n\r\n", "forbiddenFrom"],
    ["From: ada@example.org\r\nSender: ada@example.org\r\nSender: info@example.org\r\n\r\n", "forbiddenFrom"],
    ["From: ada@example.org\r\nFrom: eve@x.org\r\n\r\n", "forbiddenFrom"],
    ["From: us: ada@example.org, eve@x.org;\r\n\r\n", "forbiddenFrom"],
    ["From: ada@example.org <eve@x.org>\r\n\r\n", "forbiddenFrom"],
    ['From: "ada@example.org" <eve@x.org>\r\n\r\n', "forbiddenFrom"],
    ["From: eve@x.org (ada@example.org)\r\n\r\n", "forbiddenFrom"],
    ["From: =?utf-8?q?ada=40example.org?= <eve@x.org>\r\n\r\n", "forbiddenFrom"],
    ["To: bob@x.org\r\n\r\n", "invalidEmail"],
    ["From: \r\n\r\n", "invalidEmail"],
    ["From: nobody:;\r\n\r\n", "invalidEmail"],
  ])("not with %j", async (text, reason) => {
    const { process, sink } = await setUp();
    const session = await (await process()).signIn();
    await expect(session.submit(request({}, text))).rejects.toMatchObject({ reason });
    expect([sink, await session.submissions()]).toEqual([[], []]);
  });

  test.each([
    ["ada+x@example.org"],
    ["Ada <ADA@example.org>, info@example.org"],
    ["us: ada@example.org, info@example.org;"],
  ])("from %s", async (from) => {
    const { process } = await setUp();
    const session = await (await process()).signIn();
    await session.submit(request({}, `From: ${from}\r\n\r\nx\r\n`));
  });

  test("recipients are there, well formed, few enough, and each is one", async () => {
    const { process, sink } = await setUp();
    const session = await (await process()).signIn();
    const reasonOf = (envelope: SubmitRequest["envelope"]): Promise<SubmitRefusal> =>
      session.submit(request({ envelope })).then(
        () => Promise.reject(new Error("it was taken")),
        (error: SubmitRefusal) => error,
      );
    expect((await reasonOf(to())).reason).toBe("noRecipients");
    expect(await reasonOf(to("bob@x.org", "no address", "a\r\nb@x.org"))).toMatchObject({
      reason: "invalidRecipients",
      addresses: ["no address", "a\r\nb@x.org"],
    });
    expect(await reasonOf(to("1@x", "2@x", "3@x", "4@x", "5@x", "6@x"))).toMatchObject({
      reason: "tooManyRecipients",
      max: 5,
    });
    await session.submit(request({ envelope: to("bob@x.org", "BOB@X.org", "eve@x.org") }));
    await settle();
    expect(sink[0]!.to).toEqual(["bob@x.org", "eve@x.org"]);
  });

  test("not too large, not too late, and not to too many within a day", async () => {
    const { process, time } = await setUp();
    const session = await (await process({ limits: { recipientsPerDay: 4, bytesMax: 500 } })).signIn();
    await expect(session.submit(request({}, MESSAGE + "x".repeat(500)))).rejects.toMatchObject({
      reason: "tooLarge",
      max: 500,
    });
    await expect(session.submit(request({ holdUntilMs: time.now() + 31 * DAY }))).rejects.toMatchObject({
      reason: "holdTooLong",
    });
    await session.submit(request({ envelope: to("1@x.org", "2@x.org", "3@x.org") }));
    await expect(session.submit(request({ envelope: to("1@x.org", "2@x.org") }))).rejects.toMatchObject({
      reason: "forbiddenToSend",
    });
    await time.pass(DAY);
    await (await (await process()).signIn()).submit(request({ envelope: to("1@x.org", "2@x.org") }));
  });

  test("a request that is repeated is one mail; one without a key is another", async () => {
    const { process, sink } = await setUp();
    const session = await (await process()).signIn();
    const first = await session.submit(request({ repeatKey: "phone 1" }));
    for (let n = 2; n < 40; n++) await session.submit(request({ repeatKey: `phone ${n}` }));
    await settle();
    expect((await session.submit(request({ repeatKey: "phone 1" }))).id).toBe(first.id);
    await settle();
    expect(sink.length).toBe(39);
  });
});

describe("what the smarthost says", () => {
  test("some refused, some taken, some later: each by itself; who wants to hear of it does", async () => {
    const { process, sink, time } = await setUp();
    const answers: Readonly<Record<string, TransportReply>> = {
      "a@x.org": { state: "sent", reply: "250 2.0.0 Ok" },
      "b@x.org": { state: "failed", reply: "550 5.1.1 No such user" },
      "c@x.org": { state: "waiting", reply: "450 4.2.0 Greylisted" },
      "d@x.org": { state: "failed", reply: "550 5.1.1 Nor that one" },
    };
    let isLater = false;
    const { signIn } = await process({
      smarthost: ({ envelope }) =>
        envelope.recipients.map(({ address }) =>
          isLater ? { state: "sent", reply: "250 2.0.0 Ok" } : answers[address]!,
        ),
    });
    const session = await signIn();
    const envelope = {
      mailFrom: "ada@example.org",
      recipients: [
        { address: "a@x.org", notify: undefined },
        { address: "b@x.org", notify: undefined },
        { address: "c@x.org", notify: undefined },
        { address: "d@x.org", notify: "NEVER" },
      ],
    };
    const { id, envid } = await session.submit(request({ envelope }));
    await settle();
    expect(await statusOf(session, id)).toEqual(["final", ["sent", "failed", "waiting", "failed"]]);
    expect(await textsIn(session)).toEqual([]);
    isLater = true;
    await time.pass(2 * MINUTE);
    expect(sink.map((one) => one.to)).toEqual([["a@x.org"], ["c@x.org"]]);
    expect(await statusOf(session, id)).toEqual(["final", ["sent", "failed", "sent", "failed"]]);
    const [told, ...more] = await textsIn(session);
    expect(more).toEqual([]);
    expect(told).toContain("Return-Path: <>");
    expect(told).toContain("Auto-Submitted: auto-replied");
    expect(told).toContain(`Original-Envelope-Id: ${envid}`);
    expect(told).toContain("Final-Recipient: rfc822; b@x.org\r\nAction: failed\r\nStatus: 5.1.1\r\n");
    expect(told).toContain("Subject: hi");
    expect(told).not.toContain("d@x.org");
    // The header alone comes back.
    expect(told).not.toContain("hello");
  });

  test.each([
    ["a long line of another script", "あ".repeat(400), undefined],
    ["half a sign", "\ud83d", undefined],
    ["signs that turn others round", "\u202e\u2066x".repeat(100), undefined],
    ["nothing", "", undefined],
    ["a header's end", "550 x\r\n\r\nContent-Type: text/html", undefined],
    ["a delimiter", "550 --=_\r\n--", undefined],
    ["of an address in quotes", "550 5.1.1 no", '"a b@c"@x.org'],
    ["of an address of another script", "550 5.1.1 no", "あ@例え.jp"],
    ["of a long address", "550 5.1.1 no", `${"x".repeat(64)}@${"y.".repeat(90)}org`],
  ])("%s is told to its sender, and the mail has ended", async (_name, reply, address = "b@x.org") => {
    const { process, time, place, logs } = await setUp();
    const smarthost: Smarthost = () => [{ state: "failed", reply }];
    const session = await (await process({ smarthost })).signIn();
    const header = `X-Long: ${"é".repeat(2000)}\r\n`;
    const { id } = await session.submit(request({ envelope: to(address) }, header + MESSAGE));
    await time.pass(5 * MINUTE);
    expect(logs.filter((event) => event.includes("can't"))).toEqual([]);
    expect((await statusOf(session, id))[1]).toEqual(["failed"]);
    const [text] = await textsIn(session);
    expect(text!.split("\r\n").every((line) => line.length <= 998 && !line.includes("\n"))).toBe(true);
    expect(text!.match(/^Content-Type:.*/gim)).toHaveLength(4);
    expect([...place.objects.keys()].filter((name) => name.startsWith("outbound/"))).toEqual([`outbound/done/${id}`]);
  });

  test("trouble is tried again at growing distances, told after four hours, and given up after five days", async () => {
    const { process, time, sink } = await setUp();
    const tries: number[] = [];
    const begin = time.now();
    const { signIn } = await process({
      smarthost: () => {
        tries.push(time.now() - begin);
        throw new TransportTrouble("later", "connection refused");
      },
    });
    const session = await signIn();
    const { id } = await session.submit(request());
    await settle();
    await time.pass(DELAY_TOLD_MS + 3 * 60 * MINUTE);
    const [late] = await textsIn(session);
    expect(late).toContain("Action: delayed");
    expect(late).toContain("connection refused");
    await time.pass(5 * DAY);
    expect(await statusOf(session, id)).toEqual(["final", ["failed"]]);
    const pauses = tries.map((at, n) => at - (tries[n - 1] ?? 0)).slice(1);
    for (const [n, minutes] of [1, 5, 15, 30, 60, 120, 120].entries())
      expect(Math.abs(pauses[n]! / MINUTE - minutes)).toBeLessThanOrEqual(minutes * 0.11);
    const texts = await textsIn(session);
    expect([texts.length, texts.filter((text) => text.includes("Action: failed")).length, sink.length]).toEqual([
      2, 1, 0,
    ]);
    const after = tries.length;
    await time.pass(5 * DAY);
    expect(tries.length).toBe(after);
  });

  test("the operator's trouble is kept and logged, and is nobody's fault", async () => {
    const { process, time, sink, logs } = await setUp();
    let isMended = false;
    const { signIn } = await process({
      smarthost: (mail, text) => {
        if (!isMended) throw new TransportTrouble("operator", "535 5.7.8 Bad password");
        return TAKES(mail, text);
      },
    });
    const session = await signIn();
    const { id } = await session.submit(request());
    await time.pass(7 * DAY);
    expect(await statusOf(session, id)).toEqual(["pending", ["waiting"]]);
    expect((await textsIn(session)).every((text) => !text.includes("Bad password"))).toBe(true);
    expect(logs).toContain("a mail was not taken");
    isMended = true;
    await time.pass(3 * 60 * MINUTE);
    expect([sink.length, await statusOf(session, id)]).toEqual([1, ["final", ["sent"]]]);
  });

  test("one that never answers keeps nobody else waiting", async () => {
    const { process, time, sink } = await setUp();
    const { signIn } = await process({
      smarthost: (mail, text) => (text.includes("stuck") ? new Promise<never>(() => undefined) : TAKES(mail, text)),
    });
    const session = await signIn();
    await session.submit(request({}, MESSAGE.replace("hi", "stuck")));
    await session.submit(request());
    await settle();
    expect(sink.length).toBe(1);
    await time.pass(EXCHANGE_MS);
  });
});

describe("mail that is held", () => {
  test("goes when it is due, and not before; taken back it never goes", async () => {
    const { process, time, sink } = await setUp();
    const session = await (await process({ limits: { undoMs: 10_000 } })).signIn();
    const held = await session.submit(request({ holdUntilMs: time.now() + DAY }));
    const undone = await session.submit(request());
    const sent = await session.submit(request());
    await time.pass(9_000);
    expect(sink.length).toBe(0);
    expect(await session.cancelSubmission(undone.id)).toBe(true);
    await time.pass(2_000);
    expect(sink.length).toBe(1);
    expect(await session.cancelSubmission(sent.id)).toBe(false);
    expect(await session.cancelSubmission(undone.id)).toBe(true);
    expect(await session.cancelSubmission("0".repeat(32))).toBe(undefined);
    await time.pass(DAY);
    expect(sink.length).toBe(2);
    const again = await (await process()).signIn();
    expect(await statusOf(again, held.id)).toEqual(["final", ["sent"]]);
    expect((await statusOf(again, undone.id))[0]).toBe("canceled");
  });

  test("is gone from the store once it is taken back, however long it would have waited, whoever sends", async () => {
    const { process, time, place } = await setUp();
    for (const text of [MESSAGE, `From: ada@example.org\r\n\r\n${"x\r\n".repeat(9_000)}`]) {
      const session = await (await process({ sends: false })).signIn();
      const { id } = await session.submit(request({ holdUntilMs: time.now() + 20 * DAY }, text));
      await session.endMandate(id);
      const left = [...place.objects.keys()].filter((name) => name.startsWith("outbound/") && !name.includes("/done/"));
      expect([(await statusOf(session, id))[0], left]).toEqual(["canceled", []]);
    }
  });

  test("that can't be taken away yet is, when it is due", async () => {
    const { process, time, place, sink } = await setUp();
    const session = await (await process()).signIn();
    const { id } = await session.submit(request({ holdUntilMs: time.now() + 20 * DAY }));
    place.fault = (_, name) => (name.startsWith("outbound/done/") ? { kind: "unavailable" } : undefined);
    // It is asked there too whether the mail has ended.
    await expect(session.cancelSubmission(id)).rejects.toMatchObject({ code: "unavailable" });
    let puts = 0;
    place.fault = (operation, name) =>
      operation === "putIfAbsent" && name.startsWith("outbound/done/") && puts++ === 0
        ? { kind: "unavailable" }
        : undefined;
    expect(await session.cancelSubmission(id)).toBe(true);
    // Long after others of its age are swept.
    await time.pass(20 * DAY + MINUTE);
    const left = [...place.objects.keys()].filter((name) => name.startsWith("outbound/") && !name.includes("/done/"));
    expect([puts > 0, sink, left]).toEqual([true, [], []]);
  });

  test("of two processes that send and cancel at once one has its way, and says so", async () => {
    const { process, sink, time } = await setUp();
    const one = await process();
    const other = await process();
    const session = await one.signIn();
    let canceled = 0;
    for (let round = 0; round < 60; round++) {
      const before = sink.length;
      const { id } = await session.submit(request({ holdUntilMs: time.now() + 1000 }));
      const passed = time.pass(1000 + (round % 3));
      const isCanceled = await (round % 2 === 0 ? other.queue.cancel(id) : one.queue.cancel(id));
      await passed;
      await time.pass(MINUTE + 10_000);
      if (isCanceled === "canceled") canceled++;
      expect(sink.length - before).toBe(isCanceled === "canceled" ? 0 : 1);
    }
    expect(canceled).toBeGreaterThan(0);
  });

  test("who stops before a claim, while others send the mail to the end, neither sends nor cancels it", async () => {
    for (const does of ["send", "cancel"] as const) {
      const { process, sink, time } = await setUp();
      const session = await (await process({ sends: false })).signIn();
      const { id } = await session.submit(request({ holdUntilMs: time.now() + 1000 }));
      const stalled = new Stalled();
      const slow = await process({ mortal: stalled, sends: does === "send" });
      const canceled = does === "cancel" ? slow.queue.cancel(id) : undefined;
      await time.pass(1000);
      await stalled.hasStopped;
      await process();
      await time.pass(2 * MINUTE);
      expect(sink.length).toBe(1);
      stalled.goOn();
      await time.pass(2 * MINUTE);
      expect([does, sink.length, await canceled]).toEqual([does, 1, does === "cancel" ? "too-late" : undefined]);
    }
  });

  test("what one recipient has is not taken back, while another is tried again", async () => {
    const { process, time } = await setUp();
    const smarthost: Smarthost = ({ envelope }) =>
      envelope.recipients.map(({ address }) =>
        address === "a@x.org" ? { state: "sent", reply: "250 Ok" } : { state: "waiting", reply: "450 later" },
      );
    const { queue, signIn } = await process({ smarthost });
    const { id } = await (await signIn()).submit(request({ envelope: to("a@x.org", "b@x.org") }));
    await time.pass(1000);
    expect(await queue.cancel(id)).toBe("too-late");
  });

  test("what was taken back is taken back, also when nothing of it is left", async () => {
    const { process, sink, time } = await setUp();
    const { queue, signIn } = await process();
    const session = await signIn();
    const { id } = await session.submit(request({ holdUntilMs: time.now() + 1000 }));
    expect(await queue.cancel(id)).toBe("canceled");
    await time.pass(2 * MINUTE);
    expect(await queue.isDone(id)).toBe(true);
    expect([await queue.cancel(id), sink]).toEqual(["canceled", []]);
  });

  test("ten thousand are one look at a list of names, and none of them is read before it is due", async () => {
    const { process, place, time } = await setUp();
    for (let n = 0; n < 10_000; n++) {
      const due = time.now() + DAY + (n % 7) * MINUTE;
      place.write(
        `outbound/queue/${due.toString(16).padStart(12, "0")}${n.toString(16).padStart(32, "0")}`,
        Buffer.of(1),
      );
    }
    const lists: string[] = [];
    place.fault = (operation, name) => {
      if (operation === "list") lists.push(name);
      return undefined;
    };
    const before = { ...place.counts };
    const { sender, signIn } = await process();
    await settle();
    expect(sender.waitingCount).toBe(10_000);
    // A thousand names a page, and the last page tells that there are no more. The others are the sweep's.
    const queue = lists.filter((prefix) => prefix === "outbound/queue/");
    expect([queue.length, lists.length - queue.length, place.counts.get - before.get]).toEqual([11, 3, 0]);
    lists.length = 0;
    const session = await signIn();
    const asked = place.counts.get;
    for (let n = 0; n < 5; n++) await session.submit(request());
    await settle();
    // Each is opened, and seen not to have ended; its report is opened.
    expect(place.counts.get - asked).toBe(15);
    expect(lists.filter((prefix) => prefix.startsWith("outbound/"))).toEqual([]);
  });
});

describe("the sender", () => {
  test("looks at a mail that ended no more, however often the store tells of it", async () => {
    const { process, place, time, logs } = await setUp();
    const session = await (await process()).signIn();
    const { id, sendAtMs } = await session.submit(request());
    await settle();
    expect((await statusOf(session, id))[0]).toBe("final");
    const asked = { ...place.counts };
    place.write(`outbound/queue/${sendAtMs.toString(16).padStart(12, "0")}${id}`, Buffer.of(1));
    await time.pass(1000);
    expect([place.counts, logs.filter((event) => event.includes("can't"))]).toEqual([asked, []]);
  });

  test("looks at a mail that it has in hand once more, and not at once", async () => {
    const { process, place, sink } = await setUp();
    let goOn: (replies: readonly TransportReply[]) => void = () => undefined;
    const smarthost: Smarthost = () =>
      new Promise((resolve) => {
        goOn = resolve;
      });
    const { sender, signIn } = await process({ smarthost });
    const session = await signIn();
    const { id, sendAtMs } = await session.submit(request());
    await settle();
    const asked = { ...place.counts };
    sender.queued({ id, releaseMs: sendAtMs });
    await settle();
    expect([place.counts, sender.waitingCount]).toEqual([asked, 1]);
    goOn([{ state: "sent", reply: "250 Ok" }]);
    await settle();
    expect([sink.length, sender.waitingCount]).toEqual([1, 0]);
  });

  test("ends a mail that was taken back when it is due, at once", async () => {
    const { process, time } = await setUp();
    const { queue, signIn } = await process();
    const session = await signIn();
    const { id } = await session.submit(request({ holdUntilMs: time.now() + 1000 }));
    expect(await session.cancelSubmission(id)).toBe(true);
    await time.pass(1000);
    expect(await queue.isDone(id)).toBe(true);
  });
});

describe("of two processes", () => {
  test("others leave a fresh mail alone whose maker sends, and take it when that one is gone", async () => {
    const { process, sink, time } = await setUp();
    const mortal = new Mortal();
    const maker = await process({ mortal });
    const session = await maker.signIn();
    const made = await session.submit(request({ holdUntilMs: time.now() + 5000 }));
    mortal.isDead = true;
    const other = await process();
    await time.pass(MAKER_MS - 1000);
    expect(sink.length).toBe(0);
    await time.pass(MINUTE);
    expect(sink.length).toBe(1);
    expect(await statusOf(await other.signIn(), made.id)).toEqual(["final", ["sent"]]);
  });

  test("a hundred mails are each sent once, whoever queued them", async () => {
    const { process, sink, time } = await setUp();
    const both = [await process(), await process()];
    const sessions = await Promise.all(both.map(({ signIn }) => signIn()));
    const ids = await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        sessions[n % 2]!.submit(request({}, MESSAGE.replace("hi", `n${n}`))).then(({ id }) => id),
      ),
    );
    await time.pass(2 * MINUTE);
    const subjects = sink.map(({ text }) => /^Subject: (.*)$/m.exec(text)![1]);
    expect([subjects.length, new Set(subjects).size]).toEqual([40, 40]);
    for (const id of ids) expect(await statusOf(sessions[0]!, id)).toEqual(["final", ["sent"]]);
  });
});

describe("killed at any step", () => {
  // More than it has steps: the last rounds are those that are not killed.
  const STEPS = 40;

  test.each([false, true])(
    "(the step done: %s) each mail that was accepted goes, twice at most where its record was not written",
    async (isDone) => {
      let twice = 0;
      let rounds = 0;
      for (let killAt = 1; killAt <= STEPS; killAt++) {
        const { process, sink, time } = await setUp();
        const mortal = new Mortal();
        const { signIn } = await process({ mortal });
        const session = await signIn();
        await settle();
        Object.assign(mortal, { killAt: mortal.requests + killAt, isDone });
        let accepted: string | undefined;
        // The email lies in the account, as a client's draft does.
        const prepared = await session
          .prepare(stream(MESSAGE), { mailbox: "Drafts", flags: [] })
          .catch(() => undefined);
        if (!prepared) throw new Error("unreachable");
        const append = session.append(session.getMailbox("Drafts").id, prepared);
        await settle();
        if (mortal.isDead) continue;
        await append;
        const email = session.state.emails.columns.id.getId(asEmailRow(session.state.emails.rows - 1)).slice();
        void session
          .submit(request({ email: { id: email, thread: new Uint8Array(8) } }))
          .then(({ id }) => {
            accepted = id;
          })
          .catch(() => undefined);
        await settle();
        await time.pass(2 * MINUTE);
        mortal.isDead = true;
        rounds++;
        const after = await process();
        const again = await after.signIn();
        await settle();
        await time.pass(LEASE_MS + MAKER_MS + 10 * MINUTE);
        await again.refresh();
        const known = await again.submissions();
        if (accepted !== undefined) expect(known.map(({ id }) => id)).toEqual([accepted]);
        // A mail with a record was sent, and its record says so.
        expect(sink.length).toBeGreaterThanOrEqual(known.length);
        expect(sink.length).toBeLessThanOrEqual(2);
        if (sink.length === 2) twice++;
        for (const one of known)
          expect([killAt, one.undoStatus, one.recipients[0]!.state]).toEqual([killAt, "final", "sent"]);
        // Nothing of a mail is told twice, and no sender is told that it failed.
        expect(await textsIn(again)).toEqual([]);
      }
      expect(rounds).toBeGreaterThan(10);
      // Only between the smarthost's word and our record of it.
      expect(twice).toBeLessThanOrEqual(2);
    },
  );
});

describe("killed when it is queued, before that is marked", () => {
  /** A process that dies as soon as the mail is in the queue. */
  class DiesQueued extends Mortal {
    override store(store: ObjectStore): ObjectStore {
      const mortal = super.store(store);
      return new Proxy(mortal, {
        get: (target, name) => {
          const value = Reflect.get(target, name) as unknown;
          if (typeof value !== "function") return value;
          return async (...args: unknown[]) => {
            const done = await (value as (...all: unknown[]) => unknown).apply(target, args);
            if (name === "putIfAbsent" && String(args[0]).startsWith("outbound/queue/")) this.isDead = true;
            return done;
          };
        },
      });
    }
  }

  test.each([
    ["of no email of the account", undefined],
    ["whose email is gone", { id: new Uint8Array(16).fill(9), thread: new Uint8Array(8) }],
  ])("a mail %s is sent, and nobody is told otherwise", async (_name, email) => {
    const { process, sink, time } = await setUp();
    const session = await (await process({ mortal: new DiesQueued(), sends: false })).signIn();
    await settle();
    const { id } = await session.submit(request({ email, holdUntilMs: time.now() + 30 * MINUTE }));
    await settle();
    await time.pass(20 * MINUTE);
    const again = await (await process()).signIn();
    await settle();
    expect(await statusOf(again, id)).toEqual(["pending", ["waiting"]]);
    await time.pass(30 * MINUTE);
    expect([sink.length, await statusOf(again, id)]).toEqual([1, ["final", ["sent"]]]);
  });

  test("one that a living process is about to queue is left to it; one that nobody ever queued is told so", async () => {
    const { process, sink, time } = await setUp();
    const mortal = new Mortal();
    const session = await (await process({ mortal, sends: false })).signIn();
    await settle();
    // Killed between its record and its place in the queue.
    let at = 1;
    for (
      ;
      at < 40 && (await process({ sends: false }).then(async (one) => (await one.signIn()).submissions())).length === 0;
      at++
    ) {
      Object.assign(mortal, { killAt: mortal.requests + at, isDone: true, isDead: false });
      // Nobody is left to hear how it ends.
      void session.submit(request()).catch(() => undefined);
      await settle();
    }
    const other = await (await process()).signIn();
    await settle();
    await other.refresh();
    const [one] = await other.submissions();
    expect([one!.undoStatus, sink]).toEqual(["pending", []]);
    await time.pass(20 * MINUTE);
    const last = await (await process()).signIn();
    await settle();
    await time.pass(MINUTE);
    expect([(await statusOf(last, one!.id))[0], sink]).toEqual(["canceled", []]);
    // Nor does a process send it that queues it all the same.
    const { queue } = await process({ sends: false });
    expect((await queue.lastClaim(one!.id))?.claim.state).toBe("canceled");
  });
});

test("what an unsigned or damaged queue object says is not sent", async () => {
  const { process, sink, place, time, logs } = await setUp();
  const idle = await process({ sends: false });
  await (await idle.signIn()).submit(request());
  const [name, { bytes, created }] = [...place.objects].find(([one]) => one.startsWith("outbound/queue/"))!;
  const other = name.replace(/[0-9a-f]{4}$/, "0000");
  place.objects.set(other, { bytes, created });
  place.objects.set(name, { bytes: bytes.map((octet, at) => (at === bytes.length - 1 ? octet ^ 1 : octet)), created });
  await process();
  await time.pass(3 * MINUTE);
  expect([sink, logs.filter((event) => event === "a mail can't be sent now").length > 0]).toEqual([[], true]);
});
