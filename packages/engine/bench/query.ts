/** Queries over one account in memory: `node bench/query.ts [messages]`. Processor time, the middle of some runs. */

import { openView } from "../src/mail/mailbox-view.ts";
import { search } from "../src/query/filter.ts";
import { KeptHeaders } from "../src/query/kept-headers.ts";
import { queryChanges } from "../src/query/live.ts";
import { type EmailQuery, queryEmails } from "../src/query/query-emails.ts";
import { sortFound } from "../src/query/sort.ts";
import { readSnippets } from "../src/query/text.ts";
import { threadFound } from "../src/query/threading/thread.ts";
import { MemoryPlace } from "../src/storage/memory.ts";
import { clock, makeAccount, open, stream } from "../src/testing/account-kit.ts";

const messages = Number(process.argv[2] ?? 20_000);
const AT_ONCE = 50;
const place = new MemoryPlace();
const { ring } = await makeAccount(place);
const account = await open(place, ring());
const pace = { isOver: () => false, take: () => Promise.resolve() };

for (let from = 0; from < messages; from += AT_ONCE) {
  const prepared = await Promise.all(
    Array.from({ length: Math.min(AT_ONCE, messages - from) }, (_, at) => {
      const n = from + at;
      const thread = n % Math.ceil(messages / 4);
      const reply = n === thread ? "" : `References: <${thread}@x>\r\n`;
      const text = `From: Person ${n % 500} <p${n % 500}@example.org>\r\nTo: Me <me@example.org>\r\nSubject: ${reply === "" ? "" : "Re: "}subject number ${thread}\r\nMessage-ID: <${n}@x>\r\n${reply}Date: Sat, 10 Jan 2026 12:00:00 +0000\r\n\r\n${"words of a mail\r\n".repeat(20)}`;
      const received = { timeMs: 1_700_000_000_000 + n * 60_000, zoneMinutes: 0 };
      const flags = n % 3 === 0 ? ["\\Seen"] : n % 50 === 0 ? ["\\Flagged", "work"] : [];
      return account.prepare(stream(text), { mailbox: "INBOX", flags, received });
    }),
  );
  await account.appendMany(account.mail.getMailbox("INBOX").id, prepared);
}
console.log(`${messages} messages`);
clock.now += 1000;

async function measure(name: string, run: () => Promise<unknown>, times = 9): Promise<void> {
  const spend = async (): Promise<number> => {
    const before = process.threadCpuUsage();
    await run();
    const { user, system } = process.threadCpuUsage(before);
    return (user + system) / 1000;
  };
  const first = await spend();
  const spent: number[] = [];
  for (let time = 0; time < times; time++) spent.push(await spend());
  spent.sort((a, b) => a - b);
  console.log(name.padEnd(34), `first ${first.toFixed(1)}`.padEnd(14), `then ${spent[times >> 1]!.toFixed(3)} ms`);
}

const { contents, scans, lists, mail } = account;
// Nothing is let go meanwhile.
const kept = new KeptHeaders(
  () => mail.state,
  () => new Promise(() => undefined),
);
const tools = { contents, kept, scans, pace };
const inbox = mail.getMailbox("INBOX");
const inInbox = { kind: "mailbox", mailbox: inbox.id } as const;
const view = () => openView(mail, mail.getMailbox("INBOX").id, { readOnly: false });
const page = (query: Omit<EmailQuery, "condition"> & Partial<EmailQuery>) => () =>
  queryEmails({ condition: inInbox, page: { limit: 50 }, ...query }, lists, tools);

await measure("search by flag", () => search(view(), { kind: "keyword", keyword: "\\Flagged" }, tools));
await measure("search by keyword", () => search(view(), { kind: "keyword", keyword: "work" }, tools));
const days = (from: number, count: number) =>
  ({ kind: "date", of: "received", isLocal: true, from, before: from + count * 86_400_000 }) as const;
await measure("search by date", () => search(view(), days(1_700_000_000_000 + messages * 20_000, 10), tools));
await measure("search SUBJECT", () => search(view(), { kind: "subject", text: "number 77" }, tools), 3);
await measure("search FROM", () => search(view(), { kind: "from", text: "p77@" }, tools), 3);
await measure("page of 50", page({}));
await measure("collapsed", page({ collapseThreads: true }));
await measure("collapsed at 4000", page({ collapseThreads: true, page: { position: 4000, limit: 50 } }));
await measure("all ids", page({ page: {} }), 5);
await measure("counts", async () => (await lists.mailboxes(pace)).countsOf(inbox.ordinal));
await measure("hasKeyword", page({ condition: { kind: "and", of: [inInbox, { kind: "keyword", keyword: "work" }] } }));
await measure("sort subject", page({ sort: [{ by: "subject" }] }), 3);
await measure("sort from, received", page({ sort: [{ by: "from-name" }, { by: "received" }] }), 3);
await measure("SORT (SUBJECT)", () => sortFound(view(), { kind: "all" }, [{ by: "subject" }], tools), 3);
for (const algorithm of ["references", "refs", "ordered-subject"] as const)
  await measure(`THREAD ${algorithm}`, () => threadFound(view(), algorithm, { kind: "all" }, tools), 3);
await measure(
  "sort by thread keyword",
  page({
    sort: [
      { by: { threadKeyword: "\\Flagged", of: "some" }, descending: true },
      { by: "received", descending: true },
    ],
    collapseThreads: true,
  }),
  5,
);
const fifty = Array.from({ length: 50 }, (_, at) => view().message(at));
const snippets = (text: string) => () => readSnippets(fifty, { kind: "text", text }, tools);
await measure("50 snippets", snippets("words"));
await measure("50 snippets of nothing", snippets("nowhere"));
// Changes as a client asks for them after one flag changed.
const since = { modSeq: mail.state.changed.email };
await view().setFlags([messages >> 1], { mode: "add", flags: ["\\Answered"] });
const changes = (query: Omit<EmailQuery, "condition"> & Partial<EmailQuery>) => () =>
  queryChanges({ condition: inInbox, ...query }, since, lists, tools);
await measure("changes", changes({}));
await measure("changes, collapsed", changes({ collapseThreads: true }));
await measure("changes of hasKeyword", changes({ condition: { kind: "keyword", keyword: "work" } }));
await account.upkeep.checkpoint();
await account.upkeep.checkpoint();
await account.dispose();
// A search's reads after a sign-in.
const again = await open(place, ring());
const other = openView(again.mail, again.mail.getMailbox("INBOX").id, { readOnly: true });
const fresh = new KeptHeaders(
  () => again.mail.state,
  () => new Promise(() => undefined),
);
const opened = { contents: again.contents, scans: again.scans, kept: fresh, pace };
await measure("SUBJECT from pages", () => search(other, { kind: "subject", text: "number 77" }, opened), 3);
await measure("FROM from pages", () => search(other, { kind: "from", text: "p77@" }, opened), 3);
for (const by of ["subject", "from", "to-name"] as const)
  await measure(`SORT (${by}) from pages`, () => sortFound(other, { kind: "all" }, [{ by }], opened), 3);
for (const algorithm of ["references", "refs"] as const)
  await measure(`THREAD ${algorithm} from pages`, () => threadFound(other, algorithm, { kind: "all" }, opened), 3);
await again.dispose();
