import { Accounts, type Outbound, OutboundQueue } from "@restante/engine";
import { FIRST, setUpAda } from "@restante/engine/testing";
import { describe, expect, test } from "vitest";
import { TestClient } from "../jmap-kit.ts";
import { sessionObject } from "../session-object.ts";

const MAIL = "From: ada@example.org\r\nTo: bob@x.org\r\nSubject: x\r\n\r\nhello\r\n";

/** A client of a server that queues mail, and sends none. */
async function client(limits: Partial<Outbound["limits"]> = {}) {
  const { tools, place } = await setUpAda();
  const { platform } = tools;
  const outbound: Outbound = {
    queue: new OutboundQueue({ store: place.open(), platform, serverKey: new Uint8Array(32).fill(7) }),
    isOwn: async (owner, address) => address.toLowerCase() === owner,
    limits: { bytesMax: 1e6, recipientsMax: 9, recipientsPerDay: 99, holdMsMax: 1e9, undoMs: 0, ...limits },
    reaches: async (address) => address.endsWith("@x.org"),
  };
  const accounts = new Accounts({ ...tools, store: place.open(), platform: { ...platform, outbound } });
  return new TestClient(await accounts.login("ada@example.org", FIRST, "127.0.0.1"));
}

const envelope = (parameters: object, ofRecipient: object) => ({
  mailFrom: { email: "ada@example.org", parameters },
  rcptTo: [{ email: "bob@x.org", parameters: ofRecipient }],
});

test("a mail may be held for as long as the session object says, and no longer", async () => {
  const ada = await client();
  const atOnce = { requests: 4, uploads: 4 };
  const { accounts } = sessionObject(ada.session, "https://x", atOnce) as unknown as SaidAccounts;
  const { maxDelayedSend, submissionExtensions } =
    Object.values(accounts)[0]!.accountCapabilities["urn:ietf:params:jmap:submission"];
  expect(maxDelayedSend).toBe(1e6);
  expect(submissionExtensions.FUTURERELEASE).toEqual(["1000000"]);
  const emailId = await ada.append(1, { path: "Drafts", text: MAIL });
  const held = async (seconds: number) => {
    const said = envelope({ HOLDFOR: String(seconds) }, {});
    return await ada.call("EmailSubmission/set", { create: { s: { identityId: "i0", emailId, envelope: said } } });
  };
  expect((await held(maxDelayedSend + 60)).notCreated.s).toBeDefined();
  expect((await held(maxDelayedSend)).created.s).toBeDefined();
});

interface SaidAccounts {
  readonly accounts: Readonly<
    Record<
      string,
      {
        readonly accountCapabilities: {
          readonly "urn:ietf:params:jmap:submission": {
            readonly maxDelayedSend: number;
            readonly submissionExtensions: { readonly FUTURERELEASE: readonly string[] };
          };
        };
      }
    >
  >;
}

describe("EmailSubmission/set", () => {
  test("a whole submission may be sent back to cancel it; no other value of what it can't change", async () => {
    const ada = await client();
    const emailId = await ada.append(1, { path: "Drafts", text: MAIL });
    const made = await ada.call("EmailSubmission/set", { create: { s: { identityId: "i0", emailId } } });
    const { id } = made.created.s;
    const [whole] = (await ada.call("EmailSubmission/get", { ids: [id] })).list;
    const set = (patch: object) => ada.call("EmailSubmission/set", { update: { [id]: patch } });
    for (const wrong of [{ emailId: "m0" }, { sendAt: "2020-01-01T00:00:00Z" }, { dsnBlobIds: ["b0"] }, { x: null }])
      expect((await set({ ...whole, ...wrong })).notUpdated[id]).toEqual({
        type: "invalidProperties",
        properties: Object.keys(wrong),
      });
    expect((await set({ ...whole, undoStatus: "canceled" })).updated).toEqual({ [id]: null });
    expect((await ada.call("EmailSubmission/get", { ids: [id] })).list[0].undoStatus).toBe("canceled");
    for (const undoStatus of ["pending", "final", "x", null])
      expect((await set({ undoStatus })).notUpdated[id].properties).toEqual(["undoStatus"]);
  });

  test.each([
    [{ ENVID: "a+2Bb", RET: "HDRS", HOLDFOR: "60" }, { ORCPT: "rfc822;bob+2Bx@x.org", NOTIFY: "SUCCESS,DELAY" }, true],
    [{ ENVID: "a+2b" }, {}, false],
    [{ ENVID: "a b" }, {}, false],
    [{ ENVID: "a\r\nRSET" }, {}, false],
    [{ ENVID: "x".repeat(101) }, {}, false],
    [{ ENVID: null }, {}, false],
    [{}, { ORCPT: "bob@x.org" }, false],
    [{}, { ORCPT: `rfc822;${"x".repeat(500)}` }, false],
    [{}, { ORCPT: "rfc822;a=b" }, false],
  ])("what DSN, which is announced, lets be said: %j, %j", async (parameters, ofRecipient, isRight) => {
    const ada = await client();
    const emailId = await ada.append(1, { path: "Drafts", text: MAIL });
    const said = envelope(parameters, ofRecipient);
    const asked = { create: { s: { identityId: "i0", emailId, envelope: said } } };
    const { created, notCreated } = await ada.call("EmailSubmission/set", asked);
    if (isRight)
      expect((await ada.call("EmailSubmission/get", { ids: [created.s.id] })).list[0].envelope).toEqual(said);
    else expect(notCreated.s).toEqual({ type: "invalidProperties", properties: ["envelope"] });
  });
});

