import { expect, test } from "vitest";
import { allOf, HeldFolder, mailText, openPhone, type TestPhone, textOf } from "../activesync-kit.ts";
import { group, leaf } from "../protocol/elements.ts";
import { itemOperations } from "./item-operations.ts";

const HTML = "Subject: html\r\nContent-Type: text/html\r\n\r\n<p>one</p><p>two</p>\r\n";
const operations = (...children: ReturnType<typeof leaf>[]) => group("ItemOperations:ItemOperations", ...children);
const fetch = (id: string, ...options: ReturnType<typeof leaf>[]) =>
  group(
    "ItemOperations:Fetch",
    leaf("ItemOperations:Store", "Mailbox"),
    leaf("AirSync:ServerId", id),
    options.length > 0 ? group("ItemOperations:Options", ...options) : undefined,
  );
const preference = (type: number, bytes?: number, allOrNone = false) =>
  group(
    "AirSyncBase:BodyPreference",
    leaf("AirSyncBase:Type", type),
    bytes === undefined ? undefined : leaf("AirSyncBase:TruncationSize", bytes),
    allOrNone ? leaf("AirSyncBase:AllOrNone", 1) : undefined,
  );

async function first(phone: TestPhone) {
  const inbox = await phone.folder(2);
  const held = new HeldFolder();
  await phone.catchUp(inbox, held);
  return { inbox, id: [...held.items.keys()][0]! };
}

test("an item of which no form is asked for comes as it was written; in a Sync it is plain text", async () => {
  const { phone } = await openPhone();
  await phone.append(HTML);
  const { id, inbox } = await first(phone);
  const { root } = await itemOperations(operations(fetch(id)), phone.context);
  const [body] = allOf(root, "AirSyncBase:Body");
  expect([textOf(body, "AirSyncBase:Type"), textOf(body, "AirSyncBase:Data")]).toEqual([
    "2",
    expect.stringContaining("<p>one</p>"),
  ]);
  const key = textOf(await phone.sync(inbox, "0"), "AirSync:SyncKey")!;
  expect(textOf(allOf(await phone.sync(inbox, key), "AirSyncBase:Body")[0], "AirSyncBase:Type")).toBe("1");
});

test.each([
  ["the next that is there", [preference(4, 9, true), preference(2, 9, true), preference(1, 9)], "1", "one"],
  ["the next that fits", [preference(4, 9, true), preference(2, 9, true), preference(1, 900, true)], "1", "one"],
  ["none, and the first says how long it is", [preference(2, 9, true), preference(1, 3, true)], "2", undefined],
])("a body that is wanted whole or not at all gives way to %s", async (_, preferences, type, begin) => {
  const { phone } = await openPhone();
  await phone.append(HTML);
  const { id } = await first(phone);
  const asked = operations(fetch(id, leaf("AirSync:MIMESupport", 2), ...preferences));
  const [body] = allOf((await itemOperations(asked, phone.context)).root, "AirSyncBase:Body");
  expect([textOf(body, "AirSyncBase:Type"), textOf(body, "AirSyncBase:Data")?.slice(0, 3)]).toEqual([type, begin]);
  expect(Number(textOf(body, "AirSyncBase:EstimatedDataSize"))).toBeGreaterThan(begin === undefined ? 20 : 5);
});

test("nothing is done of a request of which something can't be read", async () => {
  const { phone } = await openPhone();
  await phone.append(mailText(1));
  const inbox = await phone.folder(2);
  const emptied = group("ItemOperations:EmptyFolderContents", leaf("AirSync:CollectionId", inbox));
  for (const wrong of [group("ItemOperations:Fetch", leaf("AirSync:SyncKey", "1")), leaf("AirSync:SyncKey", "1")]) {
    const { root } = await itemOperations(operations(emptied, wrong), phone.context);
    expect(root.children.map((child) => child.content)).toEqual(["2"]);
    expect(phone.session.getMailbox("INBOX").messages.length).toBe(1);
  }
  await itemOperations(operations(emptied), phone.context);
  expect(phone.session.getMailbox("INBOX").messages.length).toBe(0);
});

test("all or none means nothing without a size: what is too long to be given whole is cut", async () => {
  const { phone } = await openPhone();
  await phone.append(`Subject: long\r\n\r\n${"a line of words\r\n".repeat(300_000)}`);
  const { id } = await first(phone);
  const { root } = await itemOperations(operations(fetch(id, preference(1, undefined, true))), phone.context);
  const [body] = allOf(root, "AirSyncBase:Body");
  expect([textOf(body, "AirSyncBase:Truncated"), textOf(body, "AirSyncBase:Data")?.slice(0, 6)]).toEqual([
    ...["1", "a line"],
  ]);
});

