import { type AccountSession, EngineError, type Message } from "@restante/engine";
import { Problem } from "@restante/host";
import { expect, test } from "vitest";
import { allOf, HeldFolder, mailText, openPhone, openSender, type TestPhone, textOf } from "./activesync-kit.ts";
import { find } from "./commands/find.ts";
import { ping } from "./commands/ping.ts";
import { sendMail } from "./commands/send-mail.ts";
import { HtmlThread, HtmlTrouble } from "./mail/html-thread.ts";
import { idOf } from "./mail/item.ts";
import { marksRecord } from "./mail/marks.ts";
import { empty, group, leaf } from "./protocol/elements.ts";
import { bodyOfBytes } from "./sending/letter.ts";

// Traps that other servers fell into, one by one.

const folderSync = (key: string) => group("FolderHierarchy:FolderSync", leaf("FolderHierarchy:SyncKey", key));

async function inboxOf(phone: TestPhone) {
  const id = await phone.folder(2);
  const held = new HeldFolder();
  await phone.catchUp(id, held);
  return { id, held };
}

test("a folder that is gone is in no list from the start", async () => {
  const { phone } = await openPhone();
  await phone.session.create("Gone/Below");
  const names = async () =>
    allOf(await phone.command("FolderSync", folderSync("0")), "FolderHierarchy:DisplayName").map(
      ({ content }) => content,
    );
  expect(await names()).toContain("Below");
  await phone.session.delete(phone.session.getMailbox("Gone/Below").id);
  expect(await names()).not.toContain("Below");
});

test("a phone that lists its folders from the start at each look leaves few lists, in however many processes", async () => {
  const { phone, another } = await openPhone();
  let last = "";
  for (let n = 0; n < 12; n++)
    last = textOf(await (await another()).command("FolderSync", folderSync("0")), "FolderHierarchy:SyncKey")!;
  const keys = await phone.session.devices.keys({ device: "phone", place: "" });
  expect(keys).toContain(last);
  expect(keys.length).toBeLessThan(7);
});

test("each property of Settings is answered, in the order in which they are asked for", async () => {
  const { phone } = await openPhone();
  const get = empty("Settings:Get");
  const asked = [
    group("Settings:UserInformation", get),
    group("Settings:DevicePassword", group("Settings:Set", leaf("Settings:Password", "x"))),
    group("Settings:DeviceInformation", group("Settings:Set", leaf("Settings:Model", "One"))),
    group("Settings:RightsManagementInformation", get),
    group("Settings:Oof", group("Settings:Get", leaf("Settings:BodyType", "Text"))),
  ];
  const answer = await phone.command("Settings", group("Settings:Settings", ...asked));
  const [first, ...answers] = answer.children;
  expect([first!.tag, first!.content]).toEqual(["Settings:Status", "1"]);
  expect(answers.map(({ tag }) => tag)).toEqual(asked.map(({ tag }) => tag));
  expect(answers.map((one) => [one.children[0]!.tag, one.children[0]!.content])).toEqual(
    ["1", "7", "1", "1", "1"].map((status) => ["Settings:Status", status]),
  );
});

/** A session that can't read what is kept of some mails. */
function damaged(
  session: AccountSession,
  isDamaged: (message: Message) => boolean,
  code: "corrupt" | "expunged" = "corrupt",
): AccountSession {
  return new Proxy(session, {
    get(of, name) {
      const value: unknown = Reflect.get(of, name, of);
      if (name === "readFullSummaries")
        return async (messages: readonly Message[]) => {
          if (messages.some(isDamaged)) throw new EngineError(code, "a page is damaged");
          return of.readFullSummaries(messages);
        };
      return typeof value === "function" ? value.bind(of) : value;
    },
  });
}

test("a mail that can't be read is told as one that says so, and stops neither its folder nor a search", async () => {
  const { phone } = await openPhone();
  for (let n = 0; n < 5; n++) await phone.append(`Subject: word ${n}\r\n\r\nx\r\n`);
  const id = await phone.folder(2);
  const { row } = phone.session.openView(phone.session.getMailbox("INBOX").id, { readOnly: true }).message(2);
  const session = damaged(phone.session, (message) => message.row === row);
  Object.assign(phone, { context: { ...phone.context, session, log: () => undefined } });
  const held = new HeldFolder();
  await phone.catchUp(id, held, { window: 2 });
  expect([...held.items.values()].map((item) => item.get("Email:Subject")).sort()).toEqual([
    ...["(damaged message)", "word 0", "word 1", "word 3", "word 4"],
  ]);
  const query = group("Find:Query", leaf("Find:FreeText", "subject:word"));
  const criterion = group("Find:MailBoxSearchCriterion", query, group("Find:Options", leaf("Find:Range", "0-9")));
  const asked = group("Find:Find", leaf("Find:SearchId", "1"), group("Find:ExecuteSearch", criterion));
  expect(allOf(await find(asked, phone.context), "Find:Result")).toHaveLength(4);
});

test("where too much HTML waits a phone is to come again, and is not told that its mail can't be shown", async () => {
  const { phone } = await openPhone();
  await phone.append(`Content-Type: text/html\r\n\r\n${"<p>words</p>\r\n".repeat(500)}`);
  const id = await phone.folder(2);
  const key = textOf(await phone.sync(id, "0"), "AirSync:SyncKey")!;
  const busy = new HtmlThread();
  busy.strip = async () => {
    throw new Problem(503, "busy");
  };
  const { context } = phone;
  Object.assign(phone, { context: { ...context, html: busy } });
  await expect(phone.sync(id, key)).rejects.toMatchObject({ status: 503 });
  // One that can't be read by itself is told as that.
  busy.strip = async () => {
    throw new HtmlTrouble("it takes too long");
  };
  Object.assign(phone, { context: { ...context, html: busy, log: () => undefined } });
  expect(textOf(await phone.sync(id, key), "AirSyncBase:Data")).toContain("could not make this message safe");
});

