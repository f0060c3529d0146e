import { describe, expect, test } from "vitest";
import { decode, encode } from "wbxml";
import { allOf, HeldFolder, mailText, openPhone, type TestPhone, textOf } from "../activesync-kit.ts";
import { admitDevice } from "../device/admit.ts";
import { findDevice, forgetDevice, listDevices, wipeDevice } from "../device/device.ts";
import { NO_POLICY } from "../device/policy.ts";
import { empty, group, leaf } from "../protocol/elements.ts";
import { itemOperations, multipart } from "./item-operations.ts";
import { ping } from "./ping.ts";
import { provision } from "./provision.ts";
import { settings } from "./settings.ts";

const folderSync = (key: string) => group("FolderHierarchy:FolderSync", leaf("FolderHierarchy:SyncKey", key));
const status = (root: Parameters<typeof textOf>[0], page: string) => textOf(root, `${page}:Status`);

describe("folders", () => {
  async function tree() {
    const { phone, another } = await openPhone();
    const first = await phone.command("FolderSync", folderSync("0"));
    return { phone, another, key: textOf(first, "FolderHierarchy:SyncKey")!, first };
  }
  const create = (key: string, name: string, parent = "0", type = 12) =>
    group(
      "FolderHierarchy:FolderCreate",
      leaf("FolderHierarchy:SyncKey", key),
      leaf("FolderHierarchy:ParentId", parent),
      leaf("FolderHierarchy:DisplayName", name),
      leaf("FolderHierarchy:Type", type),
    );

  test("are told once, parents first; then what changed, and nothing of what the phone did itself", async () => {
    const { phone, another, key, first } = await tree();
    expect(allOf(first, "FolderHierarchy:Type").map(({ content }) => content)).toEqual(
      expect.arrayContaining(["2", "3", "4", "5", "8", "9"]),
    );
    const made = await phone.command("FolderCreate", create(key, "Work"));
    const id = textOf(made, "FolderHierarchy:ServerId")!;
    const after = textOf(made, "FolderHierarchy:SyncKey")!;
    expect(textOf(await phone.command("FolderSync", folderSync(after)), "FolderHierarchy:Count")).toBe("0");
    const other = await another("other");
    await other.session.create("Work/Deep");
    await other.session.rename("Work", "Job");
    await phone.session.refresh();
    const news = await phone.command("FolderSync", folderSync(after));
    expect([allOf(news, "FolderHierarchy:Update").length, allOf(news, "FolderHierarchy:Add").length]).toEqual([1, 1]);
    expect(textOf(allOf(news, "FolderHierarchy:Update")[0], "FolderHierarchy:ServerId")).toBe(id);
    // The answer was lost: the same again.
    const again = await phone.command("FolderSync", folderSync(after));
    expect(textOf(again, "FolderHierarchy:Count")).toBe("2");
  });

  test("one that comes to lie in a folder that the phone makes is told to it", async () => {
    const { phone, key } = await tree();
    await phone.session.create("Trips/Bills");
    await phone.session.delete(phone.session.getMailbox("Trips").id);
    const news = await phone.command("FolderSync", folderSync(key));
    const [orphan] = allOf(news, "FolderHierarchy:Add").map((add) => textOf(add, "FolderHierarchy:ServerId"));
    const made = await phone.command("FolderCreate", create(textOf(news, "FolderHierarchy:SyncKey")!, "Trips"));
    const after = await phone.command("FolderSync", folderSync(textOf(made, "FolderHierarchy:SyncKey")!));
    const [update] = allOf(after, "FolderHierarchy:Update");
    expect(["ServerId", "ParentId", "DisplayName"].map((name) => textOf(update, `FolderHierarchy:${name}`))).toEqual([
      orphan,
      textOf(made, "FolderHierarchy:ServerId"),
      "Bills",
    ]);
  });

  test("whose making or deleting was not heard of are answered the same again, and nobody else's are", async () => {
    const { phone, another, key } = await tree();
    const id = (root: Awaited<ReturnType<typeof phone.command>>) => textOf(root, "FolderHierarchy:ServerId");
    const keyOf = (root: Awaited<ReturnType<typeof phone.command>>) => textOf(root, "FolderHierarchy:SyncKey")!;
    const news = async (from: string) =>
      textOf(await phone.command("FolderSync", folderSync(from)), "FolderHierarchy:Count");
    const lost = await phone.command("FolderCreate", create(key, "A"));
    const made = await phone.command("FolderCreate", create(key, "A"));
    expect([id(made), await news(keyOf(made))]).toEqual([id(lost), "0"]);
    // By the same key something else may be asked for, and what another made there is another's.
    const other = await phone.command("FolderCreate", create(key, "B"));
    expect(status(other, "FolderHierarchy")).toBe("1");
    await (await another("other")).session.create("C");
    await phone.session.refresh();
    expect(status(await phone.command("FolderCreate", create(key, "C")), "FolderHierarchy")).toBe("2");
    const tidy = await phone.command("FolderSync", folderSync("0"));
    const remove = (from: string) =>
      group(
        "FolderHierarchy:FolderDelete",
        leaf("FolderHierarchy:SyncKey", from),
        leaf("FolderHierarchy:ServerId", id(lost)!),
      );
    await phone.command("FolderDelete", remove(keyOf(tidy)));
    const gone = await phone.command("FolderDelete", remove(keyOf(tidy)));
    expect([status(gone, "FolderHierarchy"), await news(keyOf(gone))]).toEqual(["1", "0"]);
    const update = group(
      "FolderHierarchy:FolderUpdate",
      leaf("FolderHierarchy:SyncKey", keyOf(gone)),
      leaf("FolderHierarchy:ServerId", id(other)!),
      leaf("FolderHierarchy:ParentId", "0"),
      leaf("FolderHierarchy:DisplayName", "D"),
    );
    expect(await news(keyOf(await phone.command("FolderUpdate", update)))).toBe("0");
  });

  test("go from a phone with what it knows below them, though others deleted or moved that before", async () => {
    const { phone, key } = await tree();
    const idOf = (root: Awaited<ReturnType<typeof phone.command>>) => textOf(root, "FolderHierarchy:ServerId")!;
    const keyOf = (root: Awaited<ReturnType<typeof phone.command>>) => textOf(root, "FolderHierarchy:SyncKey")!;
    const above = await phone.command("FolderCreate", create(key, "A"));
    const gone = await phone.command("FolderCreate", create(keyOf(above), "B", idOf(above)));
    const moved = await phone.command("FolderCreate", create(keyOf(gone), "C", idOf(above)));
    await phone.session.delete(phone.session.getMailbox("A/B").id);
    await phone.session.rename("A/C", "D");
    const ids = [leaf("FolderHierarchy:SyncKey", keyOf(moved)), leaf("FolderHierarchy:ServerId", idOf(above))];
    const remove = group("FolderHierarchy:FolderDelete", ...ids);
    // Its answer may be lost, too.
    await phone.command("FolderDelete", remove);
    const deleted = await phone.command("FolderDelete", remove);
    expect(status(deleted, "FolderHierarchy")).toBe("1");
    const news = await phone.command("FolderSync", folderSync(keyOf(deleted)));
    expect(allOf(news, "FolderHierarchy:Delete")).toEqual([]);
    expect(allOf(news, "FolderHierarchy:Update")).toEqual([]);
    expect(allOf(news, "FolderHierarchy:Add").map((one) => textOf(one, "FolderHierarchy:ServerId"))).toEqual([
      idOf(moved),
    ]);
  });

  test("are renamed, moved and deleted with what is below", async () => {
    const { phone, key } = await tree();
    const made = await phone.command("FolderCreate", create(key, "A"));
    const id = textOf(made, "FolderHierarchy:ServerId")!;
    const below = await phone.command("FolderCreate", create(textOf(made, "FolderHierarchy:SyncKey")!, "B", id));
    const update = group(
      "FolderHierarchy:FolderUpdate",
      leaf("FolderHierarchy:SyncKey", textOf(below, "FolderHierarchy:SyncKey")!),
      leaf("FolderHierarchy:ServerId", textOf(below, "FolderHierarchy:ServerId")!),
      leaf("FolderHierarchy:ParentId", "0"),
      leaf("FolderHierarchy:DisplayName", "C"),
    );
    const moved = await phone.command("FolderUpdate", update);
    expect(phone.session.state.findPath("C")).toBeDefined();
    await phone.session.create("A/D");
    const remove = group(
      "FolderHierarchy:FolderDelete",
      leaf("FolderHierarchy:SyncKey", textOf(moved, "FolderHierarchy:SyncKey")!),
      leaf("FolderHierarchy:ServerId", id),
    );
    const gone = await phone.command("FolderDelete", remove);
    expect(status(gone, "FolderHierarchy")).toBe("1");
    expect(phone.session.state.below("A").length + (phone.session.state.findPath("A") ? 1 : 0)).toBe(0);
    // The answer was lost: it is given again. By the new key it is a folder that is gone.
    expect(status(await phone.command("FolderDelete", remove), "FolderHierarchy")).toBe("1");
    const again = group(
      "FolderHierarchy:FolderDelete",
      leaf("FolderHierarchy:SyncKey", textOf(gone, "FolderHierarchy:SyncKey")!),
      leaf("FolderHierarchy:ServerId", id),
    );
    expect(status(await phone.command("FolderDelete", again), "FolderHierarchy")).toBe("4");
  });

  test.each([
    ["an unknown key", (key: string) => create(`${key}x`, "A"), "9"],
    ["a name that is there", (key: string) => create(key, "Trash"), "2"],
    ["no parent", (key: string) => create(key, "A", "nowhere"), "5"],
    ["a default type", (key: string) => create(key, "A", "0", 2), "10"],
    ["no name", (key: string) => create(key, " "), "10"],
    ["a name of two levels", (key: string) => create(key, "a/b"), "10"],
  ])("%s is refused", async (_name, root, expected) => {
    const { phone, key } = await tree();
    expect(status(await phone.command("FolderCreate", root(key)), "FolderHierarchy")).toBe(expected);
  });

  test.each(["", " ", "a/b", "a\u0001b", "a\u007fb", "x".repeat(257)])("%j is no name", async (name) => {
    const { phone, key } = await tree();
    expect(status(await phone.command("FolderCreate", create(key, name)), "FolderHierarchy")).toBe("10");
  });

  test("that are special stay", async () => {
    const { phone, key } = await tree();
    const inbox = await phone.folder(2);
    const ids = [leaf("FolderHierarchy:SyncKey", key), leaf("FolderHierarchy:ServerId", inbox)];
    const remove = group("FolderHierarchy:FolderDelete", ...ids);
    expect(status(await phone.command("FolderDelete", remove), "FolderHierarchy")).toBe("3");
    const rename = group("FolderHierarchy:FolderUpdate", ...ids, leaf("FolderHierarchy:DisplayName", "x"));
    expect(status(await phone.command("FolderUpdate", rename), "FolderHierarchy")).toBe("2");
  });

  test("a key of none, and a request that is none", async () => {
    const { phone } = await tree();
    expect(status(await phone.command("FolderSync", folderSync("x")), "FolderHierarchy")).toBe("9");
    expect(status(await phone.command("FolderSync", group("FolderHierarchy:FolderSync")), "FolderHierarchy")).toBe(
      "10",
    );
  });
});

