import { HeaderBlock } from "@restante/mime";
import { expect, test, vi } from "vitest";
import { ready, utf8 } from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import { type ThreadFacts, threadFacts } from "../mail/contents/thread-facts.ts";
import type { Message } from "../mail/mailbox-view.ts";
import { openView } from "../mail/mailbox-view.ts";
import { asUid, type EmailRow, FIRST_ROW } from "../mail/numbers.ts";
import { MailState } from "../mail/state/state.ts";
import { SharedCache } from "../shared-cache.ts";
import { MemoryPlace } from "../storage/memory.ts";
import { clock, makeAccount, open, stream } from "../testing/account-kit.ts";
import type { Condition } from "./condition.ts";
import { CurrentLists } from "./current-lists.ts";
import { search } from "./filter.ts";
import { eachHeader, KeptHeaders } from "./kept-headers.ts";
import { queryEmails } from "./query-emails.ts";
import { Scans } from "./scans.ts";
import { type SortKey, sortFound } from "./sort.ts";
import { threadFound } from "./threading/thread.ts";
import { ThreadIds } from "./threading/thread-ids.ts";

await ready;
const pace = { isOver: () => true, take: async () => undefined };
const all: Condition = { kind: "all" };
const never = (): Promise<void> => new Promise(() => undefined);

/** An account with some mails, which counts how many headers are read. */
async function scene(delay: () => Promise<void> = never) {
  clock.now = 1_800_000_000_000;
  const place = new MemoryPlace();
  const { ring } = await makeAccount(place);
  const account = await open(place, ring());
  const add = async (n: number): Promise<void> => {
    const text = `Subject: Re: ${"abc"[n % 3]}${n}\r\nFrom: =?utf-8?q?N=C3=A4me?= ${n % 5} <u${9 - (n % 10)}@x>\r\nMessage-ID: <${n}@x>\r\nReferences: <${n - 3}@x>\r\n\r\n`;
    await account.append(
      account.mail.getMailbox("INBOX").id,
      await account.prepare(stream(text), { mailbox: "INBOX", flags: [] }),
    );
  };
  for (let n = 0; n < 40; n++) await add(n);
  const counts = { headers: 0 };
  const { contents } = account;
  const kept = new KeptHeaders(() => account.mail.state, delay);
  const tools = {
    contents: {
      readHeaders(messages: readonly Message[]) {
        counts.headers += messages.length;
        return contents.readHeaders(messages);
      },
      readHeadersOf(state: MailState, emails: readonly EmailRow[]) {
        counts.headers += emails.length;
        return contents.readHeadersOf(state, emails);
      },
      readTexts: contents.readTexts.bind(contents),
      readIds: contents.readIds.bind(contents),
      losePage: contents.losePage.bind(contents),
      threadFacts: contents.threadFacts.bind(contents),
      readSummaries: contents.readSummaries.bind(contents),
      readFullSummaries: contents.readFullSummaries.bind(contents),
      openBody: contents.openBody.bind(contents),
    },
    scans: new Scans(),
    pace,
    kept,
  };
  const view = () => openView(account.mail, account.mail.getMailbox("INBOX").id, { readOnly: false });
  const sort = async (...by: SortKey["by"][]) => [
    ...(await sortFound(
      view(),
      all,
      by.map((one) => ({ by: one })),
      tools,
    )),
  ];
  const thread = async () => [...(await threadFound(view(), "references", all, tools)).places];
  return { account, add, counts, kept, tools, view, sort, thread };
}

