import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { JmapClient, type Json } from "../kit/jmap-client.ts";
import { connectImap, type LineClient } from "../kit/line-client.ts";
import { DEMO, makeDataFolder, type RunningServer, removeDataFolder, startServer } from "../kit/server.ts";

/**
 * One store, seen by IMAP and by JMAP: what each does is what the other shows. An email's memberships have flags of their own; JMAP
 * shows $seen and $draft if all of them have it, any other keyword if any has, and none that is \Deleted.
 */
let server: RunningServer;
let jmap: JmapClient;
let imap: LineClient;
/** Two mailboxes of each test, by what JMAP calls them. */
let a: string;
let b: string;
let count = 0;

beforeAll(async () => {
  server = await startServer(await makeDataFolder(), { env: { RESTANTE_HTTPS_TLS: "off" } });
  jmap = await JmapClient.connect(server.ports.https!);
  imap = await connectImap(server.ports.imap!, DEMO.user, DEMO.password);
});
afterAll(async () => {
  imap.end();
  expect(await server.stop()).toBe(0);
  await removeDataFolder(server.data);
});
beforeEach(async () => {
  count++;
  const { created } = await jmap.call("Mailbox/set", {
    create: { a: { name: `A${count}` }, b: { name: `B${count}` } },
  });
  [a, b] = [created.a.id, created.b.id];
});

/** Runs commands with a mailbox selected; resolves with the last one's answer. */
async function within(mailbox: "A" | "B", ...commands: readonly string[]): Promise<string> {
  let answer = await imap.command(`SELECT ${mailbox}${count}`);
  for (const command of commands) {
    answer = await imap.command(command);
    expect(answer, command).toMatch(/^t\d+ OK/m);
  }
  return answer;
}

async function append(mailbox: "A" | "B", flags = "", subject = "x", date = ""): Promise<string> {
  const text = `From: ada@example.org\r\nSubject: ${subject}\r\n\r\nwords of ${subject}\r\n`;
  const answer = await imap.command(
    `APPEND ${mailbox}${count} (${flags}) ${date}{${Buffer.byteLength(text)}+}\r\n${text}`,
  );
  expect(answer).toMatch(/^t\d+ OK/m);
  return /EMAILID \((\w+)\)/.exec(await within(mailbox, "FETCH * EMAILID"))![1]!;
}

/** Flags of each message of a mailbox, without \Recent, sorted. */
async function flagsIn(mailbox: "A" | "B"): Promise<string[]> {
  const answer = await within(mailbox, "FETCH 1:* FLAGS");
  return [...answer.matchAll(/FLAGS \(([^)]*)\)/g)].map(([, flags]) =>
    flags!
      .split(" ")
      .filter((flag) => flag !== "\\Recent")
      .sort()
      .join(" "),
  );
}

async function uidsIn(mailbox: "A" | "B"): Promise<string> {
  return /^\* SEARCH ?(.*)\r/m.exec(await within(mailbox, "UID SEARCH ALL"))![1]!;
}

async function show(id: string): Promise<Json> {
  const properties = ["mailboxIds", "keywords", "threadId", "receivedAt", "size", "blobId"];
  return (await jmap.call("Email/get", { ids: [id], properties })).list[0];
}

/** Keywords and mailboxes, in order; undefined where it is not shown. */
async function seen(id: string): Promise<{ readonly keywords: string; readonly mailboxes: string } | undefined> {
  const email = await show(id);
  if (!email) return undefined;
  const name = (mailbox: string): string => (mailbox === a ? "A" : mailbox === b ? "B" : mailbox);
  return {
    keywords: Object.keys(email.keywords).sort().join(" "),
    mailboxes: Object.keys(email.mailboxIds).map(name).sort().join(" "),
  };
}

