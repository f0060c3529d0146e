import { describe, expect, onTestFinished, test, vi } from "vitest";
import { signingKeyPair } from "../../crypto/index.ts";
import { Contents } from "../../mail/contents/contents.ts";
import { platform, signer, stream } from "../../testing/account-kit.ts";
import { HandTime, settle } from "../../testing/hand-time.ts";
import { FIRST, setUpAda } from "../../testing/ways-in-kit.ts";
import { Dropbox } from "../delivery/dropbox.ts";
import { Unsettled } from "../delivery/unsettled.ts";
import { Accounts } from "../sign-in/accounts.ts";
import { OutboundQueue } from "./queue.ts";
import { withStatus } from "./status-mail.ts";
import type { Submission } from "./submission.ts";
import type { Outbound } from "./submit.ts";

const MESSAGE =
  "From: Ada <ada@example.org>\r\nTo: bob@x.org, eve@x.org\r\nMessage-ID: <1@example.org>\r\nSubject: hi\r\n\r\nhello\r\n";

async function setUp(...to: readonly string[]) {
  const time = new HandTime();
  const ada = await setUpAda();
  ada.place.now = () => time.now();
  const store = ada.place.open();
  const base = { ...ada.tools.platform, ...time };
  const outbound: Outbound = {
    queue: new OutboundQueue({ store, platform: base, serverKey: new Uint8Array(32).fill(7) }),
    isOwn: async () => true,
    limits: { bytesMax: 1e6, recipientsMax: 9, recipientsPerDay: 99, holdMsMax: 1e9, undoMs: 0 },
  };
  const accounts = new Accounts({ ...ada.tools, store, platform: { ...base, outbound } });
  const session = await accounts.login("ada@example.org", FIRST, "");
  const prepared = await session.prepare(stream(MESSAGE), { mailbox: "Sent", flags: [] });
  await session.append(session.getMailbox("Sent").id, prepared);
  const view = session.openView(session.getMailbox("Sent").id, { readOnly: true });
  const message = view.message(0);
  const email = { id: prepared.email.id, thread: new Uint8Array(8) };
  const addresses = to.length > 0 ? to : ["bob@x.org", "eve@x.org"];
  const submit = async (...recipients: readonly string[]): Promise<Submission> =>
    session.submit({
      email,
      envelope: {
        mailFrom: "ada@example.org",
        recipients: recipients.map((address) => ({ address, notify: undefined })),
      },
      message: await session.openBody(message),
    });
  const { id, envid } = await submit(...addresses);
  await settle();
  const users = { find: (address: string) => ada.users.find(address) };
  const deliverer = { store, platform: base, users, signer, unsettled: new Unsettled(base) };
  const dropbox = new Dropbox(deliverer, ada.user());
  const deliver = async (text: string): Promise<Submission> => {
    await dropbox.deliver(new Uint8Array(0), stream(text), deliverer.unsettled.connect());
    await settle();
    await session.refresh();
    return (await session.findSubmission(id))!;
  };
  const outcome = (one: Submission) =>
    one.recipients.map(({ delivered, isDisplayed }) => `${delivered}${isDisplayed ? " displayed" : ""}`);
  return { ...ada, time, session, id, envid, submit, deliver, outcome };
}

function report(type: string, content: string, more = ""): string {
  return [
    "From: mailer-daemon@mx.x.org",
    "Subject: report",
    `Content-Type: multipart/report; report-type=${type}; boundary=b`,
    "",
    "--b",
    "",
    `words ${more}`,
    "--b",
    `Content-Type: message/${type}`,
    "",
    ...content.split("\n"),
    "--b--",
    "",
  ].join("\r\n");
}
const dsn = (envid: string, ...recipients: readonly string[]): string =>
  report("delivery-status", [`Reporting-MTA: dns; mx\nOriginal-Envelope-Id: ${envid}`, ...recipients, ""].join("\n\n"));
const of = (address: string, action: string, diagnostic = ""): string =>
  `Final-Recipient: rfc822; ${address}\nAction: ${action}\nStatus: 5.0.0${diagnostic && `\nDiagnostic-Code: smtp; ${diagnostic}`}`;
const mdn = (messageId: string, by: string, type = "displayed"): string =>
  report(
    "disposition-notification",
    `Final-Recipient: rfc822; ${by}\nOriginal-Message-ID: <${messageId}>\nDisposition: manual-action/MDN-sent-manually; ${type}\n`,
  );