test("a second SORT reads nothing, nor does one of emails; a mail that came is read, and some that it is compared with", async () => {
  const { account, add, counts, sort, tools } = await scene();
  const first = await sort("subject");
  expect(counts.headers).toBe(40);
  expect(await sort("subject")).toEqual(first);
  const lists = new CurrentLists(() => account.mail.state);
  await queryEmails({ condition: all, sort: [{ by: "subject" }] }, lists, tools);
  expect(counts.headers).toBe(40);
  // In the order of the base subject: a0 a12 … a9 b1 ….
  const subject = (n: number): string => `${"abc"[n % 3]}${n}`;
  expect(first).toEqual([...first].sort((a, b) => (subject(a) < subject(b) ? -1 : 1)));
  await add(40);
  const second = await sort("subject");
  expect(counts.headers).toBeLessThanOrEqual(41 + 6);
  expect(second.filter((at) => at !== 40)).toEqual(first);
  expect(second).toEqual([...second].sort((a, b) => (subject(a) < subject(b) ? -1 : 1)));
  // Another order is another text of each; where texts are equal the order of the list stays.
  counts.headers = 0;
  const byName = await sort("from-name", "size");
  expect(counts.headers).toBe(41);
  expect(await sort("from-name")).toEqual([...byName].sort((a, b) => (a % 5) - (b % 5) || a - b));
  expect(counts.headers).toBe(41);
  await account.dispose();
});

test("a second SEARCH of subjects or addresses reads nothing, whoever asks; of a mail that came its header", async () => {
  const { account, add, counts, tools, view } = await scene();
  const find = (condition: Condition) => search(view(), condition, tools);
  const a3: Condition = { kind: "subject", text: "A3" };
  expect([await find(a3), counts.headers]).toEqual([[3, 30, 33, 36, 39], 40]);
  expect(await find(a3)).toEqual([3, 30, 33, 36, 39]);
  expect(await find({ kind: "not", of: { kind: "header", field: "subject", text: "re: " } })).toEqual([]);
  const lists = new CurrentLists(() => account.mail.state);
  expect((await queryEmails({ condition: a3 }, lists, tools)).total).toBe(5);
  expect(counts.headers).toBe(40);
  await add(42);
  expect([await find({ kind: "subject", text: "a42" }), counts.headers]).toEqual([[40], 41]);
  // Other conditions are read from headers where they are needed.
  const both: Condition = { kind: "and", of: [a3, { kind: "header", field: "message-id", text: "36@x" }] };
  expect([await find(both), counts.headers]).toEqual([[36], 46]);
  expect([(await find({ kind: "from", text: "u9@x" })).length, counts.headers]).toEqual([4, 87]);
  expect([(await find({ kind: "from", text: "NÄME 1 <u8@" })).length, counts.headers]).toEqual([4, 87]);
  await account.dispose();
});

test("a search that leaves few messages to their headers looks through no texts", async () => {
  const { account, add, tools, view, counts } = await scene();
  for (let n = 40; n < 150; n++) await add(n);
  const texts = tools.kept.listTexts();
  const find = vi.spyOn(texts, "find");
  const few = (last: number): Condition => ({
    kind: "and",
    of: [
      { kind: "uids", ranges: [{ first: asUid(1), last: asUid(last) }] },
      { kind: "subject", text: "a" },
    ],
  });
  expect(await search(view(), few(1), tools)).toEqual([0]);
  expect([find.mock.calls.length, counts.headers]).toEqual([0, 1]);
  expect(await search(view(), { kind: "header", field: "message-id", text: "7@x" }, tools)).toHaveLength(15);
  expect(find.mock.calls.length).toBe(0);
  expect(await search(view(), few(2), tools)).toEqual([0]);
  expect(find.mock.calls.length).toBe(1);
  expect(await search(view(), { kind: "subject", text: "a" }, tools)).toHaveLength(50);
  expect(find.mock.calls.length).toBe(2);
  await account.dispose();
});