describe("moves", () => {
  const move = (item: string, from: string, to: string) =>
    group("Move:Move", leaf("Move:SrcMsgId", item), leaf("Move:SrcFldId", from), leaf("Move:DstFldId", to));

  test("one that is asked again tells the same new id, and the mail is there once", async () => {
    const { phone, another } = await openPhone();
    await phone.append();
    const [inbox, trash] = [await phone.folder(2), await phone.folder(4)];
    const held = new HeldFolder();
    await phone.catchUp(inbox, held);
    const [item] = held.items.keys();
    const root = group("Move:MoveItems", move(item!, inbox, trash));
    const first = await phone.command("MoveItems", root);
    const second = await (await another()).command("MoveItems", root);
    expect([textOf(first, "Move:Status"), textOf(second, "Move:Status")]).toEqual(["3", "3"]);
    expect(textOf(second, "Move:DstMsgId")).toBe(textOf(first, "Move:DstMsgId"));
    expect(phone.session.getMailbox("Trash").messages.length).toBe(1);
  });

  test("what can't be moved says why, each by itself", async () => {
    const { phone } = await openPhone();
    await phone.append();
    const [inbox, trash] = [await phone.folder(2), await phone.folder(4)];
    const held = new HeldFolder();
    await phone.catchUp(inbox, held);
    const [item] = held.items.keys();
    const answer = await phone.command(
      "MoveItems",
      group(
        "Move:MoveItems",
        move("x", inbox, trash),
        move(item!, trash, inbox),
        move(item!, inbox, "nowhere"),
        move(item!, "nowhere", trash),
        move(item!, inbox, inbox),
      ),
    );
    expect(allOf(answer, "Move:Status").map(({ content }) => content)).toEqual(["1", "1", "2", "1", "4"]);
  });
});

