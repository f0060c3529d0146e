import { describe, expect, test } from "vitest";
import { encode } from "wbxml";
import { allOf, HeldFolder, mailText, openPhone, type TestPhone, textOf } from "../activesync-kit.ts";
import { idOf } from "../mail/item.ts";
import { marksRecord } from "../mail/marks.ts";
import { empty, group, leaf } from "../protocol/elements.ts";
import { encodeState } from "./collection-state.ts";
import { lastState } from "./store.ts";
import { sync } from "./sync.ts";
import { countPending } from "./window.ts";

async function inbox(mails: number) {
  const { phone, another } = await openPhone();
  for (let n = 0; n < mails; n++) await phone.append(mailText(n));
  const id = await phone.folder(2);
  const held = new HeldFolder();
  await phone.catchUp(id, held);
  return { phone, another, id, held };
}

const change = (id: string, ...data: ReturnType<typeof leaf>[]) =>
  group("AirSync:Change", leaf("AirSync:ServerId", id), group("AirSync:ApplicationData", ...data));

describe("a phone's own changes", () => {
  test("are told to nobody but others: its next Sync is empty", async () => {
    const { phone, another, id, held } = await inbox(3);
    const [first, second] = held.items.keys();
    const commands = [
      change(first!, leaf("Email:Read", 1)),
      change(second!, group("Email:Flag", leaf("Email:Status", 2), leaf("Email:FlagType", "for Follow Up"))),
    ];
    const answer = await phone.sync(id, held.key, { commands });
    expect(allOf(answer, "AirSync:Commands")).toEqual([]);
    held.take(answer);
    expect(await phone.sync(id, held.key)).toBeUndefined();
    const other = await another("other");
    const copy = new HeldFolder();
    await other.catchUp(id, copy);
    expect([copy.items.get(first!)!.get("Email:Read"), copy.items.get(second!)!.get("Email:Flag")]).toEqual([
      "1",
      "(2,for Follow Up)",
    ]);
  });

  test("made without asking for news don't come back either, and hide no news of others", async () => {
    const { phone, another, id, held } = await inbox(3);
    const [first, second] = held.items.keys();
    const quietly = { more: [leaf("AirSync:GetChanges", 0)] };
    const read = (item: string) => [change(item, leaf("Email:Read", 1))];
    held.take(await phone.sync(id, held.key, { ...quietly, commands: read(first!) }));
    const answer = await phone.sync(id, held.key);
    expect(allOf(answer, "AirSync:Commands")).toEqual([]);
    held.take(answer);
    const { session } = await another("other");
    const view = session.openView(session.getMailbox("INBOX").id, { readOnly: false });
    await view.setFlags([2], { mode: "add", flags: ["\\Flagged"] });
    await phone.session.refresh();
    held.take(await phone.sync(id, held.key, { ...quietly, commands: read(second!) }));
    held.take(await phone.sync(id, held.key));
    expect([...held.items.values()].filter((item) => item.get("Email:Flag") !== "")).toHaveLength(1);
  });

  test("a verb that another program takes back is told to be none", async () => {
    const { phone, another, id, held } = await inbox(1);
    const { session } = await another("other");
    const view = session.openView(session.getMailbox("INBOX").id, { readOnly: false });
    const [item] = held.items.values();
    for (const [mode, verb] of [
      ["add", "1"],
      ["remove", "0"],
    ] as const) {
      await view.setFlags([0], { mode, flags: ["\\Answered"] });
      await phone.session.refresh();
      held.take(await phone.sync(id, held.key));
      expect(item!.get("Email2:LastVerbExecuted")).toBe(verb);
    }
  });

  test("don't hide what others changed of the same mail before", async () => {
    const { phone, another, id, held } = await inbox(1);
    const [only] = held.items.keys();
    const { session } = await another("other");
    const view = session.openView(session.getMailbox("INBOX").id, { readOnly: false });
    await view.setFlags([0], { mode: "add", flags: ["\\Flagged"] });
    await phone.session.refresh();
    held.take(await phone.sync(id, held.key, { commands: [change(only!, leaf("Email:Read", 1))] }));
    expect(held.items.get(only!)!.get("Email:Flag")).not.toBe("");
  });

  test("a delete goes to Trash, and with DeletesAsMoves 0 or from Trash for good", async () => {
    const { phone, id, held } = await inbox(2);
    const [first, second] = held.items.keys();
    const remove = (item: string) => group("AirSync:Delete", leaf("AirSync:ServerId", item));
    held.take(await phone.sync(id, held.key, { commands: [remove(first!)] }), first);
    const trash = await phone.folder(4);
    const gone = new HeldFolder();
    await phone.catchUp(trash, gone);
    expect(gone.items.size).toBe(1);
    await phone.sync(trash, gone.key, { commands: [remove([...gone.items.keys()][0]!)] });
    await phone.sync(id, held.key, { commands: [remove(second!)], more: [leaf("AirSync:DeletesAsMoves", 0)] });
    expect(phone.session.state.liveMailboxes().map(({ messages }) => messages.length)).toEqual([0, 0, 0, 0, 0, 0]);
  });
});