test("texts are looked through once a search, as soon as its parts together leave enough to headers", async () => {
  const { account, add, tools, view } = await scene();
  for (let n = 40; n < 330; n++) await add(n);
  // A search that holds the scan when it comes to the pages goes on.
  await account.upkeep.checkpoint();
  expect(account.mail.state.pages.texts).toHaveLength(1);
  const find = vi.spyOn(tools.kept.listTexts(), "find");
  const uids = (first: number, last: number): Condition => ({
    kind: "uids",
    ranges: [{ first: asUid(first), last: asUid(last) }],
  });
  const some: Condition = { kind: "or", of: [uids(1, 2), uids(300, 302)] };
  const both: Condition = {
    kind: "and",
    of: [some, { kind: "header", field: "message-id", text: "@x" }, { kind: "cc", text: "" }],
  };
  expect(await search(view(), both, tools)).toEqual([]);
  expect(find.mock.calls.length).toBe(1);
  expect(await search(view(), { kind: "cc", text: "" }, tools)).toEqual([]);
  expect(find.mock.calls.length).toBe(2);
  await account.dispose();
});

test("what a search learned outlasts the headers that it reads", async () => {
  const { account, counts, kept, tools, view } = await scene();
  const texts = kept.listTexts();
  await search(view(), { kind: "subject", text: "x" }, tools);
  // Pages of others come meanwhile, a little each time.
  const others = new SharedCache<number, number>();
  for (let n = 0; n < 200; n++) {
    others.keep(n, { value: n, bytes: 2 ** 20 });
    if (n % 10 === 0) texts.settle();
  }
  await search(view(), { kind: "subject", text: "x" }, tools);
  expect(counts.headers).toBe(40);
  for (let n = 0; n < 200; n++) others.keep(n, { value: n, bytes: 2 ** 20 });
  await search(view(), { kind: "subject", text: "x" }, tools);
  expect(counts.headers).toBe(80);
  others.dispose();
  await account.dispose();
});

test("texts that a checkpoint holds are searched without a header, those that came since by theirs", async () => {
  const { account, add, counts, kept, tools, view } = await scene();
  await account.upkeep.checkpoint();
  const find = (condition: Condition) => search(view(), condition, tools);
  expect(await find({ kind: "subject", text: "A3" })).toEqual([3, 30, 33, 36, 39]);
  expect(
    await find({
      kind: "and",
      of: [
        { kind: "from", text: "näme 2" },
        { kind: "not", of: { kind: "cc", text: "" } },
      ],
    }),
  ).toHaveLength(8);
  expect(counts.headers).toBe(0);
  await add(42);
  expect([await find({ kind: "subject", text: "a42" }), counts.headers]).toEqual([[40], 1]);
  expect([await find({ kind: "subject", text: "a42" }), counts.headers]).toEqual([[40], 1]);
  // A page that is lost or damaged is done without.
  kept.dispose();
  const contents = { ...tools.contents, readTexts: () => Promise.reject(new EngineError("corrupt", "damaged")) };
  const fresh = new KeptHeaders(() => account.mail.state, never);
  expect(await search(view(), { kind: "subject", text: "A3" }, { ...tools, contents, kept: fresh })).toHaveLength(5);
  expect(counts.headers).toBe(42);
  expect(account.mail.state.pages.texts).toEqual([""]);
  await account.upkeep.checkpoint();
  const away = { ...contents, readTexts: () => Promise.reject(new EngineError("unavailable", "away")) };
  const other = {
    ...tools,
    contents: away,
    kept: new KeptHeaders(() => account.mail.state, never),
  };
  await expect(search(view(), { kind: "subject", text: "A3" }, other)).rejects.toMatchObject({ code: "unavailable" });
  // To open them is a scan, one at a time, also where they tell all.
  const end = await tools.scans.begin();
  const covered: Condition = { kind: "uids", ranges: [{ first: asUid(1), last: asUid(40) }] };
  const told: Condition = { kind: "and", of: [covered, { kind: "subject", text: "A3" }] };
  const waiting = search(view(), told, { ...other, contents: tools.contents });
  const raced = await Promise.race([waiting, new Promise((resolve) => setTimeout(resolve, 20, "waits"))]);
  expect(raced).toBe("waits");
  end();
  expect(await waiting).toHaveLength(5);
  await account.dispose();
});

