import { Accounts, type Outbound, OutboundQueue } from "@restante/engine";
import { FIRST, setUpAda, stream } from "@restante/engine/testing";
import { describe, expect, test } from "vitest";
import { openClient, TestClient } from "../jmap-kit.ts";
import { sessionObject } from "../session-object.ts";

const CAPABILITY = "urn:ietf:params:jmap:mdn";
const DISPOSITION = { actionMode: "manual-action", sendingMode: "mdn-sent-manually", type: "displayed" };
const OWN = ["ada@example.org", "ada+x@example.org"];
const MAIL = [
  "From: Bob <bob@x.org>",
  "To: ada@example.org",
  "Subject: =?utf-8?q?W=C3=B6rld?= domination",
  "Message-ID: <1@x.org>",
  "Original-Recipient: rfc822;info@example.org",
  "Disposition-Notification-To: Bob <bob@x.org>",
  "",
  "hello",
  "",
].join("\r\n");

/** A client of a server that sends, and what waits to be sent. */
async function client(limits: Partial<Outbound["limits"]> = {}) {
  const { tools, place } = await setUpAda();
  const { platform } = tools;
  const queue = new OutboundQueue({ store: place.open(), platform, serverKey: new Uint8Array(32).fill(7) });
  const outbound: Outbound = {
    queue,
    isOwn: async (_owner, address) => OWN.includes(address.toLowerCase()),
    limits: { bytesMax: 1e6, recipientsMax: 9, recipientsPerDay: 99, holdMsMax: 1e9, undoMs: 0, ...limits },
  };
  const accounts = new Accounts({ ...tools, store: place.open(), platform: { ...platform, outbound } });
  const waiting = async () => {
    const all: { readonly to: unknown; readonly from: string; readonly text: string }[] = [];
    for await (const at of queue.list()) {
      const { mail } = (await queue.open(at))!;
      let text = "";
      for await (const piece of queue.read(mail)) text += Buffer.from(piece).toString("utf8");
      all.push({ to: mail.envelope.recipients, from: mail.envelope.mailFrom, text });
    }
    return all;
  };
  const ada = new TestClient(await accounts.login("ada@example.org", FIRST, "127.0.0.1"));
  return Object.assign(ada, { waiting });
}

const send = (ada: TestClient, forEmailId: string, more: object = {}, args: object = {}) =>
  ada.call("MDN/send", {
    identityId: "i0",
    send: { k: { forEmailId, disposition: DISPOSITION, ...more } },
    ...args,
  });