/** [totalEmails, unreadEmails, totalThreads, unreadThreads], which are what queries find. */
async function counts(mailbox: string): Promise<readonly number[]> {
  const { list } = await jmap.call("Mailbox/get", { ids: [mailbox] });
  const [{ totalEmails, unreadEmails, totalThreads, unreadThreads }] = list;
  const total = async (filter: object, collapseThreads = false): Promise<number> =>
    (await jmap.call("Email/query", { filter, collapseThreads, calculateTotal: true })).total;
  expect(await total({ inMailbox: mailbox })).toBe(totalEmails);
  expect(await total({ inMailbox: mailbox }, true)).toBe(totalThreads);
  const unread = {
    operator: "AND",
    conditions: [{ inMailbox: mailbox }, { notKeyword: "$seen" }, { notKeyword: "$draft" }],
  };
  expect(await total(unread)).toBe(unreadEmails);
  return [totalEmails, unreadEmails, totalThreads, unreadThreads];
}

async function update(id: string, patch: object): Promise<void> {
  const { updated, notUpdated } = await jmap.call("Email/set", { update: { [id]: patch } });
  expect([updated, notUpdated]).toEqual([{ [id]: null }, null]);
}

async function state(type: "Email" | "Mailbox" | "Thread"): Promise<string> {
  return (await jmap.call(`${type}/get`, { ids: [] })).state;
}

async function changes(type: "Email" | "Mailbox" | "Thread", sinceState: string): Promise<Json> {
  const { created, updated, destroyed } = await jmap.call(`${type}/changes`, { sinceState });
  return { created, updated, destroyed };
}

const NOTHING = { created: [], updated: [], destroyed: [] };

describe("ids, dates and octets", () => {
  test("EMAILID, THREADID and MAILBOXID are JMAP's ids; INTERNALDATE, RFC822.SIZE and BODY[] its receivedAt, size and blob", async () => {
    const id = await append("A", "", "ids", '"17-Jul-2026 02:44:25 +0200" ');
    const email = await show(id);
    const answer = await within("A", "FETCH 1 (EMAILID THREADID RFC822.SIZE BODY.PEEK[])");
    expect(answer).toContain(`THREADID (${email.threadId})`);
    expect(answer).toContain(`RFC822.SIZE ${email.size}`);
    expect(email.receivedAt).toBe("2026-07-17T00:44:25Z");
    const octets = await (await jmap.download(email.blobId)).text();
    expect(answer).toContain(`BODY[] {${email.size}}\r\n${octets}`);
    expect(await imap.command(`STATUS A${count} (MAILBOXID)`)).toContain(`MAILBOXID (${a})`);
    expect(await imap.command(`SELECT B${count}`)).toContain(`[MAILBOXID (${b})]`);
    expect(await within("A", `SEARCH EMAILID ${id}`)).toMatch(/^\* SEARCH 1\r/m);
    expect(await within("A", `SEARCH THREADID ${email.threadId}`)).toMatch(/^\* SEARCH 1\r/m);
  });

  test("they stay when an email is copied and moved, by either, and a mailbox renamed", async () => {
    const id = await append("A");
    await within("A", `COPY 1 B${count}`);
    expect(await within("B", "FETCH 1 EMAILID")).toContain(`(${id})`);
    await within("B", `MOVE 1 "Archive"`);
    await update(id, { [`mailboxIds/${a}`]: null, [`mailboxIds/${b}`]: true });
    expect(await within("B", "FETCH 1 EMAILID")).toContain(`(${id})`);
    await imap.command(`RENAME B${count} "Renamed ${count}"`);
    expect(await imap.command(`STATUS "Renamed ${count}" (MAILBOXID)`)).toContain(`(${b})`);
    expect((await jmap.call("Mailbox/get", { ids: [b] })).list[0].name).toBe(`Renamed ${count}`);
  });
});