test("of mails that go while they are searched nothing is told", async () => {
  const { phone } = await openPhone();
  for (let n = 0; n < 3; n++) await phone.append(`Subject: word ${n}\r\n\r\nx\r\n`);
  const session = damaged(phone.session, () => true, "expunged");
  Object.assign(phone, { context: { ...phone.context, session } });
  const query = group("Search:Query", group("Search:And", leaf("Search:FreeText", "word")));
  const asked = group("Search:Search", group("Search:Store", leaf("Search:Name", "Mailbox"), query));
  const [store] = allOf(await phone.command("Search", asked), "Search:Store");
  expect(store!.children.map(({ tag, content }) => [tag, content])).toEqual([
    ["Search:Status", "1"],
    ["Search:Result", null],
    ["Search:Total", "0"],
  ]);
});

test("a Ping is told of what phones say of a mail, and is told so once", async () => {
  const { phone } = await openPhone();
  await phone.append(mailText(1));
  const { id, held } = await inboxOf(phone);
  const { row, state } = phone.session.openView(phone.session.getMailbox("INBOX").id, { readOnly: true }).message(0);
  const asked = group(
    "Ping:Ping",
    leaf("Ping:HeartbeatInterval", 600),
    group("Ping:Folders", group("Ping:Folder", leaf("Ping:Id", id), leaf("Ping:Class", "Email"))),
  );
  expect((await ping(asked, phone.context)).kind).toBe("wait");
  await phone.session.writeRecords([marksRecord(idOf(state, row), { flag: undefined, verb: 1, verbMs: 1 })]);
  const answer = await ping(asked, phone.context);
  expect(answer.kind === "answer" && textOf(answer.root, "Ping:Status")).toBe("2");
  held.take(await phone.sync(id, held.key));
  expect((await ping(asked, phone.context)).kind).toBe("wait");
});

const letter = (clientId: string, text: string, ...more: ReturnType<typeof leaf>[]) => [
  leaf("ComposeMail:ClientId", clientId),
  ...more,
  leaf("ComposeMail:Mime", Buffer.from(text)),
];

test("one that went out and was not copied before its process ended is copied when it is sent again, once", async () => {
  const { phone } = await openSender();
  const text = "Message-ID: <1@phone>\r\nFrom: ada@example.org\r\nTo: bob@x.org\r\nSubject: s\r\n\r\nx\r\n";
  await phone.session.submit({
    envelope: { mailFrom: "ada@example.org", recipients: [{ address: "bob@x.org", notify: undefined }] },
    message: bodyOfBytes(Buffer.from(text), phone.context.pace),
    repeatKey: JSON.stringify(["activesync", "phone", "id"]),
  });
  const asked = group("ComposeMail:SendMail", ...letter("id", text, empty("ComposeMail:SaveInSentItems")));
  for (let time = 0; time < 2; time++) {
    await expect(sendMail("SendMail", asked, undefined, phone.context)).rejects.toMatchObject({ status: 118 });
    const sent = phone.session.state.liveMailboxes().find(({ specialUse }) => specialUse === "\\Sent");
    expect(sent!.messages.length).toBe(1);
  }
});

test("the first of hundreds of mails that are sent is known when it is sent again", async () => {
  const { phone, another, queue } = await openSender();
  const send = (of: TestPhone, n: number) =>
    sendMail(
      "SendMail",
      group("ComposeMail:SendMail", ...letter(`id ${n}`, `To: bob@x.org\r\nSubject: ${n}\r\n\r\nx\r\n`)),
      undefined,
      of.context,
    );
  for (let n = 0; n < 300; n++) await send(phone, n);
  for (const of of [phone, await another()]) await expect(send(of, 0)).rejects.toMatchObject({ status: 118 });
  expect((await Array.fromAsync(queue.list())).length).toBe(300);
});

test("a signed mail of 30 MB and 50,000 elements is passed on octet by octet", async () => {
  const { phone, queue } = await openSender();
  const words = "<div>words and more of them, of which one ends a line\r\n".repeat(50_000);
  const file = `${"QUJD".repeat(18)}\r\n`.repeat(370_000);
  const part = `--b\r\nContent-Type: text/html\r\n\r\n${words}\r\n--b\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n${file}`;
  const signed = [
    "From: a@b.org\r\nSubject: signed\r\nMIME-Version: 1.0\r\n",
    'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=b\r\n\r\n',
    `${part}\r\n--b\r\nContent-Type: application/pkcs7-signature\r\n\r\nsignature\r\n--b--\r\n`,
  ].join("");
  await phone.append(signed);
  const { held } = await inboxOf(phone);
  const [item] = held.items.keys();
  const source = group("ComposeMail:Source", leaf("ComposeMail:LongId", item!));
  const own = "To: bob@x.org\r\nSubject: Fwd: signed\r\nContent-Type: text/plain\r\n\r\nlook\r\n";
  await sendMail(
    "SmartForward",
    group("ComposeMail:SmartForward", ...letter("f", own, source)),
    undefined,
    phone.context,
  );
  const [at] = await Array.fromAsync(queue.list());
  const { mail } = (await queue.open(at!))!;
  const pieces: Uint8Array[] = [];
  for await (const piece of queue.read(mail)) pieces.push(piece.slice());
  const sent = Buffer.concat(pieces);
  expect(sent.includes(Buffer.from(signed.trimEnd()))).toBe(true);
  expect(sent.subarray(0, 2_000).toString()).toContain("look");
});