describe("GetItemEstimate", () => {
  test("says what a Sync would bring, and moves nothing", async () => {
    const { phone } = await openPhone();
    const inbox = await phone.folder(2);
    const held = new HeldFolder();
    await phone.catchUp(inbox, held);
    for (let n = 0; n < 3; n++) await phone.append(mailText(n));
    const ask = async (key: string, id = inbox) =>
      phone.command(
        "GetItemEstimate",
        group(
          "GetItemEstimate:GetItemEstimate",
          group(
            "GetItemEstimate:Collections",
            group("GetItemEstimate:Collection", leaf("AirSync:SyncKey", key), leaf("GetItemEstimate:CollectionId", id)),
          ),
        ),
      );
    expect(textOf(await ask(held.key), "GetItemEstimate:Estimate")).toBe("3");
    expect(textOf(await ask(held.key), "GetItemEstimate:Estimate")).toBe("3");
    const statuses = [await ask("0"), await ask("x"), await ask(held.key, "nowhere")];
    expect(statuses.map((answer) => status(answer, "GetItemEstimate"))).toEqual(["3", "4", "2"]);
  });
});

describe("ItemOperations", () => {
  const file =
    "Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\nContent-Type: application/x-y; name=a.bin\r\nContent-Transfer-Encoding: base64\r\n\r\nMDEyMzQ1Njc4OQ==\r\n--b--\r\n";

  async function attachment(phone: TestPhone) {
    await phone.append(file);
    const inbox = await phone.folder(2);
    const held = new HeldFolder();
    held.take(await phone.sync(inbox, "0"));
    const answer = await phone.sync(inbox, held.key);
    return {
      reference: textOf(answer, "AirSyncBase:FileReference")!,
      item: textOf(answer, "AirSync:ServerId")!,
      inbox,
    };
  }
  const fetch = (...children: ReturnType<typeof leaf>[]) =>
    group(
      "ItemOperations:ItemOperations",
      group("ItemOperations:Fetch", leaf("ItemOperations:Store", "Mailbox"), ...children),
    );
  const range = (text: string) => group("ItemOperations:Options", leaf("ItemOperations:Range", text));

  test("a file is given decoded, whole or in part, also after a move", async () => {
    const { phone } = await openPhone();
    const { reference, item, inbox } = await attachment(phone);
    const read = async (...more: ReturnType<typeof leaf>[]) => {
      const { root } = await itemOperations(
        fetch(leaf("AirSyncBase:FileReference", reference), ...more),
        phone.context,
      );
      const [inner] = allOf(root, "ItemOperations:Fetch");
      const data = textOf(inner, "ItemOperations:Data");
      return [
        status(inner, "ItemOperations"),
        data && Buffer.from(data, "base64").toString(),
        textOf(inner, "ItemOperations:Range"),
      ];
    };
    expect(await read()).toEqual(["1", "0123456789", undefined]);
    expect(await read(range("2-4"))).toEqual(["1", "234", "2-4"]);
    expect(await read(range("8-99"))).toEqual(["1", "89", "8-9"]);
    for (const wrong of ["10-12", "5-2", "x", ""]) expect((await read(range(wrong)))[0]).toBe("8");
    const move = group(
      "Move:MoveItems",
      group(
        "Move:Move",
        leaf("Move:SrcMsgId", item),
        leaf("Move:SrcFldId", inbox),
        leaf("Move:DstFldId", await phone.folder(4)),
      ),
    );
    await phone.command("MoveItems", move);
    expect((await read())[1]).toBe("0123456789");
  });

  test("by parts the octets stand behind the answer", async () => {
    const { phone } = await openPhone();
    const { reference } = await attachment(phone);
    const context = { ...phone.context, acceptsMultipart: true };
    const { root, parts } = await itemOperations(fetch(leaf("AirSyncBase:FileReference", reference)), context);
    expect(textOf(root, "ItemOperations:Part")).toBe("1");
    const whole = multipart(encode(root), parts);
    const pieces: Uint8Array[] = [];
    for await (const piece of whole.read()) pieces.push(piece.slice());
    const bytes = Buffer.concat(pieces);
    expect(bytes.length).toBe(whole.size);
    const at = (n: number) => [bytes.readUInt32LE(4 + 8 * n), bytes.readUInt32LE(8 + 8 * n)] as const;
    expect(bytes.readUInt32LE(0)).toBe(2);
    const [[from, length], [start, size]] = [at(0), at(1)];
    expect(decode(bytes.subarray(from, from + length)).tag).toBe("ItemOperations:ItemOperations");
    expect(bytes.subarray(start, start + size).toString()).toBe("0123456789");
  });

  test.each([
    ["two kinds of id", [leaf("AirSync:ServerId", "x"), leaf("Search:LongId", "y")], "2"],
    ["none", [], "2"],
    ["an empty reference", [leaf("AirSyncBase:FileReference", "")], "15"],
    ["a foreign reference", [leaf("AirSyncBase:FileReference", "x:1")], "15"],
    ["an item that is gone", [leaf("AirSync:ServerId", "eEZI38lLXHEBAg")], "6"],
    ["a document", [leaf("DocumentLibrary:LinkId", "file://x")], "9"],
  ])("%s", async (_name, children, expected) => {
    const { phone } = await openPhone();
    const { root } = await itemOperations(fetch(...children), phone.context);
    expect(status(allOf(root, "ItemOperations:Fetch")[0], "ItemOperations")).toBe(expected);
  });
});