describe("keywords and flags", () => {
  test.each([
    ["$seen", "\\Seen"],
    ["$flagged", "\\Flagged"],
    ["$answered", "\\Answered"],
    ["$draft", "\\Draft"],
    ["$forwarded", "$Forwarded"],
    ["$junk", "$Junk"],
    ["$notjunk", "$NotJunk"],
    ["$phishing", "$Phishing"],
    ["$mdnsent", "$MDNSent"],
    ["project", "Project"],
  ])("%s is %s, whoever sets it and whoever takes it away", async (keyword, flag) => {
    const id = await append("A");
    await update(id, { [`keywords/${keyword}`]: true });
    const [flags] = await flagsIn("A");
    expect(flags!.toLowerCase()).toBe(flag.toLowerCase());
    await within("A", `STORE 1 -FLAGS (${flag})`);
    expect((await show(id)).keywords).toEqual({});
    await within("A", `STORE 1 +FLAGS (${flag})`);
    expect((await show(id)).keywords).toEqual({ [keyword]: true });
    await update(id, { keywords: {} });
    expect(await flagsIn("A")).toEqual([""]);
  });

  test("the truth table of an email in two mailboxes", async () => {
    const id = await append("A", "\\Seen");
    await within("A", `COPY 1 B${count}`);
    expect(await seen(id)).toEqual({ keywords: "$seen", mailboxes: "A B" });
    await within("B", "STORE 1 -FLAGS (\\Seen)", "STORE 1 +FLAGS (\\Flagged foo)");
    expect(await seen(id)).toEqual({ keywords: "$flagged foo", mailboxes: "A B" });
    expect([await counts(a), await counts(b)]).toEqual([
      [1, 1, 1, 1],
      [1, 1, 1, 1],
    ]);
    // JMAP's change is every copy's; what it says nothing of stays with each.
    await update(id, { "keywords/$seen": true, "keywords/bar": true });
    expect([await flagsIn("A"), await flagsIn("B")]).toEqual([["\\Seen bar"], ["\\Flagged \\Seen bar foo"]]);
    expect((await seen(id))!.keywords).toBe("$flagged $seen bar foo");
    await update(id, { "keywords/$flagged": null });
    expect([await flagsIn("A"), await flagsIn("B")]).toEqual([["\\Seen bar"], ["\\Seen bar foo"]]);
    // $draft is only where all copies are.
    await within("A", "STORE 1 +FLAGS (\\Draft)");
    expect((await seen(id))!.keywords).toBe("$seen bar foo");
    await within("B", "STORE 1 +FLAGS (\\Draft)");
    expect((await seen(id))!.keywords).toBe("$draft $seen bar foo");
  });

  test("a membership that JMAP makes has what JMAP shows, one that COPY makes what its source has", async () => {
    const id = await append("A", "\\Seen foo");
    await within("A", `COPY 1 "Archive"`, "STORE 1 +FLAGS (\\Flagged)");
    await update(id, { [`mailboxIds/${b}`]: true });
    expect(await flagsIn("B")).toEqual(["\\Flagged \\Seen foo"]);
    const before = await uidsIn("A");
    await update(id, { [`mailboxIds/${a}`]: null });
    expect(await uidsIn("A")).toBe("");
    await update(id, { [`mailboxIds/${a}`]: true });
    expect(Number(await uidsIn("A"))).toBeGreaterThan(Number(before));
    await within("A", `COPY 1 B${count}`);
    expect(await flagsIn("B")).toEqual(["\\Flagged \\Seen foo", "\\Flagged \\Seen foo"]);
  });
});

