import { Accounts, MandateStore, type Outbound, OutboundQueue } from "@restante/engine";
import { FIRST, setUpAda } from "@restante/engine/testing";
import { expect, test } from "vitest";
import { type Json, TestClient } from "../jmap-kit.ts";

/** Texts of a client that a header, an envelope or a report would have: no character in them ends a line, or is none of a text. */

const MAIL =
  "From: ada@example.org\r\nTo: bob@x.org\r\nSubject: x\r\nMessage-ID: <1@x>\r\n" +
  "Disposition-Notification-To: bob@x.org\r\n\r\nhello\r\n";

async function client() {
  const { tools, place } = await setUpAda();
  const { platform } = tools;
  const serverKey = new Uint8Array(32).fill(7);
  const store = place.open();
  const outbound: Outbound = {
    queue: new OutboundQueue({ store, platform, serverKey }),
    // Any detail is one's own.
    isOwn: async (_, address) => address.startsWith("ada") && address.endsWith("@example.org"),
    limits: { bytesMax: 1e6, recipientsMax: 9, recipientsPerDay: 9999, holdMsMax: 1e9, undoMs: 0 },
  };
  const mandates = new MandateStore({ store, platform, serverKey });
  const accounts = new Accounts({ ...tools, store, platform: { ...platform, outbound, mandates } });
  const ada = new TestClient(await accounts.login("ada@example.org", FIRST, "127.0.0.1"));
  return { ada, place, emailId: await ada.append(1, { path: "Drafts", text: MAIL }) };
}

type Place = (bad: string, emailId: string) => readonly [method: string, args: Readonly<Record<string, unknown>>];

const identity = (made: object): ReturnType<Place> => [
  "Identity/set",
  { create: { k: { email: "ada@example.org", ...made } } },
];
const mdn = (more: object, forEmailId: string): ReturnType<Place> => {
  const disposition = { actionMode: "manual-action", sendingMode: "mdn-sent-manually", type: "displayed" };
  return ["MDN/send", { identityId: "i0", send: { k: { forEmailId, disposition, ...more } } }];
};
const submit = (emailId: string, from: object, recipient: object = {}): ReturnType<Place> => {
  const envelope = {
    mailFrom: { email: "ada@example.org", ...from },
    rcptTo: [{ email: "bob@x.org", ...recipient }],
  };
  return ["EmailSubmission/set", { create: { k: { identityId: "i0", emailId, envelope } } }];
};

const PLACES: Readonly<Record<string, Place>> = {
  "an identity's name": (bad) => identity({ name: `Ada${bad}` }),
  "an identity's address": (bad) => identity({ email: `ada+${bad}x@example.org` }),
  "a name in replyTo": (bad) => identity({ replyTo: [{ name: `A${bad}`, email: "ada@example.org" }] }),
  "an address in replyTo": (bad) => identity({ replyTo: [{ email: `a${bad}@example.org` }] }),
  "a name in bcc": (bad) => identity({ bcc: [{ name: `${bad}A`, email: "ada@example.org" }] }),
  "a vacation's subject": (bad) => [
    "VacationResponse/set",
    { update: { singleton: { isEnabled: true, subject: `Gone${bad}` } } },
  ],
  "an MDN's subject": (bad, id) => mdn({ subject: `Read${bad}` }, id),
  "an MDN's program": (bad, id) => mdn({ reportingUA: `x${bad}` }, id),
  "an MDN's recipient": (bad, id) => mdn({ finalRecipient: `rfc822; ada+${bad}x@example.org` }, id),
  "the name of an MDN's field": (bad, id) => mdn({ extensionFields: { [`X-A${bad}`]: "x" } }, id),
  "the value of an MDN's field": (bad, id) => mdn({ extensionFields: { "X-A": `x${bad}` } }, id),
  "MAIL FROM": (bad, id) => submit(id, { email: `ada+${bad}x@example.org` }),
  "RCPT TO": (bad, id) => submit(id, {}, { email: `bob${bad}@x.org` }),
  ENVID: (bad, id) => submit(id, { parameters: { ENVID: `a${bad}` } }),
  RET: (bad, id) => submit(id, { parameters: { RET: `FULL${bad}` } }),
  HOLDFOR: (bad, id) => submit(id, { parameters: { HOLDFOR: `60${bad}` } }),
  HOLDUNTIL: (bad, id) => submit(id, { parameters: { HOLDUNTIL: `2023-11-15T00:00:00Z${bad}` } }),
  NOTIFY: (bad, id) => submit(id, {}, { parameters: { NOTIFY: `NEVER${bad}` } }),
  ORCPT: (bad, id) => submit(id, {}, { parameters: { ORCPT: `rfc822;a${bad}` } }),
  "a parameter's name": (bad, id) => submit(id, { parameters: { [`ENVID${bad}`]: "a" } }),
};
const BAD = {
  NUL: "\0",
  CR: "\r",
  LF: "\n",
  "a new field": "\r\nBcc: eve@x.org",
  DEL: "\x7f",
  "half a pair": "\ud800",
};

test.each(Object.entries(PLACES))("in %s they are refused, and nothing comes of it", async (_, place) => {
  const { ada, place: stored, emailId } = await client();
  const before = [...stored.objects.keys()].filter((name) => name.startsWith("outbound/"));
  for (const [name, bad] of Object.entries(BAD)) {
    const [method, args] = place(bad, emailId);
    const [answered, result]: [string, Json] = (await ada.request([[method, args, "0"]])).methodResponses[0];
    const refused = answered === "error" || result.notCreated?.k || result.notUpdated?.singleton || result.notSent?.k;
    expect([name, Boolean(refused)]).toEqual([name, true]);
  }
  expect([...stored.objects.keys()].filter((name) => name.startsWith("outbound/"))).toEqual(before);
  // The same is taken without them.
  const [method, args] = place("", emailId);
  const result = await ada.call(method, args);
  expect(result.notCreated ?? result.notUpdated ?? result.notSent ?? null).toBeNull();
});