describe("out of office", () => {
  const settings = (...children: ReturnType<typeof leaf>[]) =>
    group("Settings:Settings", group("Settings:Oof", ...children));
  const get = settings(group("Settings:Get", leaf("Settings:BodyType", "Text")));
  const set = (state: number, ...more: ReturnType<typeof leaf>[]) =>
    settings(group("Settings:Set", leaf("Settings:OofState", state), ...more));
  const oof = async (phone: TestPhone, root: ReturnType<typeof leaf>) =>
    allOf(await phone.command("Settings", root), "Settings:Oof")[0];

  test.each([
    ["between two days without them", set(2)],
    [
      "backwards",
      set(
        2,
        leaf("Settings:StartTime", "2026-03-02T00:00:00.000Z"),
        leaf("Settings:EndTime", "2026-03-01T00:00:00.000Z"),
      ),
    ],
    ["a text of no type", set(1, group("Settings:OofMessage", leaf("Settings:ReplyMessage", "x")))],
  ])("%s is refused", async (_name, root) => {
    const { phone } = await openPhone();
    expect(textOf(await oof(phone, root), "Settings:Status")).toBe("5");
  });

  test("that was never set is off", async () => {
    const { phone } = await openPhone();
    expect(textOf(await oof(phone, get), "Settings:OofState")).toBe("0");
    expect(textOf(await oof(phone, settings()), "Settings:Status")).toBe("2");
  });
});