test("what was sent by another protocol, and is no email of the account, is in no changes either", async () => {
  const ada = await client();
  const emailId = await ada.append(1, { path: "Drafts", text: MAIL });
  const sinceState = (await ada.call("EmailSubmission/get", {})).state;
  const octets = new TextEncoder().encode(MAIL);
  const message = {
    size: octets.length,
    async *read(start: number, end: number) {
      yield octets.subarray(start, end);
    },
  };
  const recipients = [{ address: "bob@x.org", notify: undefined }];
  await ada.session.submit({ message, envelope: { mailFrom: "ada@example.org", recipients } });
  const made = await ada.call("EmailSubmission/set", { create: { s: { identityId: "i0", emailId } } });
  const { created } = await ada.call("EmailSubmission/changes", { sinceState });
  expect(created).toEqual([made.created.s.id]);
  const { list, notFound } = await ada.call("EmailSubmission/get", { ids: created });
  expect([list.length, notFound]).toEqual([1, []]);
});

test("an identity's texts are empty by default, which null brings back", async () => {
  const ada = await client();
  const texts = { name: "Ada", textSignature: "A", htmlSignature: "<p>A" };
  await ada.call("Identity/set", { update: { i0: texts } });
  const nulls = { name: null, textSignature: null, htmlSignature: null };
  expect((await ada.call("Identity/set", { update: { i0: nulls } })).updated).toEqual({ i0: null });
  const [own] = (await ada.call("Identity/get", {})).list;
  expect(own).toMatchObject({ name: "", textSignature: "", htmlSignature: "" });
  const made = await ada.call("Identity/set", { create: { k: { email: "ada@example.org" } } });
  expect(made.created.k).toMatchObject({ name: "", textSignature: "", htmlSignature: "", mayDelete: true });
});

describe("a submission that can't be is told by its own error: RFC 8621 §7.5", () => {
  const to = (...emails: readonly string[]) => ({
    mailFrom: { email: "ada@example.org" },
    rcptTo: emails.map((email) => ({ email })),
  });
  const many = Array.from({ length: 10 }, (_, n) => `b${n}@x.org`);
  const foreign = MAIL.replace("ada@", "eve@");
  interface Case {
    readonly error: object;
    readonly envelope: object;
    readonly text?: string;
    readonly limits?: Partial<Outbound["limits"]>;
  }
  const [one, wrong] = [to("b@x.org"), to("b@", "a@x.org", "c d@x.org")];
  const CASES: Readonly<Record<string, Case>> = {
    nobody: { error: { type: "noRecipients" }, envelope: to() },
    "some that are none": {
      error: { type: "invalidRecipients", invalidRecipients: ["b@", "c d@x.org"] },
      envelope: wrong,
    },
    "some that nobody reaches": {
      error: { type: "invalidRecipients", invalidRecipients: ["b@y.org"] },
      envelope: to("a@x.org", "b@y.org"),
    },
    "too many": { error: { type: "tooManyRecipients", maxRecipients: 9 }, envelope: to(...many) },
    "another's sender": {
      error: { type: "forbiddenMailFrom" },
      envelope: { ...one, mailFrom: { email: "eve@example.org" } },
    },
    "another's From": { error: { type: "forbiddenFrom" }, envelope: one, text: foreign },
    "no From": {
      error: { type: "invalidEmail", properties: ["from"] },
      envelope: one,
      text: MAIL.replace(/^From.*\r\n/, ""),
    },
    "too much": { error: { type: "tooLarge", maxSize: 20 }, envelope: one, limits: { bytesMax: 20 } },
    "too often": { error: { type: "forbiddenToSend" }, envelope: one, limits: { recipientsPerDay: 0 } },
  };
  test.each(Object.entries(CASES))("%s", async (_, { error, envelope, text = MAIL, limits }) => {
    const ada = await client(limits);
    const emailId = await ada.append(1, { path: "Drafts", text });
    const { created, notCreated } = await ada.call("EmailSubmission/set", {
      create: { s: { identityId: "i0", emailId, envelope } },
    });
    expect([created ?? null, notCreated.s]).toEqual([null, expect.objectContaining(error)]);
    expect((await ada.call("EmailSubmission/query")).ids).toEqual([]);
  });
});