describe("what is \\Deleted", () => {
  test("is nowhere in JMAP, and comes back as it was", async () => {
    const id = await append("A", "foo");
    await within("A", `COPY 1 B${count}`);
    await within("B", "STORE 1 +FLAGS (\\Seen)");
    const { threadId } = await show(id);
    await within("A", "STORE 1 +FLAGS (\\Deleted)");
    expect(await seen(id)).toEqual({ keywords: "$seen foo", mailboxes: "B" });
    expect([await counts(a), await counts(b)]).toEqual([
      [0, 0, 0, 0],
      [1, 0, 1, 0],
    ]);
    const [since, threadSince] = [await state("Email"), await state("Thread")];
    await within("B", "STORE 1 +FLAGS (\\Deleted)");
    expect(await seen(id)).toBeUndefined();
    expect((await jmap.call("Thread/get", { ids: [threadId] })).notFound).toEqual([threadId]);
    expect(await changes("Email", since)).toEqual({ ...NOTHING, destroyed: [id] });
    expect(await changes("Thread", threadSince)).toEqual({ ...NOTHING, destroyed: [threadId] });
    const { notUpdated } = await jmap.call("Email/set", { update: { [id]: { "keywords/x": true } } });
    expect(notUpdated[id].type).toBe("notFound");
    const hidden = await state("Email");
    await within("A", "STORE 1 -FLAGS (\\Deleted)");
    expect(await changes("Email", hidden)).toEqual({ ...NOTHING, created: [id] });
    expect(await seen(id)).toEqual({ keywords: "foo", mailboxes: "A" });
    await within("B", "EXPUNGE");
    expect(await seen(id)).toEqual({ keywords: "foo", mailboxes: "A" });
  });

  test("EXPUNGE of the last one destroys; so does Email/set, all of them", async () => {
    const [first, second] = [await append("A", "", "first"), await append("A", "", "second")];
    await within("A", `COPY 1:2 B${count}`);
    const since = await state("Email");
    await within("A", "STORE 1 +FLAGS (\\Deleted)", "EXPUNGE");
    expect(await changes("Email", since)).toEqual({ ...NOTHING, updated: [first] });
    await within("B", "STORE 1 +FLAGS (\\Deleted)", "EXPUNGE");
    expect(await changes("Email", since)).toEqual({ ...NOTHING, destroyed: [first] });
    expect((await jmap.call("Email/set", { destroy: [second] })).destroyed).toEqual([second]);
    expect([await uidsIn("A"), await uidsIn("B")]).toEqual(["", ""]);
  });
});

describe("memberships", () => {
  test("MOVE and COPY are changes of mailboxIds; the email and its thread stay", async () => {
    const id = await append("A", "foo");
    const [since, threadSince] = [await state("Email"), await state("Thread")];
    await within("A", `MOVE 1 B${count}`);
    expect(await seen(id)).toEqual({ keywords: "foo", mailboxes: "B" });
    expect(await changes("Email", since)).toEqual({ ...NOTHING, updated: [id] });
    expect(await changes("Thread", threadSince)).toEqual(NOTHING);
    await within("B", `COPY 1 A${count}`);
    expect(await seen(id)).toEqual({ keywords: "foo", mailboxes: "A B" });
    await update(id, { mailboxIds: { [a]: true } });
    expect([await uidsIn("A"), await uidsIn("B")]).toEqual(["2", ""]);
  });

  test("an email that is twice in a mailbox counts once, and leaves it as a whole", async () => {
    const id = await append("A");
    await within("A", `COPY 1 A${count}`, "STORE 1 +FLAGS (\\Seen)");
    expect(await uidsIn("A")).toBe("1 2");
    expect(await seen(id)).toEqual({ keywords: "", mailboxes: "A" });
    expect(await counts(a)).toEqual([1, 1, 1, 1]);
    await update(id, { "keywords/$seen": true });
    expect(await flagsIn("A")).toEqual(["\\Seen", "\\Seen"]);
    await update(id, { [`mailboxIds/${a}`]: null, [`mailboxIds/${b}`]: true });
    expect([await uidsIn("A"), await uidsIn("B")]).toEqual(["", "1"]);
  });

  test("the same octets twice are two emails", async () => {
    const [one, other] = [await append("A"), await append("A")];
    expect(one).not.toBe(other);
    expect(await counts(a)).toMatchObject([2, 2, expect.any(Number), expect.any(Number)]);
  });

  test("a draft that IMAP replaces is another email; one that JMAP writes is IMAP's", async () => {
    const id = await append("A", "\\Draft \\Seen", "first draft");
    expect((await seen(id))!.keywords).toBe("$draft $seen");
    const since = await state("Email");
    const text = "Subject: second draft\r\n\r\nx\r\n";
    await within("A", `REPLACE 1 A${count} (\\Draft \\Seen) {${text.length}+}\r\n${text}`);
    const { created, destroyed } = await changes("Email", since);
    expect([created.length, destroyed]).toEqual([1, [id]]);
    const draft = { mailboxIds: { [b]: true }, keywords: { $draft: true }, subject: "third" };
    const made = (await jmap.call("Email/set", { create: { d: draft } })).created.d;
    const answer = await within("B", "FETCH 1 (FLAGS EMAILID RFC822.SIZE ENVELOPE)");
    expect(answer).toContain("\\Draft");
    expect(answer).toContain(`EMAILID (${made.id})`);
    expect(answer).toContain(`RFC822.SIZE ${made.size}`);
    expect(answer).toContain('"third"');
  });
});