describe("devices", () => {
  const admit = (phone: TestPhone, command = "Sync", more = {}) =>
    admitDevice(command, { ...phone.context, ...more }, { policy: NO_POLICY, allowsOutlook: false });
  const policies = (...children: ReturnType<typeof leaf>[]) =>
    group(
      "Provision:Policies",
      group("Provision:Policy", leaf("Provision:PolicyType", "MS-EAS-Provisioning-WBXML"), ...children),
    );
  const information = group("Settings:DeviceInformation", group("Settings:Set", leaf("Settings:Model", "One")));

  async function provisioned(phone: TestPhone): Promise<number> {
    const offer = await provision(
      group("Provision:Provision", information, policies()),
      undefined,
      NO_POLICY,
      phone.context,
    );
    const key = textOf(offer, "Provision:PolicyKey")!;
    const known = await findDevice(phone.session, "phone");
    const taken = await provision(
      group("Provision:Provision", policies(leaf("Provision:PolicyKey", key), leaf("Provision:Status", 1))),
      known,
      NO_POLICY,
      phone.context,
    );
    return Number(textOf(taken, "Provision:PolicyKey"));
  }
  const refusal = async (work: Promise<unknown>) =>
    work.then(
      () => 0,
      (error: { status?: number }) => error.status,
    );

  test("are provisioned in two phases, and let in by the key of the second alone", async () => {
    const { phone } = await openPhone();
    expect(await refusal(admit(phone))).toBe(142);
    const policyKey = await provisioned(phone);
    expect(policyKey).toBeGreaterThan(0);
    expect(await refusal(admit(phone, "Sync", { policyKey }))).toBe(0);
    expect(await refusal(admit(phone, "Sync", { policyKey: policyKey + 1 }))).toBe(144);
    expect(await refusal(admit(phone, "Ping", { policyKey: 0 }))).toBe(0);
    const stricter = { policy: { ...NO_POLICY, passwordLengthMin: 6 }, allowsOutlook: false };
    expect(await refusal(admitDevice("Sync", { ...phone.context, policyKey }, stricter))).toBe(143);
    expect((await listDevices(phone.session)).map(({ model }) => model)).toEqual(["One"]);
  });

  test("who agrees again has not heard the answer, and agrees to what was offered then", async () => {
    const { phone } = await openPhone();
    const policyKey = await provisioned(phone);
    const device = (await findDevice(phone.session, "phone"))!;
    const stricter = { ...NO_POLICY, passwordLengthMin: 6 };
    const again = policies(leaf("Provision:PolicyKey", device.offeredKey), leaf("Provision:Status", 1));
    const taken = await provision(group("Provision:Provision", again), device, stricter, phone.context);
    expect(textOf(taken, "Provision:PolicyKey")).toBe(String(policyKey));
    expect((await findDevice(phone.session, "phone"))!.policy).toBe(device.policy);
    expect(await provisioned(phone)).not.toBe(policyKey);
  });

  test("a key that was not offered, a type that is none, and no word of the device", async () => {
    const { phone } = await openPhone();
    const ask = (...children: ReturnType<typeof leaf>[]) =>
      provision(group("Provision:Provision", ...children), undefined, NO_POLICY, phone.context);
    const wrong = await ask(policies(leaf("Provision:PolicyKey", "7"), leaf("Provision:Status", 1)));
    expect(status(allOf(wrong, "Provision:Policy")[0], "Provision")).toBe("5");
    const type = await ask(
      information,
      group("Provision:Policies", group("Provision:Policy", leaf("Provision:PolicyType", "x"))),
    );
    expect(status(allOf(type, "Provision:Policy")[0], "Provision")).toBe("3");
    expect(await refusal(ask(policies()))).toBe(165);
    expect(status(await ask(), "Provision")).toBe("2");
    const none = await ask(information, group("Provision:Policies", empty("Provision:Policy")));
    expect([status(none, "Provision"), allOf(none, "Provision:Policy")]).toEqual(["2", []]);
  });

  test("those that agree to no policy are devices too: counted, listed, erased", async () => {
    const { phone } = await openPhone();
    const outlook = (deviceId: string) => ({ deviceId, deviceType: "WindowsOutlook15", userAgent: "Outlook/16" });
    for (let n = 0; n < 100; n++) expect(await refusal(admit(phone, "FolderSync", outlook(`d${n}`)))).toBe(0);
    expect(await refusal(admit(phone, "FolderSync", outlook("d100")))).toBe(177);
    expect(await refusal(admit(phone, "Sync", outlook("d7")))).toBe(0);
    expect((await listDevices(phone.session)).map(({ id }) => id)).toContain("d7");
    await wipeDevice(phone.session, "d7", false);
    expect(await refusal(admit(phone, "Sync", outlook("d7")))).toBe(140);
  });

  test("one that only looks is let in, and is kept nowhere", async () => {
    const { phone } = await openPhone();
    const context = { ...phone.context, deviceId: "validate", deviceType: "Android" };
    expect(await refusal(admit(phone, "FolderSync", context))).toBe(0);
    const offer = await provision(group("Provision:Provision", information, policies()), undefined, NO_POLICY, context);
    const key = textOf(offer, "Provision:PolicyKey")!;
    const agreed = policies(leaf("Provision:PolicyKey", key), leaf("Provision:Status", 1));
    const taken = await provision(group("Provision:Provision", agreed), undefined, NO_POLICY, context);
    expect(Number(textOf(taken, "Provision:PolicyKey"))).toBeGreaterThan(0);
    await settings(group("Settings:Settings", information), context);
    expect(await listDevices(phone.session)).toEqual([]);
  });

  test("one that is to be erased is told so, erases, and comes in no more; forgotten it begins anew", async () => {
    const { phone } = await openPhone();
    const policyKey = await provisioned(phone);
    await wipeDevice(phone.session, "phone", false);
    expect(await refusal(admit(phone, "Sync", { policyKey }))).toBe(140);
    const device = await findDevice(phone.session, "phone");
    const told = await provision(group("Provision:Provision"), device, NO_POLICY, phone.context);
    expect(allOf(told, "Provision:AccountOnlyRemoteWipe")).toHaveLength(1);
    expect(allOf(told, "Provision:RemoteWipe")).toEqual([]);
    // One that knows no account of its own would erase all: it is told nothing.
    const older = { ...phone.context, version: 14.1 as const };
    expect(await refusal(provision(group("Provision:Provision"), device, NO_POLICY, older))).toBe(129);
    const done = group("Provision:Provision", group("Provision:AccountOnlyRemoteWipe", leaf("Provision:Status", 1)));
    await provision(done, device, NO_POLICY, phone.context);
    expect(await refusal(admit(phone, "Provision"))).toBe(129);
    await forgetDevice(phone.session, "phone");
    expect(await refusal(admit(phone, "Provision"))).toBe(0);
  });

  test("Outlook's servers are refused, with the reason", async () => {
    const { phone } = await openPhone();
    const outlook = { userAgent: "Outlook-iOS-Android/1.0", deviceType: "Outlook" };
    await expect(admit(phone, "Provision", outlook)).rejects.toThrow("password");
    expect(
      await refusal(
        admitDevice("Provision", { ...phone.context, ...outlook }, { policy: NO_POLICY, allowsOutlook: true }),
      ),
    ).toBe(0);
  });
});

