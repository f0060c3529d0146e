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