describe("MDN/send", () => {
  test("tells who asked for it what was done, from nobody, and says what the server made of it", async () => {
    const ada = await client();
    const id = await ada.append(1, { text: MAIL });
    const asked = {
      reportingUA: "pc; Foomail",
      textBody: "I saw it: ö",
      extensionFields: { "X-Example": "example.com" },
    };
    const calls = await ada.request([
      [
        "MDN/send",
        {
          identityId: "i0",
          send: { k: { forEmailId: id, disposition: DISPOSITION, ...asked } },
          onSuccessUpdateEmail: { "#k": { "keywords/$mdnsent": true } },
        },
        "0",
      ],
    ]);
    const [[, result], [name, updated]] = calls.methodResponses;
    expect(result).toMatchObject({ notSent: null });
    expect(result.sent).toEqual({
      k: {
        finalRecipient: "rfc822; ada@example.org",
        originalRecipient: "rfc822;info@example.org",
        originalMessageId: "<1@x.org>",
        mdnGateway: null,
        error: null,
      },
    });
    expect([name, updated.updated]).toEqual(["Email/set", { [id]: null }]);
    const [mail, ...more] = await ada.waiting();
    expect(more).toEqual([]);
    expect(mail).toMatchObject({ from: "", to: [{ address: "bob@x.org", notify: "NEVER" }] });
    for (const line of [
      "From: ada@example.org",
      "To: bob@x.org",
      "Auto-Submitted: auto-replied",
      "In-Reply-To: <1@x.org>",
      "Reporting-UA: pc; Foomail",
      "Original-Recipient: rfc822;info@example.org",
      "Final-Recipient: rfc822; ada@example.org",
      "Original-Message-ID: <1@x.org>",
      "Disposition: manual-action/mdn-sent-manually; displayed",
      "X-Example: example.com",
    ])
      expect(mail!.text).toContain(`${line}\r\n`);
    expect(mail!.text).toMatch(/report-type=disposition-notification/);
    expect((await send(ada, id)).notSent).toEqual({ k: { type: "mdnAlreadySent" } });
    expect((await ada.call("EmailSubmission/get")).list).toEqual([]);

    // The MDN as it was sent reads back as it was asked for.
    const own = await ada.append(2, { text: mail!.text });
    const { list } = await ada.call("Email/get", { ids: [own], properties: ["blobId"] });
    const { parsed } = await ada.call("MDN/parse", { blobIds: [list[0].blobId] });
    expect(parsed[list[0].blobId]).toEqual({
      forEmailId: null,
      subject: "Read: Wörld domination",
      textBody: "I saw it: ö",
      includeOriginalMessage: false,
      reportingUA: "pc; Foomail",
      disposition: DISPOSITION,
      mdnGateway: null,
      originalRecipient: "rfc822; info@example.org",
      finalRecipient: "rfc822; ada@example.org",
      originalMessageId: "<1@x.org>",
      error: null,
      extensionFields: { "X-Example": "example.com" },
    });
  });

  test("gives the message back where that is asked for, and it is small enough", async () => {
    const ada = await client({ bytesMax: 1e7 });
    const id = await ada.append(1, { text: MAIL });
    expect((await send(ada, id, { includeOriginalMessage: true })).notSent).toBeNull();
    expect((await ada.waiting())[0]!.text).toContain(MAIL);
    const large = await ada.append(2, { text: MAIL + "x\r\n".repeat(400_000) });
    expect((await send(ada, large, { includeOriginalMessage: true })).notSent.k).toEqual({
      type: "tooLarge",
      maxSize: 2 ** 20,
    });
  });

  test.each([
    ["nobody asked for it", MAIL.replace(/Disposition-Notification-To:.*\r\n/, "")],
    ["two are to be told", MAIL.replace("Bob <bob@x.org>\r\n\r\n", "bob@x.org, eve@x.org\r\n\r\n")],
    ["two fields say whom", MAIL.replace("\r\n\r\n", "\r\nDisposition-Notification-To: eve@x.org\r\n\r\n")],
    ["who asks has no address", MAIL.replace("Bob <bob@x.org>\r\n\r\n", "Bob <b b>\r\n\r\n")],
  ])("sends nothing where %s", async (_, text) => {
    const ada = await client();
    const id = await ada.append(1, { text });
    expect((await send(ada, id)).notSent).toEqual({ k: { type: "notFound" } });
    expect(await ada.waiting()).toEqual([]);
  });

  test("refuses what can't be so by its property, and a recipient that is not one\u2019s own", async () => {
    const ada = await client();
    const id = await ada.append(1, { text: MAIL });
    for (const [property, value] of Object.entries({
      subject: "a\r\nBcc: x@x.org",
      reportingUA: "a\nX: y",
      textBody: 1,
      includeOriginalMessage: "yes",
      extensionFields: { Disposition: "x" },
      disposition: { ...DISPOSITION, type: "eaten" },
      mdnGateway: "x",
      originalMessageId: "<x@y>",
      nonsense: true,
    }))
      expect((await send(ada, id, { [property]: value })).notSent.k).toEqual({
        type: "invalidProperties",
        properties: [property],
      });
    const long = { extensionFields: { "X-A": "a\r\nTo: x" } };
    expect((await send(ada, id, long)).notSent.k.type).toBe("invalidProperties");
    expect((await send(ada, id, { finalRecipient: "rfc822; eve@x.org" })).notSent.k).toEqual({ type: "forbiddenFrom" });
    expect((await send(ada, id, { finalRecipient: "rfc822; ada+x@example.org" })).sent.k).not.toHaveProperty(
      "finalRecipient",
    );
    expect((await send(ada, "m0")).notSent).toEqual({ k: { type: "notFound" } });
    expect(await ada.error("MDN/send", { identityId: "none", send: {} })).toBe("invalidArguments");
  });

  test("counts among what one may send in a day", async () => {
    const ada = await client({ recipientsPerDay: 1 });
    const id = await ada.append(1, { text: MAIL });
    expect((await send(ada, id)).notSent).toBeNull();
    expect((await send(ada, id)).notSent).toEqual({ k: { type: "rateLimit" } });
  });

  test("is announced where the server sends", async () => {
    const atOnce = { requests: 4, uploads: 4 };
    expect(sessionObject((await client()).session, "https://x", atOnce).capabilities).toHaveProperty([CAPABILITY], {});
    expect(sessionObject((await openClient()).session, "https://x", atOnce).capabilities).not.toHaveProperty([
      CAPABILITY,
    ]);
  });
});

test("MDN/parse reads the text by its charset, in whatever form that is said", async () => {
  const ada = await client();
  for (const said of ["charset*=us-ascii''iso-8859-1", "charset*0=iso-; charset*1=8859-1", "charset=ISO-8859-1"]) {
    const text = `Content-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; ${said}\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=F6\r\n--b\r\nContent-Type: message/disposition-notification\r\n\r\nFinal-Recipient: rfc822;a@x\r\nDisposition: manual-action/MDN-sent-manually; displayed\r\n--b--\r\n`;
    const id = await ada.append(1, { text });
    const { list } = await ada.call("Email/get", { ids: [id], properties: ["blobId"] });
    const { parsed } = await ada.call("MDN/parse", { blobIds: [list[0].blobId] });
    expect(parsed[list[0].blobId].textBody, said).toBe("ö");
  }
});

test("MDN/parse tells what is none of its kind, and what is not there", async () => {
  const ada = await client();
  const id = await ada.append(1, { text: MAIL });
  const { list } = await ada.call("Email/get", { ids: [id], properties: ["blobId"] });
  const { id: upload } = await ada.session.upload(stream("no mail"));
  const other = `b${Buffer.from(upload).toString("hex")}`;
  const missing = `b${"0".repeat(32)}`;
  expect(await ada.call("MDN/parse", { blobIds: [list[0].blobId, other, missing, "x"] })).toMatchObject({
    parsed: null,
    notParsable: [list[0].blobId, other],
    notFound: [missing, "x"],
  });
});