test("a SORT by what a checkpoint holds reads no header, and one of those that came since", async () => {
  const { account, add, counts, sort } = await scene();
  await account.upkeep.checkpoint();
  for (const by of ["subject", "from", "to", "cc", "from-name", "to-name"] as const) {
    await sort(by);
    expect([by, counts.headers]).toEqual([by, 0]);
  }
  await add(40);
  await sort("subject");
  expect(counts.headers).toBe(1);
  // Many that are new are sorted anew with all: the others' texts come from the pages again.
  for (let n = 41; n < 60; n++) await add(n);
  counts.headers = 0;
  await sort("subject");
  expect(counts.headers).toBe(20);
  await account.dispose();
});

test("a SORT of few among many opens no page of texts", async () => {
  const { account, add, counts, tools, view } = await scene();
  for (let n = 40; n < 250; n++) await add(n);
  await account.upkeep.checkpoint();
  const few: Condition = { kind: "uids", ranges: [{ first: asUid(3), last: asUid(4) }] };
  expect([...(await sortFound(view(), few, [{ by: "subject" }], tools))]).toEqual([3, 2]);
  expect(counts.headers).toBe(2);
  await account.dispose();
});

test("a SORT that reads again what it knew ends when it is told to", async () => {
  const { account, add, sort, tools, view } = await scene();
  await sort("subject");
  for (let n = 40; n < 80; n++) await add(n);
  const ended = new AbortController();
  const { readHeaders, readHeadersOf } = tools.contents;
  let again = 0;
  tools.contents.readHeaders = async (messages) => {
    ended.abort(new Error("gone"));
    return readHeaders(messages);
  };
  tools.contents.readHeadersOf = async (state, emails) => {
    again += emails.length;
    return readHeadersOf(state, emails);
  };
  const sorting = sortFound(view(), all, [{ by: "subject" }], { ...tools, signal: ended.signal });
  await expect(sorting).rejects.toThrow("gone");
  expect(again).toBe(0);
  await account.dispose();
});

test("a SORT goes by headers where a page of texts is damaged", async () => {
  const { account, counts, sort, tools } = await scene();
  const first = await sort("subject", "from-name");
  await account.upkeep.checkpoint();
  counts.headers = 0;
  const { readTexts } = tools.contents;
  tools.kept = new KeptHeaders(() => account.mail.state, never);
  tools.contents.readTexts = async () => {
    throw new EngineError("corrupt", "flipped");
  };
  expect(await sort("subject", "from-name")).toEqual(first);
  expect(counts.headers).toBe(80);
  tools.kept = new KeptHeaders(() => account.mail.state, never);
  tools.contents.readTexts = readTexts;
  // It is as lost now; the next checkpoint makes it anew.
  expect(account.mail.state.pages.texts).toEqual([""]);
  await account.upkeep.checkpoint();
  counts.headers = 0;
  expect(await sort("subject", "from-name")).toEqual(first);
  expect(counts.headers).toBe(0);
  await account.dispose();
});

test("a second THREAD reads nothing, and a mail that came alone is read", async () => {
  const { account, add, counts, thread } = await scene();
  const first = await thread();
  expect(first.slice(0, 14)).toEqual([0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36, 39]);
  expect([counts.headers, await thread()]).toEqual([40, first]);
  await add(40);
  expect((await thread()).slice(14, 28)).toEqual([1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31, 34, 37, 40]);
  expect(counts.headers).toBe(41);
  await account.dispose();
});

