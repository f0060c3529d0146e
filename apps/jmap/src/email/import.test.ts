import { formatEmailId } from "@restante/engine";
import { describe, expect, test } from "vitest";
import { type Account, ARCHIVE, binary, blobsOf, INBOX, openAccount, places } from "./email-kit.ts";
import { prepareImport, readEmailImport } from "./import.ts";
import { tellCreated } from "./store.ts";

const MAIL = [
  "Received: from a by b; Thu, 30 Oct 2014 14:12:00 +0800",
  "Received: from x by a; Thu, 30 Oct 2014 10:00:00 +0800",
  "Subject: a",
  "",
  "body without an end",
].join("\r\n");
const mailboxIds = { [INBOX]: true };

async function imported(account: Account, given: object, blob: string | Uint8Array = MAIL): Promise<unknown> {
  const wanted = readEmailImport({ blobId: "b1", mailboxIds, ...given }, places);
  if ("type" in wanted) return wanted;
  const addition = await prepareImport(account.session, blobsOf({ b1: blob }), wanted);
  if ("type" in addition) return addition;
  const [added] = await account.session.addMany([addition]);
  return { created: tellCreated(added!), id: formatEmailId(added!.id) };
}

test("a blob becomes an email, octet by octet: RFC 8621 §4.8", async () => {
  const account = await openAccount();
  const octets = binary(`${MAIL}\xff\r`);
  const given = { keywords: { $Seen: true, Foo: true }, mailboxIds: { [INBOX]: true, [ARCHIVE]: true } };
  const { id, created } = (await imported(account, { ...given, receivedAt: "2020-01-02T03:04:05Z" }, octets)) as {
    id: string;
    created: { size: number };
  };
  const properties = ["blobId", "threadId", "size", "mailboxIds", "keywords", "receivedAt"];
  expect(await account.get(id, { properties })).toEqual({
    ...created,
    mailboxIds: { [INBOX]: true, [ARCHIVE]: true },
    keywords: { $seen: true, foo: true },
    receivedAt: "2020-01-02T03:04:05Z",
  });
  expect(created.size).toBe(octets.length);
  const view = account.session.openView(account.session.getMailbox("INBOX").id, { readOnly: true });
  const body = await account.session.openBody(view.message(view.length - 1));
  const read: number[] = [];
  for await (const piece of body.read(0, body.size)) read.push(...piece);
  expect(read).toEqual([...octets]);
});

test("without a date it came when the newest Received field says, else now", async () => {
  const account = await openAccount();
  const receivedAt = async (blob: string): Promise<unknown> => {
    const { id } = (await imported(account, {}, blob)) as { id: string };
    return (await account.get(id, { properties: ["receivedAt"] })).receivedAt;
  };
  expect(await receivedAt(MAIL)).toBe("2014-10-30T06:12:00Z");
  expect(await receivedAt("Received: by x (a; b); Thu, 30 Oct 2014 14:12:00 +0800\r\n\r\n")).toBe(
    "2014-10-30T06:12:00Z",
  );
  const now = /^2023-11-1\dT/;
  expect(await receivedAt("Subject: a\r\n\r\n")).toMatch(now);
  expect(await receivedAt("Received: nonsense\r\n\r\n")).toMatch(now);
  expect(await receivedAt("Received: by x; 1 Jan 0001 00:00:00 +0000\r\n\r\n")).toMatch(now);
});

describe("is refused", () => {
  test.each([
    ["no blobId", { blobId: undefined }, ["blobId"]],
    ["a blobId that is none", { blobId: 1 }, ["blobId"]],
    ["no mailbox", { mailboxIds: {} }, ["mailboxIds"]],
    ["a mailbox that is not there", { mailboxIds: { p9: true } }, ["mailboxIds"]],
    ["a keyword that is none", { keywords: { "(": true } }, ["keywords"]],
    ["a date that is none", { receivedAt: "now" }, ["receivedAt"]],
    ["what it doesn't have", { subject: "x", blobId: null }, ["blobId", "subject"]],
    ["a blob that is not there", { blobId: "b2" }, ["blobId"]],
  ])("%s", async (_, given, properties) => {
    const account = await openAccount();
    const error = (await imported(account, given)) as { properties: readonly string[] };
    expect({ ...error, properties: [...error.properties].sort() }).toEqual({ type: "invalidProperties", properties });
  });

  test("what is no object, and what is no mail", async () => {
    const account = await openAccount();
    for (const given of [null, [], "x", 1])
      expect(readEmailImport(given, places)).toEqual({ type: "invalidProperties", properties: [] });
    expect(await imported(account, {}, "hello")).toEqual({ type: "invalidEmail" });
    expect(await imported(account, {}, new Uint8Array(300_000))).toEqual({ type: "invalidEmail" });
  });
});