describe("a report from outside", () => {
  test("says of each recipient what became of the mail, and is told with it", async () => {
    const { envid, deliver, outcome } = await setUp();
    const one = await deliver(
      dsn(envid, of("BOB@x.org", "failed", "550 5.1.1 no\u202e such"), of("eve@x.org", "delivered")),
    );
    expect(outcome(one)).toEqual(["no", "yes"]);
    expect(one.recipients[0]!.reply).toBe("550 5.1.1 no  such");
    expect(one.statusMails).toHaveLength(1);
    const late = await deliver(dsn(envid, of("bob@x.org", "delayed"), of("eve@x.org", "relayed")));
    expect(outcome(late)).toEqual(["no", "yes"]);
    expect(late.statusMails).toHaveLength(2);
  });

  test.each([
    ["delayed", "queued"],
    ["relayed", "unknown"],
    ["expanded", "yes"],
    ["failed", "no"],
    ["constructor", "queued"],
    ["", "queued"],
  ])("whose action is %s means %s", async (action, delivered) => {
    const { envid, deliver, outcome } = await setUp();
    expect(outcome(await deliver(dsn(envid, of("bob@x.org", action))))[0]).toBe(delivered);
  });

  test("of another envelope, of none, or of a stranger's recipient says nothing", async () => {
    const { envid, deliver, outcome, session, id } = await setUp();
    const before = await session.findSubmission(id);
    for (const text of [
      dsn("0".repeat(32), of("bob@x.org", "failed")),
      dsn("", of("bob@x.org", "failed")),
      dsn(envid, of("bob@x.org", "failed")).replace("multipart/report", "multipart/mixed"),
      report("delivery-status", of("bob@x.org", "failed")),
    ])
      expect(await deliver(text)).toEqual(before);
    expect(outcome(await deliver(dsn(envid, of("mallory@x.org", "failed"))))).toEqual(["queued", "queued"]);
  });

  test("of the only recipient counts, whatever address it was forwarded to; of one mail it counts once", async () => {
    const { envid, deliver, outcome, session } = await setUp("bob@x.org");
    const one = await deliver(dsn(envid, of("robert@elsewhere.org", "failed")));
    expect(outcome(one)).toEqual(["no"]);
    await session.refresh();
    expect(one.statusMails).toHaveLength(1);
  });

  test("that is looked at twice counts once", async () => {
    const { envid, deliver } = await setUp();
    const email = new Uint8Array(16).fill(5);
    const recipients = [
      { originalRecipient: "bob@x.org", finalRecipient: undefined, action: "failed", reply: undefined },
    ];
    const delivery = { kind: "delivery", report: { envelopeId: envid, recipients } } as const;
    const one = withStatus(await deliver(MESSAGE), delivery, email)!;
    expect(one.recipients[0]!.delivered).toBe("no");
    expect(withStatus(one, delivery, email)).toBeUndefined();
  });

  test("that stands far behind much text, or is cut off, does no harm", async () => {
    const { envid, deliver, session, id } = await setUp();
    const before = await session.findSubmission(id);
    const long = report("delivery-status", `x: y\nOriginal-Envelope-Id: ${envid}\n\n${of("bob@x.org", "failed")}`);
    expect(await deliver(long.replace("words", "words ".repeat(100_000)))).toEqual(before);
    expect(await deliver(long.slice(0, long.indexOf("Final")))).toEqual(before);
    expect(await deliver(`Content-Type: multipart/report\r\n\r\n`)).toEqual(before);
    const large = await deliver(long.replace("words", "words ".repeat(30_000)));
    expect(large.statusMails).toHaveLength(1);
  });

  test("that nobody of ours delivered says nothing", async () => {
    const { envid, session, id, place, user, users } = await setUp();
    const stranger = signingKeyPair(new Uint8Array(32).fill(1));
    const unsettled = new Unsettled(platform);
    const box = new Dropbox({ store: place.open(), platform, users, signer: stranger, unsettled }, user());
    await box.deliver(new Uint8Array(0), stream(dsn(envid, of("bob@x.org", "failed"))), unsettled.connect());
    await settle();
    await session.refresh();
    expect((await session.findSubmission(id))!.statusMails).toEqual([]);
  });
});

describe("a note that a mail was read", () => {
  test("is told with the mail that it names, of who says so", async () => {
    const { deliver, outcome } = await setUp();
    expect(outcome(await deliver(mdn("1@example.org", "Eve@x.org")))).toEqual(["queued", "queued displayed"]);
    const one = await deliver(mdn("1@example.org", "bob@x.org", "deleted"));
    expect(outcome(one)).toEqual(["queued", "queued displayed"]);
    expect(one.readMails).toHaveLength(2);
  });

  test("of another mail, or by somebody who never got it, says nothing", async () => {
    const { deliver, session, id } = await setUp();
    const before = await session.findSubmission(id);
    for (const text of [mdn("2@example.org", "bob@x.org"), mdn("1@example.org", "mallory@x.org"), mdn("", "bob@x.org")])
      expect(await deliver(text)).toEqual(before);
  });

  test("costs no look at what others looked at: each submission and each header is read once", async () => {
    const { deliver, id, submit } = await setUp();
    for (let n = 0; n < 12; n++) await submit(n % 2 === 0 ? "bob@x.org" : "eve@x.org");
    const values = vi.spyOn(Contents.prototype, "readValue");
    const emails = vi.spyOn(Contents.prototype, "openEmail");
    onTestFinished(() => void vi.restoreAllMocks());
    const read = async (text: string): Promise<readonly number[]> => {
      const before = [values.mock.calls.length, emails.mock.calls.length] as const;
      await deliver(text);
      // But for what this test itself asks for.
      return [values.mock.calls.length - before[0] - 1, emails.mock.calls.length - before[1]];
    };
    // Submitting looks at those before it: the last one alone is new.
    expect(await read(mdn("nothing@example.org", "bob@x.org"))).toEqual([1, 7]);
    expect(await read(mdn("nothing@example.org", "bob@x.org"))).toEqual([0, 0]);
    expect(await read(dsn("0".repeat(32), of("bob@x.org", "failed")))).toEqual([0, 0]);
    expect(await read(mdn("nothing@example.org", "mallory@x.org"))).toEqual([0, 0]);
    await submit("bob@x.org");
    expect((await read(mdn("nothing@example.org", "BOB@x.org")))[1]).toBe(1);
    expect((await deliver(mdn("1@example.org", "bob@x.org"))).id).toBe(id);
  });
});