test("a THREAD by what a checkpoint holds reads no header, and one of a mail that came since", async () => {
  const { account, add, counts, tools, thread, view } = await scene();
  const first = await thread();
  await account.upkeep.checkpoint();
  tools.kept = new KeptHeaders(() => account.mail.state, never);
  counts.headers = 0;
  expect([await thread(), counts.headers]).toEqual([first, 0]);
  await add(40);
  const second = await thread();
  expect(second.slice(14, 28)).toEqual([1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31, 34, 37, 40]);
  expect([await thread(), counts.headers]).toEqual([second, 1]);
  // Of a page that is damaged headers are read; the next checkpoint makes it anew.
  tools.kept = new KeptHeaders(() => account.mail.state, never);
  const { readIds } = tools.contents;
  tools.contents.readIds = () => Promise.reject(new EngineError("corrupt", "flipped"));
  expect([await thread(), counts.headers]).toEqual([second, 42]);
  expect(account.mail.state.pages.ids).toEqual([""]);
  // Nor is it asked for until then.
  tools.kept = new KeptHeaders(() => account.mail.state, never);
  tools.contents.readIds = () => Promise.reject(new EngineError("unavailable", "away"));
  expect([await thread(), counts.headers]).toEqual([second, 83]);
  await account.upkeep.checkpoint();
  // One that was read just before is not the page that is there by now.
  account.contents.losePage("ids", 0, "page/before");
  expect(account.mail.state.pages.ids).not.toEqual([""]);
  tools.kept = new KeptHeaders(() => account.mail.state, never);
  await expect(thread()).rejects.toMatchObject({ code: "unavailable" });
  tools.contents.readIds = readIds;
  expect([await thread(), counts.headers]).toEqual([second, 83]);
  // A header is read once, however often its mail stands in the mailbox.
  await add(41);
  await view().copy([41], account.mail.getMailbox("INBOX").id);
  await thread();
  expect(counts.headers).toBe(84);
  await account.dispose();
});

test("a THREAD of few among many reads their headers and no page of ids", async () => {
  const { account, add, counts, tools, view } = await scene();
  for (let n = 40; n < 150; n++) await add(n);
  await account.upkeep.checkpoint();
  tools.contents.readIds = vi.fn(tools.contents.readIds);
  const few = (last: number): Condition => ({ kind: "uids", ranges: [{ first: asUid(103), last: asUid(last) }] });
  await threadFound(view(), "refs", few(103), tools);
  expect([counts.headers, vi.mocked(tools.contents.readIds).mock.calls.length]).toEqual([1, 0]);
  let turns = 0;
  tools.pace.take = async () => void turns++;
  const asked = () => threadFound(view(), "refs", few(106), tools);
  expect([...(await asked()).places]).toEqual([103, 104, 102, 105]);
  expect([counts.headers, vi.mocked(tools.contents.readIds).mock.calls.length]).toEqual([1, 1]);
  // Others had a turn while a page was looked through.
  const before = turns;
  await asked();
  expect(before).toBe(turns - before + 1);
  await account.dispose();
});

test("a THREAD that reads pages ends when it is told to", async () => {
  const { account, tools, view } = await scene();
  await account.upkeep.checkpoint();
  const ended = new AbortController();
  const { readIds } = tools.contents;
  tools.contents.readIds = (name) => {
    ended.abort(new Error("gone"));
    return readIds(name);
  };
  const asked = threadFound(view(), "refs", all, { ...tools, signal: ended.signal });
  await expect(asked).rejects.toThrow("gone");
  expect(tools.kept.threadIds(Array.from({ length: 40 }, (_, at) => view().message(at))).ids.texts).toBe(0);
  await account.dispose();
});

test("of two at once the second reads nothing", async () => {
  const { account, counts, sort, thread } = await scene();
  const [one, other] = await Promise.all([sort("to"), sort("to"), thread(), thread()]);
  expect(one).toEqual(other);
  expect(counts.headers).toBe(80);
  await account.dispose();
});

test("what was read is let go after a quiet minute, and not before", async () => {
  const waits: { readonly ms: number; readonly end: () => void }[] = [];
  const { account, counts, sort, kept } = await scene((ms = 0) => new Promise((end) => waits.push({ ms, end })));
  await sort("subject");
  expect(waits.map(({ ms }) => ms)).toEqual([60_000]);
  await sort("subject");
  const pass = async () => {
    waits.shift()!.end();
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  };
  // It was used within the minute.
  await pass();
  await sort("subject");
  expect([counts.headers, waits.length]).toEqual([40, 1]);
  await pass();
  await pass();
  expect(waits).toEqual([]);
  await sort("subject");
  expect([counts.headers, waits.length]).toEqual([80, 1]);
  kept.dispose();
  await pass();
  expect(waits).toEqual([]);
  await account.dispose();
});