describe("Ping", () => {
  const request = (seconds: number | undefined, ids?: readonly string[]) =>
    group(
      "Ping:Ping",
      seconds === undefined ? undefined : leaf("Ping:HeartbeatInterval", seconds),
      ids &&
        group(
          "Ping:Folders",
          ...ids.map((id) => group("Ping:Folder", leaf("Ping:Id", id), leaf("Ping:Class", "Email"))),
        ),
    );
  const told = async (phone: TestPhone, root: ReturnType<typeof leaf> | undefined) => {
    const answer = await ping(root, phone.context);
    return answer.kind === "wait" ? "waits" : textOf(answer.root, "Ping:Status");
  };

  test("what came since the last Sync is told at once; else it waits, and need not be said again", async () => {
    const { phone } = await openPhone();
    const inbox = await phone.folder(2);
    const held = new HeldFolder();
    await phone.catchUp(inbox, held);
    expect(await told(phone, undefined)).toBe("3");
    expect(await told(phone, request(600, [inbox]))).toBe("waits");
    expect(await told(phone, undefined)).toBe("waits");
    await phone.append();
    expect(await told(phone, request(undefined))).toBe("2");
    held.take(await phone.sync(inbox, held.key));
    expect(await told(phone, undefined)).toBe("waits");
  });

  test("one that is answered and answers with another is held back, longer each time, until it synchronizes", async () => {
    const { phone } = await openPhone();
    const inbox = await phone.folder(2);
    const held = new HeldFolder();
    await phone.catchUp(inbox, held);
    await phone.append();
    const times: number[] = [];
    for (let round = 0; round < 6; round++) {
      const answer = await ping(request(600, [inbox]), phone.context);
      times.push(answer.kind === "answer" ? answer.holdBackMs : -1);
    }
    expect(times).toEqual([0, 0, 2_000, 4_000, 8_000, 16_000]);
    held.take(await phone.sync(inbox, held.key));
    await phone.append(mailText(9));
    expect(await ping(request(600, [inbox]), phone.context)).toMatchObject({ holdBackMs: 0 });
  });

  test.each([
    ["too short", request(59, ["x"]), "5"],
    ["too long", request(3541, ["x"]), "5"],
    ["much too long", request(9_999_999_999, ["x"]), "5"],
    ["less than nothing", request(-1, ["x"]), "5"],
    ["an unknown folder", request(600, ["x"]), "7"],
    [
      "very many folders",
      request(
        600,
        Array.from({ length: 20_000 }, (_, n) => `f${n}`),
      ),
      "6",
    ],
    ["a folder twice", request(600, ["x", "x"]), "4"],
    ["no id", request(600, [""]), "4"],
    [
      "too many folders",
      request(
        600,
        Array.from({ length: 301 }, (_, n) => `f${n}`),
      ),
      "6",
    ],
    ["no interval", request(undefined, ["x"]), "3"],
    ["no folders: it waits", request(600, []), "waits"],
  ])("%s", async (_name, root, expected) => {
    const { phone } = await openPhone();
    expect(await told(phone, root)).toBe(expected);
  });

  test("a folder that is new is news", async () => {
    const { phone } = await openPhone();
    const inbox = await phone.folder(2);
    await phone.session.create("New");
    expect(await told(phone, request(600, [inbox]))).toBe("7");
  });
});