test("as much as may be fetched goes into an answer; what goes by parts is not in it", async () => {
  const { phone } = await openPhone();
  const file = "a line of words\r\n".repeat(1_500_000);
  await phone.append(
    `Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\nContent-Type: application/x\r\n\r\n${file}\r\n--b--\r\n`,
  );
  const inbox = await phone.folder(2);
  const key = textOf(await phone.sync(inbox, "0"), "AirSync:SyncKey")!;
  const reference = textOf(await phone.sync(inbox, key), "AirSyncBase:FileReference")!;
  const one = group("ItemOperations:Fetch", leaf("AirSyncBase:FileReference", reference));
  const statuses = async (acceptsMultipart: boolean) => {
    const { root } = await itemOperations(operations(one, one, one), { ...phone.context, acceptsMultipart });
    return allOf(root, "ItemOperations:Fetch").map((each) => textOf(each, "ItemOperations:Status"));
  };
  expect(await statuses(false)).toEqual(["1", "1", "11"]);
  expect(await statuses(true)).toEqual(["1", "1", "1"]);
});

test("a conversation is moved by its id, always or not at all; what its owner wrote stays", async () => {
  const { phone } = await openPhone();
  await phone.append("Message-ID: <1@x>\r\nSubject: talk\r\n\r\nx\r\n");
  await phone.append("Message-ID: <2@x>\r\nReferences: <1@x>\r\nSubject: Re: talk\r\n\r\nx\r\n", "Sent");
  await phone.append("Message-ID: <3@x>\r\nReferences: <1@x> <2@x>\r\nSubject: Re: talk\r\n\r\nx\r\n");
  await phone.append("Message-ID: <4@x>\r\nSubject: other\r\n\r\nx\r\n");
  const [inbox, trash] = [await phone.folder(2), await phone.folder(4)];
  const key = textOf(await phone.sync(inbox, "0"), "AirSync:SyncKey")!;
  const told = allOf(await phone.sync(inbox, key), "AirSync:Add");
  const talk = told.find((add) => textOf(add, "Email:Subject") === "talk");
  const id = allOf(talk, "Email2:ConversationId")[0]!.content as Uint8Array;
  const move = async (conversation: Uint8Array, to: string, always = true) => {
    const options = group("ItemOperations:Options", always ? leaf("ItemOperations:MoveAlways", "") : undefined);
    const asked = group(
      "ItemOperations:Move",
      leaf("ItemOperations:ConversationId", conversation),
      leaf("ItemOperations:DstFldId", to),
      options,
    );
    const { root } = await itemOperations(operations(asked), phone.context);
    return textOf(allOf(root, "ItemOperations:Move")[0], "ItemOperations:Status");
  };
  const counts = () => ["INBOX", "Sent", "Trash"].map((path) => phone.session.getMailbox(path).messages.length);
  expect([await move(id, trash, false), await move(id, "x"), await move(new Uint8Array(16), trash)]).toEqual([
    ...["155", "156", "6"],
  ]);
  expect(counts()).toEqual([3, 1, 0]);
  expect([await move(id, trash), counts()]).toEqual(["1", [1, 1, 2]]);
});

test("MIME is cut on characters, to the octet", async () => {
  const { phone } = await openPhone();
  const mail =
    "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nä€😀 ä\r\n";
  await phone.append(mail);
  const { id } = await first(phone);
  const bytes = Buffer.from(mail);
  for (let size = bytes.length - 16; size <= bytes.length; size++) {
    const asked = operations(fetch(id, leaf("AirSync:MIMESupport", 2), preference(4, size)));
    const [data] = allOf((await itemOperations(asked, phone.context)).root, "AirSyncBase:Data");
    const told = Buffer.from(data!.content as string);
    // No octet that belongs to a whole character is missing.
    expect([data!.isOpaque, bytes.subarray(0, told.length).equals(told)]).toEqual([false, true]);
    const next = [...mail].find((_, at, all) => Buffer.byteLength(all.slice(0, at).join("")) === told.length) ?? "";
    expect(told.length <= size && (next === "" || told.length + Buffer.byteLength(next) > size)).toBe(true);
  }
});