describe("mailboxes", () => {
  test("are the same tree, subscribed or not, in both", async () => {
    await imap.command(`CREATE A${count}/inner/deep`);
    await imap.command(`UNSUBSCRIBE A${count}`);
    const { list } = await jmap.call("Mailbox/get", { properties: ["name", "parentId", "isSubscribed"] });
    const inner = list.find((one: Json) => one.parentId === a);
    expect(inner.name).toBe("inner");
    expect(list.find((one: Json) => one.parentId === inner.id).name).toBe("deep");
    expect(list.find((one: Json) => one.id === a).isSubscribed).toBe(false);
    await jmap.call("Mailbox/set", {
      update: { [a]: { isSubscribed: true }, [inner.id]: { parentId: b, name: "größer" } },
    });
    expect(await imap.command('LIST (SUBSCRIBED) "" "*"')).toMatch(new RegExp(`"/" "?A${count}"?\r`));
    // RFC 3501 §5.1.3.
    expect(await imap.command(`LIST "" B${count}/*`)).toContain(`B${count}/gr&APYA3w-er/deep`);
  });

  test("what IMAP makes, renames and deletes is told by changes; what JMAP destroys is gone", async () => {
    const since = await state("Mailbox");
    await imap.command(`CREATE "New ${count}"`);
    const { created } = await changes("Mailbox", since);
    expect(created).toHaveLength(1);
    const made = await state("Mailbox");
    await imap.command(`RENAME "New ${count}" "Newer ${count}"`);
    expect(await changes("Mailbox", made)).toEqual({ ...NOTHING, updated: created });
    await imap.command(`DELETE "Newer ${count}"`);
    expect(await changes("Mailbox", made)).toEqual({ ...NOTHING, destroyed: created });
    const { destroyed } = await jmap.call("Mailbox/set", { destroy: [b] });
    expect(destroyed).toEqual([b]);
    expect(await imap.command(`SELECT B${count}`)).toMatch(/^t\d+ NO \[NONEXISTENT\]/m);
  });

  test("roles are special uses", async () => {
    const { list } = await jmap.call("Mailbox/get", { properties: ["name", "role"] });
    const junk = list.find((one: Json) => one.role === "junk");
    await jmap.call("Mailbox/set", { update: { [junk.id]: { role: null }, [a]: { role: "junk" } } });
    const used = await imap.command('LIST (SPECIAL-USE) "" "*"');
    expect(used).toMatch(new RegExp(`\\(.*\\\\Junk.*\\) "/" "?A${count}"?\r`));
    expect(used.match(/\\Junk/g)).toHaveLength(1);
    await jmap.call("Mailbox/set", { update: { [a]: { role: null } } });
    await imap.command(`CREATE "Spam ${count}" (USE (\\Junk))`);
    const now = (await jmap.call("Mailbox/get", { properties: ["name", "role"] })).list;
    expect(now.find((one: Json) => one.role === "junk").name).toBe(`Spam ${count}`);
    await jmap.call("Mailbox/set", {
      update: { [now.find((one: Json) => one.role === "junk").id]: { role: null }, [junk.id]: { role: "junk" } },
    });
  });

  test("counts change by both, and only counts are told", async () => {
    const id = await append("A");
    const since = await state("Mailbox");
    await within("A", "STORE 1 +FLAGS (\\Seen)");
    const told = await jmap.call("Mailbox/changes", { sinceState: since });
    expect([told.updated, told.updatedProperties]).toEqual([
      [a],
      ["totalEmails", "unreadEmails", "totalThreads", "unreadThreads"],
    ]);
    expect(await counts(a)).toEqual([1, 0, 1, 0]);
    await update(id, { "keywords/$seen": null });
    expect(await imap.command(`STATUS A${count} (MESSAGES UNSEEN)`)).toContain("MESSAGES 1 UNSEEN 1");
  });
});