test("of messages that are not of the present state nothing is kept", () => {
  let present = new MailState();
  const kept = new KeptHeaders(() => present, never);
  const of = (state: MailState): Message => ({ position: 0, row: FIRST_ROW, state });
  const state = Object.assign(present, { emailOf: (row: number) => row + 10 });
  const order = kept.textOrder([of(state)], "subject");
  expect([...order.keys]).toEqual([10]);
  expect(kept.textOrder([of(state)], "subject").order).toBe(order.order);
  expect(kept.textOrder([of(state)], "from").order).not.toBe(order.order);
  const ids = kept.threadIds([of(state)]);
  expect(kept.threadIds([of(state)]).ids).toBe(ids.ids);
  const older = kept.textOrder([of(state), of(new MailState())], "subject");
  expect([...older.keys]).toEqual([0, 1]);
  expect(older.order).not.toBe(order.order);
  expect([order.texts === undefined, older.texts]).toEqual([false, undefined]);
  expect([...kept.threadIds([of(new MailState())]).keys]).toEqual([0]);
  expect(kept.textOrder([of(state)], "subject").order).toBe(order.order);
  present = Object.assign(new MailState(), { emailOf: (row: number) => row });
  expect(kept.textOrder([of(present)], "subject").order).not.toBe(order.order);
});

test("headers are read until that is ended", async () => {
  const ended = new AbortController();
  const blank = new HeaderBlock(new Uint8Array(0));
  let read = 0;
  const readHeaders = async (messages: readonly Message[]) => {
    read += messages.length;
    ended.abort(new Error("gone"));
    return messages.map(() => blank);
  };
  const { tools, account } = await scene();
  const contents = { ...tools.contents, readHeaders };
  const messages = Array.from({ length: 1000 }, () => ({}) as Message);
  // Others have their turn before each: a header may be large.
  let turns = 0;
  const taking = {
    isOver: () => true,
    take: async () => {
      turns++;
    },
  };
  const few = { ...tools, pace: taking, contents: { readHeaders: async () => [blank, blank, blank] } };
  await eachHeader(messages.slice(0, 3), { ...few, contents: { ...contents, ...few.contents } }, () => undefined);
  expect(turns).toBe(3);
  const reading = eachHeader(messages, { ...tools, contents, signal: ended.signal }, () => undefined);
  await expect(reading).rejects.toThrow("gone");
  expect(read).toBe(256);
  await account.dispose();
});

test("of very many references the nearest are known", () => {
  const ids = new ThreadIds();
  const header = (own: number, references: readonly number[]): ThreadFacts => {
    const listed = references.map((id) => `<${id}@x>`).join(" ");
    const block = utf8(`Message-ID: <${own}@x>\r\nReferences: ${listed}\r\n\r\n`);
    return threadFacts(new HeaderBlock(block), new Uint8Array(32));
  };
  ids.add(
    0,
    header(
      1,
      Array.from({ length: 900 }, (_, n) => n + 1000),
    ),
  );
  ids.add(1, header(1899, [1]));
  expect(ids.referencesOf(0)).toHaveLength(100);
  expect(ids.referencesOf(0).at(-1)).toBe(ids.ownOf(1));
  expect([...ids.referencesOf(1)]).toEqual([ids.ownOf(0)]);
  // Of very many messages with references the nearest of each.
  const few = new ThreadIds(25);
  const counts = Array.from({ length: 6 }, (_, message) => {
    few.add(message, header(message, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]));
    return few.referencesOf(message).length;
  });
  expect(counts).toEqual([10, 10, 10, 1, 1, 1]);
  expect([...few.referencesOf(5)]).toEqual([few.referencesOf(0).at(-1)]);
});