test("Search and Find: words, folders, dates, conversations, pages; what is none says so", async () => {
  const { phone } = await openPhone();
  const letter = (subject: string, words: string, to = "bob@example.org") =>
    `From: "Ada" <ada@example.org>\r\nTo: "Bob Stone" <${to}>\r\nSubject: ${subject}\r\n\r\n${words}\r\n`;
  for (let n = 0; n < 5; n++)
    await phone.append(letter(`apple ${n}`, "pear"), "INBOX", [], 1_700_000_000_000 + n * 1000);
  await phone.append(letter("plum", "apple pie"), "Archive");
  await phone.append(letter("sent", "x"), "Sent");
  const inbox = await phone.folder(2);
  const search = (query: ReturnType<typeof leaf> | undefined, range?: string, name = "Mailbox") =>
    phone.command(
      "Search",
      group(
        "Search:Search",
        group(
          "Search:Store",
          leaf("Search:Name", name),
          query,
          range === undefined ? undefined : group("Search:Options", leaf("Search:Range", range)),
        ),
      ),
    );
  const and = (...children: ReturnType<typeof leaf>[]) => group("Search:Query", group("Search:And", ...children));
  const word = (text: string) => leaf("Search:FreeText", text);
  const of = (root: Parameters<typeof textOf>[0]) => [
    status(allOf(root, "Search:Store")[0], "Search"),
    textOf(root, "Search:Total"),
    textOf(root, "Search:Range"),
    allOf(root, "Search:LongId").length,
  ];
  expect(of(await search(and(word("apple"))))).toEqual(["1", "6", "0-5", 6]);
  expect(of(await search(and(word("apple"), leaf("AirSync:CollectionId", inbox)), "1-2"))).toEqual([
    "1",
    "5",
    "1-2",
    2,
  ]);
  expect(of(await search(and(word("apple pie"))))).toEqual(["1", "1", "0-0", 1]);
  expect(of(await search(and(word("nothing"))))).toEqual(["1", "0", undefined, 0]);
  expect(of(await search(and(word("apple"), leaf("AirSync:CollectionId", "x"))))[0]).toBe("11");
  expect(of(await search(leaf("Search:Query", "apple")))[0]).toBe("8");
  expect(of(await search(and(empty("Search:Or"))))[0]).toBe("8");
  expect(of(await search(and(word("apple")), "2-1"))[0]).toBe("2");
  expect(of(await search(and(word("apple")), "5000-5001"))[0]).toBe("12");
  expect(of(await search(undefined))[0]).toBe("2");
  expect(of(await search(leaf("Search:Query", "x"), undefined, "DocumentLibrary"))[0]).toBe("4");
  const people = await search(leaf("Search:Query", "sto"), "0-9", "GAL");
  expect([textOf(people, "Gal:EmailAddress"), textOf(people, "Gal:DisplayName")]).toEqual([
    "bob@example.org",
    "Bob Stone",
  ]);
  const find = (words: string) =>
    phone.command(
      "Find",
      group(
        "Find:Find",
        leaf("Find:SearchId", "1"),
        group(
          "Find:ExecuteSearch",
          group("Find:MailBoxSearchCriterion", group("Find:Query", leaf("Find:FreeText", words))),
        ),
      ),
    );
  expect(textOf(await find("subject:apple NOT subject:3"), "Find:Total")).toBe("4");
  expect(status(await find("x ".repeat(300)), "Find")).toBe("2");
});