describe("what one does is told to the other", () => {
  test("IDLE hears of what JMAP makes, marks, moves and destroys", async () => {
    const id = await append("A");
    const idler = await connectImap(server.ports.imap!, DEMO.user, DEMO.password);
    await idler.command(`SELECT A${count}`);
    const hears = async (what: RegExp, by: () => Promise<unknown>): Promise<void> => {
      const told = idler.idle(by().then(() => new Promise((resolve) => setTimeout(resolve, 300))));
      expect(await told).toMatch(what);
    };
    await hears(/^\* 1 FETCH \(.*\\Flagged/m, () => update(id, { "keywords/$flagged": true }));
    const draft = { mailboxIds: { [a]: true }, subject: "new" };
    await hears(/^\* 2 EXISTS/m, () => jmap.call("Email/set", { create: { d: draft } }));
    await hears(/^\* 1 EXPUNGE/m, () => update(id, { mailboxIds: { [b]: true } }));
    const { ids } = await jmap.call("Email/query", { filter: { inMailbox: a } });
    await hears(/^\* 1 EXPUNGE/m, () => jmap.call("Email/set", { destroy: ids }));
    idler.end();
  });

  test("an event stream hears of what IMAP appends, marks, moves and expunges, each with what changes give", async () => {
    const events = await jmap.events("types=Email,Mailbox&closeafter=no&ping=0");
    const hears = async (by: () => Promise<unknown>): Promise<Json> => {
      const since = await state("Email");
      const before = events.seen.length;
      await by();
      await events.until((event) => events.seen.indexOf(event) >= before && event.data.changed[jmap.accountId].Email);
      return changes("Email", since);
    };
    let id = "";
    const made = await hears(async () => {
      id = await append("A");
    });
    expect(made).toEqual({ ...NOTHING, created: [id] });
    for (const command of ["STORE 1 +FLAGS (\\Answered)", `MOVE 1 B${count}`])
      expect(await hears(() => within("A", command))).toEqual({ ...NOTHING, updated: [id] });
    expect(await hears(() => within("B", "STORE 1 +FLAGS (\\Deleted)"))).toEqual({ ...NOTHING, destroyed: [id] });
    events.end();
  });

  test("two who change different keywords at once both have their way", async () => {
    const id = await append("A");
    await imap.command(`SELECT A${count}`);
    const words = Array.from({ length: 20 }, (_, at) => `word${at}`);
    await Promise.all([
      (async () => {
        for (const word of words) await update(id, { [`keywords/j${word}`]: true });
      })(),
      (async () => {
        for (const word of words) await imap.command(`STORE 1 +FLAGS.SILENT (i${word})`);
      })(),
    ]);
    expect(Object.keys((await show(id)).keywords)).toHaveLength(40);
  });
});