describe("keys", () => {
  test("one that is gone already is deleted by its phone too, and is told no more", async () => {
    const { phone, another, id, held } = await inbox(3);
    const { session } = await another("other");
    const view = session.openView(session.getMailbox("INBOX").id, { readOnly: false });
    await view.setFlags([0, 1, 2], { mode: "add", flags: ["\\Deleted"] });
    await view.expunge([0, 1, 2]);
    await phone.session.refresh();
    const [first] = held.items.keys();
    const commands = [group("AirSync:Delete", leaf("AirSync:ServerId", first!))];
    const answer = await phone.sync(id, held.key, { commands, window: 1 });
    expect(textOf(allOf(answer, "AirSync:Responses")[0], "AirSync:Status")).toBe("8");
    held.items.delete(first!);
    held.take(answer);
    await phone.catchUp(id, held, { window: 1 });
    expect([held.items.size, held.starts]).toEqual([0, 0]);
  });

  test("a folder has two states at most, whatever is synchronized and lost", async () => {
    const { phone, id, held } = await inbox(3);
    for (let round = 0; round < 6; round++) {
      await phone.append(mailText(10 + round));
      await phone.sync(id, held.key);
      held.take(await phone.sync(id, held.key));
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect((await phone.session.devices.keys({ device: "phone", place: id })).length).toBeLessThanOrEqual(2);
  });

  test("a start replaces nothing until its key is used; a second start in between neither", async () => {
    const { phone, id, held } = await inbox(2);
    const start = async () => textOf(await phone.sync(id, "0"), "AirSync:SyncKey")!;
    const [one, two] = [await start(), await start()];
    expect(await phone.sync(id, held.key)).toBeUndefined();
    expect(allOf(await phone.sync(id, one), "AirSync:Add")).toHaveLength(2);
    await phone.append(mailText(7));
    expect(textOf(await phone.sync(id, held.key), "AirSync:Status")).toBe("3");
    expect(textOf(await phone.sync(id, two), "AirSync:Status")).toBe("3");
  });

  test.each(["x", "", "../../x", "a".repeat(64), "00000000000000000000"])("%j means nothing", async (key) => {
    const { phone, id } = await inbox(0);
    expect(textOf(await phone.sync(id, key), "AirSync:Status")).toBe("3");
  });

  test("starts that nobody goes on from are few, however many there were", async () => {
    const { phone, id, held } = await inbox(2);
    const place = { device: "phone", place: id };
    let last = "";
    for (let start = 0; start < 20; start++) last = textOf(await phone.sync(id, "0"), "AirSync:SyncKey")!;
    expect((await phone.session.devices.keys(place)).length).toBeLessThan(8);
    // A start whose first answer was lost is in use.
    const used = textOf(await phone.sync(id, "0"), "AirSync:SyncKey")!;
    await phone.sync(id, used);
    for (let start = 0; start < 20; start++) last = textOf(await phone.sync(id, "0"), "AirSync:SyncKey")!;
    const again = await phone.sync(id, used);
    expect(textOf(again, "AirSync:Status")).toBe("1");
    held.key = textOf(again, "AirSync:SyncKey")!;
    last = textOf(await phone.sync(id, "0"), "AirSync:SyncKey")!;
    // The key in use is good, and so is that of the last start.
    expect(await phone.sync(id, held.key)).toBeUndefined();
    expect(allOf(await phone.sync(id, last), "AirSync:Add")).toHaveLength(2);
    expect((await phone.session.devices.keys(place)).length).toBeLessThan(4);
  });

  test("a process that the phone has left knows what another told it since, when it is asked for a Ping", async () => {
    const { phone, another, id, held } = await inbox(2);
    const other = await another();
    for (let n = 0; n < 3; n++) {
      await other.append(mailText(10 + n));
      held.take(await other.sync(id, held.key));
    }
    await phone.session.refresh();
    const known = (await lastState(phone.context, id))!;
    expect(known.held.size).toBe(5);
    await other.append(mailText(20));
    await phone.session.refresh();
    const { state } = phone.session;
    const { options } = (await lastState(phone.context, id))!;
    expect(countPending(state, state.liveMailboxes()[0]!, known, options, 0)).toBe(1);
  });

  test("a key of another history means nothing, and nothing that comes with it is done", async () => {
    const { phone, id, held } = await inbox(2);
    const place = { device: "phone", place: id };
    const state = (await lastState(phone.context, id))!;
    await phone.session.devices.write(place, "other", encodeState({ ...state, epoch: state.epoch + 1 }));
    const commands = [group("AirSync:Delete", leaf("AirSync:ServerId", [...held.items.keys()][0]!))];
    expect(textOf(await phone.sync(id, "other", { commands }), "AirSync:Status")).toBe("3");
    expect(phone.session.getMailbox("INBOX").messages.length).toBe(2);
  });

  test("a state that the store puts back is good for what it says, and for nothing else", async () => {
    const { phone, another, id, held } = await inbox(4);
    const place = { device: "phone", place: id };
    const old = { key: held.key, items: new Map(held.items) };
    const bytes = (await phone.session.devices.read(place, old.key))!;
    const { session } = await another("other");
    const view = session.openView(session.getMailbox("INBOX").id, { readOnly: false });
    await view.setFlags([1], { mode: "add", flags: ["\\Deleted"] });
    await view.expunge([1]);
    await phone.session.refresh();
    for (let n = 0; n < 3; n++) {
      await phone.append(mailText(10 + n));
      held.take(await phone.sync(id, held.key));
    }
    expect(textOf(await phone.sync(id, old.key), "AirSync:Status")).toBe("3");
    await phone.session.devices.write(place, old.key, bytes);
    const back = new HeldFolder();
    Object.assign(back, old);
    await phone.catchUp(id, back);
    await phone.catchUp(id, held);
    expect([...back.items.keys()].sort()).toEqual([...held.items.keys()].sort());
    expect(back.starts).toBe(0);
  });

  test("idle Syncs write nothing; a flag change costs less than 100 octets", async () => {
    const { phone, another, id, held } = await inbox(2);
    const place = { device: "phone", place: id };
    const before = await phone.session.devices.keys(place);
    for (let round = 0; round < 3; round++) expect(await phone.sync(id, held.key)).toBeUndefined();
    expect(await phone.session.devices.keys(place)).toEqual(before);
    const { session } = await another("other");
    const view = session.openView(session.getMailbox("INBOX").id, { readOnly: false });
    await view.setFlags([0], { mode: "add", flags: ["\\Seen"] });
    await phone.session.refresh();
    const answer = (await phone.sync(id, held.key))!;
    const [told] = allOf(answer, "AirSync:Change");
    expect(encode(told!).length).toBeLessThan(100);
    expect(allOf(answer, "AirSync:Add")).toEqual([]);
  });
});

test("what leaves the window is not deleted, and comes again when it widens", async () => {
  const { phone, id, held } = await inbox(0);
  const day = 86_400_000;
  await phone.append(mailText(1), "INBOX", [], 1_700_000_000_000 - 10 * day);
  await phone.append(mailText(2), "INBOX", [], 1_700_000_000_000 - 1_000);
  await phone.catchUp(id, held, { filter: 0 });
  const narrowed = await phone.sync(id, held.key, { filter: 3 });
  expect(allOf(narrowed, "AirSync:SoftDelete")).toHaveLength(1);
  expect(allOf(narrowed, "AirSync:Delete")).toEqual([]);
  held.take(narrowed);
  phone.now = () => 1_700_000_000_000 + 8 * day;
  const later = await phone.sync(id, held.key);
  expect(allOf(later, "AirSync:SoftDelete")).toHaveLength(1);
  held.take(later);
  expect(allOf(await phone.sync(id, held.key, { filter: 0 }), "AirSync:Add")).toHaveLength(2);
});

test("a folder whose mails are told counts what phones said of them since", async () => {
  const { phone, id, held } = await inbox(2);
  await phone.catchUp(id, held);
  const known = (await lastState(phone.context, id))!;
  const mailbox = phone.session.getMailbox("INBOX");
  const count = (): number | undefined => countPending(phone.session.state, mailbox, known, known.options, phone.now());
  expect([known.options.filter, count()]).toEqual([0, 0]);
  const { row, state } = phone.session.openView(mailbox.id, { readOnly: true }).message(0);
  // No mailbox changes by it.
  await phone.session.writeRecords([marksRecord(idOf(state, row), { flag: undefined, verb: 1, verbMs: 1 })]);
  expect(count()).toBe(1);
});

test("what is left to be told is counted, as a Ping and an estimate want it", async () => {
  const { phone, id, held } = await inbox(4);
  const start = new HeldFolder();
  start.take(await phone.sync(id, "0"));
  start.take(await phone.sync(id, start.key, { window: 1 }));
  const state = (await lastState(phone.context, id))!;
  const mailbox = phone.session.getMailbox("INBOX");
  expect(countPending(phone.session.state, mailbox, state, state.options, phone.now())).toBe(3);
  expect(held.items.size).toBe(4);
});

const draft = (clientId: string, ...data: ReturnType<typeof leaf>[]) =>
  group("AirSync:Add", leaf("AirSync:ClientId", clientId), group("AirSync:ApplicationData", ...data));
const html = (text: string) => group("AirSyncBase:Body", leaf("AirSyncBase:Type", 2), leaf("AirSyncBase:Data", text));

describe("drafts, 16.0 on", () => {
  async function drafts(phone: TestPhone) {
    const id = await phone.folder(3);
    const held = new HeldFolder();
    await phone.catchUp(id, held);
    return { id, held };
  }

  const bare = group(
    "AirSyncBase:Body",
    leaf("AirSyncBase:Type", 4),
    leaf("AirSyncBase:Data", "Subject: S\r\n\r\nwords\r\n"),
  );
  test.each([
    ["in pieces", [leaf("Email:To", "a@b.org"), leaf("Email:Subject", "Hallo"), html("<p>x</p>")]],
    ["as MIME without a Message-ID", [bare]],
  ])("one that is added %s, its answer lost, is there once, under one id, also in another process", async (_, data) => {
    const { phone, another } = await openPhone();
    const { id, held } = await drafts(phone);
    const commands = [draft("c1", ...data)];
    const first = textOf(await phone.sync(id, held.key, { commands }), "AirSync:ServerId");
    const again = await another();
    const second = textOf(await again.sync(id, held.key, { commands }), "AirSync:ServerId");
    // Its state was lost too: what was stored is found by itself.
    await again.session.devices.remove(
      { device: "phone", place: id },
      (await again.session.devices.keys({ device: "phone", place: id })).filter((key) => key !== held.key),
    );
    const third = textOf(await (await another()).sync(id, held.key, { commands }), "AirSync:ServerId");
    expect([second, third]).toEqual([first, first]);
    expect(again.session.getMailbox("Drafts").messages.length).toBe(1);
  });

  test("one that brings its own Message-ID is there once too, where its answer is lost", async () => {
    const { phone, another } = await openPhone();
    const { id, held } = await drafts(phone);
    const mime = Buffer.from("Message-ID: <own@phone>\r\nSubject: S\r\n\r\nwords\r\n");
    const body = group("AirSyncBase:Body", leaf("AirSyncBase:Type", 4), leaf("AirSyncBase:Data", mime.toString()));
    const commands = [draft("c1", body)];
    const first = textOf(await phone.sync(id, held.key, { commands }), "AirSync:ServerId");
    const again = await another();
    expect(textOf(await again.sync(id, held.key, { commands }), "AirSync:ServerId")).toBe(first);
    expect(again.session.getMailbox("Drafts").messages.length).toBe(1);
    const view = again.session.openView(again.session.getMailbox("Drafts").id, { readOnly: true });
    const [header] = await again.session.readHeaders([view.message(0)]);
    expect(header!.values("message-id").map((value) => value.trim())).toEqual(["<own@phone>"]);
  });

  test("one that another process stored, and whose answer was lost, is there once in the process before it too", async () => {
    const { phone, another } = await openPhone();
    const { id, held } = await drafts(phone);
    const body = group(
      "AirSyncBase:Body",
      leaf("AirSyncBase:Type", 4),
      leaf("AirSyncBase:Data", "Message-ID: <own@phone>\r\nSubject: S\r\n\r\nwords\r\n"),
    );
    const commands = [draft("c1", body)];
    // The key was told by this one, and used by the other.
    held.take(await phone.sync(id, held.key, { filter: 0 }));
    const first = textOf(await (await another()).sync(id, held.key, { commands }), "AirSync:ServerId");
    await phone.session.refresh();
    expect(textOf(await phone.sync(id, held.key, { commands }), "AirSync:ServerId")).toBe(first);
    expect(phone.session.getMailbox("Drafts").messages.length).toBe(1);
  });

  test("one that others changed meanwhile stays as they left it, unless its phone is to be right", async () => {
    const { phone, another } = await openPhone();
    const { id, held } = await drafts(phone);
    const made = (await phone.sync(id, held.key, { commands: [draft("c1", leaf("Email:Subject", "0"))] }))!;
    const item = textOf(made, "AirSync:ServerId")!;
    held.take(made);
    held.items.set(item, new Map());
    const other = await another("other");
    const copy = new HeldFolder();
    await other.catchUp(id, copy);
    const write = (of: TestPhone, folder: HeldFolder, subject: string, ...more: ReturnType<typeof leaf>[]) =>
      of.sync(id, folder.key, { commands: [change(item, leaf("Email:Subject", subject))], more });
    await write(other, copy, "theirs");
    await phone.session.refresh();
    const refused = await write(phone, held, "mine");
    expect(textOf(allOf(refused, "AirSync:Responses")[0], "AirSync:Status")).toBe("7");
    held.take(refused);
    expect(held.items.get(item)!.get("Email:Subject")).toBe("theirs");
    await other.session.refresh();
    await other.catchUp(id, copy);
    await write(other, copy, "theirs again");
    await phone.session.refresh();
    const right = group("AirSync:Options", leaf("AirSync:Conflict", 0));
    const taken = await write(phone, held, "mine", right);
    expect(allOf(taken, "AirSync:Responses")).toEqual([]);
    held.take(taken);
    // A repeat of what was done is no conflict.
    await phone.catchUp(id, held);
    const { key } = held;
    const first = await write(phone, held, "last");
    held.key = key;
    const repeated = await write(phone, held, "last");
    expect([first, repeated].map((answer) => allOf(answer, "AirSync:Responses"))).toEqual([[], []]);
  });

  test("one keeps its id however often it is saved, among others that come and go, and its maker is not told of it", async () => {
    const { phone, another } = await openPhone();
    const { id, held } = await drafts(phone);
    const made = (await phone.sync(id, held.key, { commands: [draft("c1", leaf("Email:Subject", "0"))] }))!;
    const item = textOf(made, "AirSync:ServerId")!;
    held.take(made);
    const other = await another("other");
    const copy = new HeldFolder();
    for (let round = 1; round < 6; round++) {
      await phone.append(mailText(round), "Drafts", ["\\Draft"]);
      held.take(await phone.sync(id, held.key));
      const saved = await phone.sync(id, held.key, { commands: [change(item, leaf("Email:Subject", String(round)))] });
      expect(allOf(saved, "AirSync:Change")).toEqual([]);
      held.take(saved);
      await other.session.refresh();
      await other.catchUp(id, copy);
      expect(copy.items.get(item)!.get("Email:Subject")).toBe(String(round));
    }
    expect(await phone.sync(id, held.key)).toBeUndefined();
    expect([held.starts, copy.starts, copy.items.size]).toEqual([0, 0, 6]);
  });

  test("what a change does not name stays; files are added and dropped by reference", async () => {
    const { phone } = await openPhone();
    const { id, held } = await drafts(phone);
    const file = group(
      "AirSyncBase:Attachments",
      group(
        "AirSyncBase:Add",
        leaf("AirSyncBase:ClientId", "f1"),
        leaf("AirSyncBase:Method", 1),
        leaf("AirSyncBase:Content", Buffer.from("octets")),
        leaf("AirSyncBase:DisplayName", "Größe.txt"),
      ),
    );
    const made = (await phone.sync(id, held.key, {
      commands: [draft("c1", leaf("Email:To", "a@b.org"), leaf("Email:Subject", "S"), html("<p>words</p>"), file)],
    }))!;
    const item = textOf(made, "AirSync:ServerId")!;
    expect(textOf(made, "AirSyncBase:ClientId")).toBe("f1");
    const key = textOf(made, "AirSync:SyncKey")!;
    const changed = (await phone.sync(id, key, { commands: [change(item, leaf("Email:Cc", "c@d.org"))] }))!;
    const told = allOf(changed, "AirSync:Change")[0]!;
    expect([textOf(told, "Email:To"), textOf(told, "Email:Cc"), textOf(told, "Email:Subject")]).toEqual([
      "a@b.org",
      "c@d.org",
      "S",
    ]);
    expect(textOf(told, "AirSyncBase:DisplayName")).toBe("Größe.txt");
    const reference = textOf(told, "AirSyncBase:FileReference")!;
    const drop = group(
      "AirSyncBase:Attachments",
      group("AirSyncBase:Delete", leaf("AirSyncBase:FileReference", reference)),
    );
    const without = await phone.sync(id, textOf(changed, "AirSync:SyncKey")!, { commands: [change(item, drop)] });
    const fetch = group("AirSync:Fetch", leaf("AirSync:ServerId", item));
    const fetched = await phone.sync(id, textOf(without, "AirSync:SyncKey")!, { commands: [fetch] });
    expect(allOf(fetched, "AirSyncBase:Attachment")).toEqual([]);
    expect(textOf(fetched, "AirSyncBase:Data")).toContain("words");
  });

  test.each([
    ["elsewhere", 2],
    ["in Sent", 5],
  ])("an Add %s is 6, and nothing is stored", async (_name, type) => {
    const { phone } = await openPhone();
    const id = await phone.folder(type);
    const held = new HeldFolder();
    await phone.catchUp(id, held);
    const answer = await phone.sync(id, held.key, { commands: [draft("c", leaf("Email:Subject", "x"))] });
    expect(textOf(allOf(answer, "AirSync:Responses")[0], "AirSync:Status")).toBe("6");
    expect(phone.session.state.liveMailboxes().every(({ messages }) => messages.length === 0)).toBe(true);
  });
});

describe("requests that are none", () => {
  const collection = (...children: ReturnType<typeof leaf>[]) =>
    group("AirSync:Sync", group("AirSync:Collections", group("AirSync:Collection", ...children)));
  test.each([
    ["no key", collection(leaf("AirSync:CollectionId", "x")), "4"],
    ["no id", collection(leaf("AirSync:SyncKey", "0")), "4"],
    [
      "a key twice",
      collection(leaf("AirSync:SyncKey", "0"), leaf("AirSync:SyncKey", "0"), leaf("AirSync:CollectionId", "x")),
      "4",
    ],
    ["an unknown folder", collection(leaf("AirSync:SyncKey", "0"), leaf("AirSync:CollectionId", "x")), "8"],
    ["no collection", group("AirSync:Sync", empty("AirSync:Collections")), "4"],
    [
      "Wait and a heartbeat",
      group("AirSync:Sync", leaf("AirSync:Wait", 1), leaf("AirSync:HeartbeatInterval", 60)),
      "4",
    ],
    ["a Wait too long", group("AirSync:Sync", leaf("AirSync:Wait", 60)), "14"],
    ["a heartbeat too short", group("AirSync:Sync", leaf("AirSync:HeartbeatInterval", 59)), "14"],
    ["a Wait much too long", group("AirSync:Sync", leaf("AirSync:Wait", 9_999_999_999)), "14"],
    ["a Wait for no folder", group("AirSync:Sync", leaf("AirSync:Wait", 5)), "13"],
    [
      "very many folders",
      group(
        "AirSync:Sync",
        group(
          "AirSync:Collections",
          ...Array.from({ length: 20_000 }, (_, n) =>
            group("AirSync:Collection", leaf("AirSync:SyncKey", "0"), leaf("AirSync:CollectionId", n)),
          ),
        ),
      ),
      "15",
    ],
    ["Partial alone", group("AirSync:Sync", empty("AirSync:Partial")), "13"],
    ["nothing", undefined, "13"],
  ])("%s", async (_name, root, status) => {
    const { phone } = await openPhone();
    const answer = await sync(root, phone.context);
    expect(answer.kind === "answer" && textOf(answer.root, "AirSync:Status")).toBe(status);
  });

  test("of too many commands, and of two for one item, a folder says 4, and none is done", async () => {
    const { phone, id, held } = await inbox(2);
    const [item] = held.items.keys();
    const remove = (of: string) => group("AirSync:Delete", leaf("AirSync:ServerId", of));
    const fetch = group("AirSync:Fetch", leaf("AirSync:ServerId", item!));
    const many = Array.from({ length: 200 }, (_, n) => remove(`none ${n}`));
    for (const commands of [
      [...many, remove(item!)],
      [remove(item!), change(item!, leaf("Email:Read", 1))],
    ])
      expect(textOf(await phone.sync(id, held.key, { commands }), "AirSync:Status")).toBe("4");
    expect(phone.session.getMailbox("INBOX").messages.length).toBe(2);
    for (const commands of [many, [fetch, change(item!, leaf("Email:Read", 1))]])
      expect(textOf(await phone.sync(id, held.key, { commands }), "AirSync:Status")).toBe("1");
  });

  test.each([
    [0, 512],
    [513, 512],
    [1, 1],
  ])("a window of %d is one of %d", async (window, adds) => {
    const { phone, id } = await inbox(0);
    for (let n = 0; n < 513; n++) await phone.append(mailText(n));
    const key = textOf(await phone.sync(id, "0"), "AirSync:SyncKey")!;
    expect(allOf(await phone.sync(id, key, { window }), "AirSync:Add")).toHaveLength(adds);
  });

  test("of options that contradict themselves a folder says 4", async () => {
    const { phone, id, held } = await inbox(1);
    const preference = group("AirSyncBase:BodyPreference", leaf("AirSyncBase:Type", 1));
    const twice = group("AirSync:Options", preference, preference);
    expect(textOf(await phone.sync(id, held.key, { more: [twice] }), "AirSync:Status")).toBe("4");
    const filter = group("AirSync:Options", leaf("AirSync:FilterType", 6));
    expect(textOf(await phone.sync(id, held.key, { more: [filter] }), "AirSync:Status")).toBe("4");
  });
});

test.each([
  ["conversations", 8, leaf("AirSync:ConversationMode", 1)],
  ["a filter that calendars have not", 8, group("AirSync:Options", leaf("AirSync:FilterType", 1))],
  ["a filter that tasks have not", 7, group("AirSync:Options", leaf("AirSync:FilterType", 5))],
  ["another class", 9, group("AirSync:Options", leaf("AirSync:Class", "Email"))],
])("of a folder that holds no mail %s is 4, at its start and later", async (_, type, more) => {
  const { phone } = await openPhone();
  const id = await phone.folder(type);
  expect(textOf(await phone.sync(id, "0", { more: [more] }), "AirSync:Status")).toBe("4");
  const key = textOf(await phone.sync(id, "0"), "AirSync:SyncKey")!;
  expect(textOf(await phone.sync(id, key, { more: [more] }), "AirSync:Status")).toBe("4");
});

test("nothing of a request is kept with the phone but what an empty one runs again", async () => {
  const { phone, id, held } = await inbox(1);
  const options = group("AirSync:Options", group("AirSyncBase:BodyPreference", leaf("AirSyncBase:Type", 1)));
  held.take(await phone.sync(id, held.key, { more: [options] }));
  const elements = JSON.stringify(phone.context.phone.lastSync);
  expect(elements).toContain(id);
  expect(elements).not.toContain("BodyPreference");
  // The options hold all the same.
  await phone.append(mailText(5));
  const answer = await sync(undefined, phone.context);
  expect(answer.kind === "answer" && textOf(answer.root, "AirSyncBase:Type")).toBe("1");
});

test("a folder of calendars is empty, whatever is asked of it, and refuses what is brought one by one", async () => {
  const { phone } = await openPhone();
  const id = await phone.folder(8);
  const options = group("AirSync:Options", leaf("AirSync:FilterType", 5), leaf("AirSync:Class", "Calendar"));
  const key = textOf(await phone.sync(id, "0", { more: [options] }), "AirSync:SyncKey")!;
  expect(await phone.sync(id, key, { more: [options] })).toBeUndefined();
  const commands = [draft("c1", leaf("Calendar:Subject", "x")), group("AirSync:Delete", leaf("AirSync:ServerId", "y"))];
  const answer = await phone.sync(id, key, { commands });
  expect(allOf(allOf(answer, "AirSync:Responses")[0], "AirSync:Status").map(({ content }) => content)).toEqual([
    "6",
    "8",
  ]);
  expect(await phone.sync(id, textOf(answer, "AirSync:SyncKey")!)).toBeUndefined();
});

test("mails of very many files fill an answer before its window does, and all of them come", async () => {
  const { phone, id } = await inbox(0);
  const part = "--b\r\nContent-Type: application/x; name=f\r\n\r\nx\r\n";
  const many = `Subject: m\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n${part.repeat(900)}--b--\r\n`;
  for (let n = 0; n < 120; n++) await phone.append(many);
  const held = new HeldFolder();
  held.take(await phone.sync(id, "0"));
  const first = await phone.sync(id, held.key, { window: 512 });
  expect(allOf(first, "AirSync:MoreAvailable")).toHaveLength(1);
  expect(encode(first!).length).toBeGreaterThan(0);
  expect(allOf(allOf(first, "AirSync:Add")[0], "AirSyncBase:Attachment")).toHaveLength(100);
  held.take(first);
  await phone.catchUp(id, held, { window: 512 });
  expect(held.items.size).toBe(120);
});

test("an invitation says what it asks for, and a calendar that is none is a mail as any other", async () => {
  const { phone, id } = await inbox(0);
  const calendar = (body: string) =>
    `Subject: m\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nCome\r\n--b\r\nContent-Type: text/calendar; method=REQUEST; charset=utf-8\r\n\r\n${body}\r\n--b--\r\n`;
  const event =
    "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:u\r\nDTSTART:20260701T070000Z\r\nEND:VEVENT\r\nEND:VCALENDAR";
  await phone.append(calendar(event));
  await phone.append(calendar("nonsense"));
  const start = new HeldFolder();
  start.take(await phone.sync(id, "0"));
  const told = allOf(await phone.sync(id, start.key), "AirSync:Add");
  expect(told.map((item) => [textOf(item, "Email:MessageClass"), textOf(item, "Email:StartTime")]).sort()).toEqual([
    ["IPM.Note", undefined],
    ["IPM.Schedule.Meeting.Request", "2026-07-01T07:00:00.000Z"],
  ]);
});

test("of bodies: 512 octets are the text's true beginning, cut in whole characters; scripts are gone from HTML", async () => {
  const { phone, id } = await inbox(0);
  const text = `Erste Zeile\r\n\r\n${"äöü\r\n".repeat(200)}`;
  await phone.append(
    `Subject: s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n${text}`,
  );
  const hostile =
    '<p onclick="x()">hi<script>evil()</script><svg onload=x></svg><img src="cid:1"><a href="javascript:x">a</a></p>';
  await phone.append(`Subject: h\r\nContent-Type: text/html\r\n\r\n${hostile}`);
  const bodies = async (type: number, size: number): Promise<(string | undefined)[]> => {
    const start = new HeldFolder();
    start.take(await phone.sync(id, "0"));
    const body = group(
      "AirSyncBase:BodyPreference",
      leaf("AirSyncBase:Type", type),
      leaf("AirSyncBase:TruncationSize", size),
    );
    const answer = await phone.sync(id, start.key, { filter: 0, body });
    return allOf(answer, "AirSync:Add").map((item) => textOf(item, "AirSyncBase:Data"));
  };
  const plain = (await bodies(1, 512)).find((body) => body?.startsWith("Erste"))!;
  expect(text.startsWith(plain)).toBe(true);
  expect(Buffer.byteLength(plain)).toBeGreaterThan(508);
  expect(Buffer.byteLength(plain)).toBeLessThanOrEqual(512);
  const shown = (await bodies(2, 10_000)).join();
  expect(shown).toContain('<img src="cid:1"');
  expect(shown).not.toMatch(/script|onclick|svg|evil/);
});

describe("one answer holds", () => {
  const asked = (...folders: readonly (readonly [id: string, key: string])[]) =>
    group(
      "AirSync:Collections",
      ...folders.map(([id, key]) =>
        group("AirSync:Collection", leaf("AirSync:SyncKey", key), leaf("AirSync:CollectionId", id)),
      ),
    );
  const primed = async (phone: TestPhone, type: number) => {
    const id = await phone.folder(type);
    return [id, textOf(await phone.sync(id, "0"), "AirSync:SyncKey")!] as const;
  };
  const answered = async (phone: TestPhone, ...children: ReturnType<typeof leaf>[]) => {
    const answer = await sync(group("AirSync:Sync", ...children), phone.context);
    if (answer.kind !== "answer") throw new Error(answer.kind);
    return { adds: allOf(answer.root, "AirSync:Add").length, more: allOf(answer.root, "AirSync:MoreAvailable").length };
  };

  test("as many items of all folders as its window, in the order in which folders are asked for", async () => {
    const { phone } = await openPhone();
    for (let n = 0; n < 5; n++) for (const path of ["INBOX", "Sent"]) await phone.append(mailText(n), path);
    const folders = asked(await primed(phone, 2), await primed(phone, 5));
    expect(await answered(phone, folders, leaf("AirSync:WindowSize", 7))).toEqual({ adds: 7, more: 1 });
  });

  test("as much as it may be long", async () => {
    const { phone } = await openPhone();
    for (let n = 0; n < 8; n++) await phone.append(`Subject: ${n}\r\n\r\n${"a line of words\r\n".repeat(65_000)}`);
    const { adds, more } = await answered(phone, asked(await primed(phone, 2)));
    expect([adds > 1, adds < 6, more]).toEqual([true, true, 1]);
  });

  test("as much as may be fetched; what is beyond that is asked for again", async () => {
    const { phone } = await openPhone();
    await phone.append(`Subject: large\r\n\r\n${"a line of words\r\n".repeat(1_500_000)}`);
    const id = await phone.folder(2);
    const held = new HeldFolder();
    await phone.catchUp(id, held);
    const fetch = group("AirSync:Fetch", leaf("AirSync:ServerId", [...held.items.keys()][0]!));
    const mime = group("AirSyncBase:BodyPreference", leaf("AirSyncBase:Type", 4));
    const options = group("AirSync:Options", leaf("AirSync:MIMESupport", 2), mime);
    const answer = await phone.sync(id, held.key, { commands: [fetch, fetch, fetch, fetch], more: [options] });
    const statuses = allOf(answer, "AirSync:Fetch").map((one) => textOf(one, "AirSync:Status"));
    expect(statuses.toSorted()).toEqual(["1", "1", "1", "16"]);
  });

  test("what can be read in its time, and one item at least", async () => {
    const { phone } = await openPhone();
    for (let n = 0; n < 8; n++) await phone.append(mailText(n));
    const folder = await primed(phone, 2);
    let nowMs = 1_700_000_000_000;
    phone.now = () => {
      nowMs += 9_000;
      return nowMs;
    };
    const { adds, more } = await answered(phone, asked(folder));
    expect([adds > 0, adds < 5, more]).toEqual([true, true, 1]);
  });
});
