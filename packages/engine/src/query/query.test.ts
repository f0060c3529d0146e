import fc from "fast-check";
import { expect, test } from "vitest";
import type { Account } from "../account/account.ts";
import { hexText } from "../bay/entry.ts";
import { openView } from "../mail/mailbox-view.ts";
import { asUid } from "../mail/numbers.ts";
import type { MailboxId } from "../mail/ops/names.ts";
import { MemoryPlace } from "../storage/memory.ts";
import { bytes, clock, makeAccount, open, stream, unlessConflict } from "../testing/account-kit.ts";
import { extent } from "../testing/extent.ts";
import type { Condition } from "./condition.ts";
import { CurrentLists } from "./current-lists.ts";
import { KeptHeaders } from "./kept-headers.ts";
import { type EmailQuery, queryEmails } from "./query-emails.ts";
import { Scans } from "./scans.ts";
import type { SortKey } from "./sort.ts";

/**
 * The model that queries are compared with: mail as plain objects, looked through one by one, with no columns, rounds or
 * lists. The same operations are done to both; on logs that rewind too.
 */
interface Mail {
  readonly from: string;
  readonly to: string;
  readonly subject: string;
  readonly body: string;
  /** Undefined: there is no Date field. */
  readonly sentMs: number | undefined;
  readonly receivedMs: number;
  readonly zoneMinutes: number;
  readonly hasAttachment: boolean;
  readonly size: number;
  /** As the engine gave them. */
  id: string;
  thread: string;
}
interface Place {
  readonly uid: number;
  readonly mail: Mail;
  flags: Set<string>;
}
type Model = Map<string, Place[]>;

const PATHS = ["INBOX", "Archive", "Trash"];
const FLAGS = ["\\Seen", "\\Draft", "\\Deleted", "\\Flagged", "work", "Play"];
const WORDS = ["ant", "Bee", "çédille", "antBee", "Re: ant"];
const NOON = Date.UTC(2026, 0, 10, 12);
const DAY_MS = 86_400_000;

const word = fc.constantFrom(...WORDS);
const mailbox = fc.constantFrom(...PATHS);
const flags = fc.subarray(FLAGS);
const time = fc.integer({ min: 0, max: 5 }).map((n) => NOON + (n - 2) * (DAY_MS / 2));
const newMail = fc.record({
  from: word,
  to: word,
  subject: word,
  body: word,
  sentMs: fc.option(time, { nil: undefined, freq: 3 }),
  receivedMs: time,
  zoneMinutes: fc.constantFrom(0, 600, -600),
  hasAttachment: fc.boolean(),
  answers: fc.option(fc.nat(), { nil: undefined, freq: 1 }),
});
type NewMail = typeof newMail extends fc.Arbitrary<infer T> ? T : never;

const which = fc.nat();
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("append" as const), mail: newMail, path: mailbox, flags }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("store" as const),
      path: mailbox,
      which,
      mode: fc.constantFrom("add" as const, "remove" as const, "replace" as const),
      flags,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom("copy" as const, "move" as const),
      path: mailbox,
      to: mailbox,
      which,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("expunge" as const), path: mailbox }) },
  // The quiet minute, after which texts of headers are let go.
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("quiet" as const), path: mailbox }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("checkpoint" as const), path: mailbox }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("trash" as const), path: fc.constantFrom("Archive", "Trash") }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const text = fc.constantFrom("ant", "bee", "ÇÉD", "antbee", "x.example", "");
const range = fc
  .tuple(fc.option(time, { nil: undefined }), fc.option(time, { nil: undefined }))
  .map(([from, before]) => ({ ...(from === undefined ? {} : { from }), ...(before === undefined ? {} : { before }) }));
const { condition } = fc.letrec<{ condition: Condition; leaf: Condition }>((tie) => ({
  condition: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    tie("leaf"),
    fc.record({
      kind: fc.constantFrom("and" as const, "or" as const),
      of: fc.array(tie("condition"), { maxLength: 3 }),
    }),
    fc.record({ kind: fc.constant("not" as const), of: tie("condition") }),
  ),
  leaf: fc.oneof(
    fc.constant<Condition>({ kind: "all" }),
    fc.constantFrom(...FLAGS, "\\seen", "WORK").map((keyword): Condition => ({ kind: "keyword", keyword })),
    fc.record({ kind: fc.constantFrom("from" as const, "to" as const, "cc" as const, "subject" as const), text }),
    fc.record({ kind: fc.constantFrom("body" as const, "text" as const), text }),
    fc.record({ kind: fc.constant("header" as const), field: fc.constantFrom("subject", "date", "cc"), text }),
    fc.constant<Condition>({ kind: "attachment" }),
    fc
      .tuple(fc.constantFrom("received" as const, "sent" as const), fc.boolean(), range)
      .map(([of, isLocal, within]): Condition => ({ kind: "date", of, isLocal, ...within })),
    fc.integer({ min: 300, max: 520 }).map((from): Condition => ({ kind: "size", from })),
    fc.integer({ min: 300, max: 520 }).map((before): Condition => ({ kind: "size", before })),
    fc.constant<Condition>({
      kind: "uids",
      ranges: [
        { first: asUid(2), last: asUid(3) },
        { first: asUid(5), last: asUid(5) },
      ],
    }),
  ),
}));
const emailCondition = fc.oneof(
  condition,
  fc.record({
    kind: fc.constant("thread-keyword" as const),
    keyword: fc.constantFrom("\\Seen", "work"),
    by: fc.constantFrom("all" as const, "some" as const),
  }),
  mailbox.map((path) => ({ kind: "mailbox" as const, path })),
);
const sortKey = fc.record({
  by: fc.oneof(
    fc.constantFrom("received" as const, "size" as const, "subject" as const, "from" as const, "from-name" as const),
    fc.constantFrom("\\Seen", "work").map((keyword) => ({ keyword })),
    fc.constant({ threadKeyword: "work", of: "some" as const }),
  ),
  descending: fc.boolean(),
});

const local = (value: string): string => value.toLowerCase().replace(/[^a-z]/g, "");

async function* written(mail: NewMail, n: number, parent: number | undefined): AsyncGenerator<Uint8Array> {
  const words = (value: string): string => `=?utf-8?B?${Buffer.from(value).toString("base64")}?=`;
  const lines = [
    `From: ${words(mail.from)} <${local(mail.from)}@x.example>`,
    `To: ${words(mail.to)} <${local(mail.to)}@x.example>`,
    `Subject: ${words(mail.subject)}`,
    ...(mail.sentMs === undefined ? [] : [`Date: ${new Date(mail.sentMs).toUTCString().replace("GMT", "+0000")}`]),
    `Message-ID: <${n}@ids>`,
    ...(parent === undefined ? [] : [`In-Reply-To: <${parent}@ids>`]),
    "Content-Type: multipart/mixed; boundary=b",
    "",
    "--b",
    "Content-Type: text/plain; charset=utf-8",
    "",
    mail.body,
    ...(mail.hasAttachment
      ? ["--b", "Content-Type: application/zip", "Content-Disposition: attachment", "", "zip"]
      : []),
    "--b--",
    "",
  ];
  yield bytes(lines.join("\r\n"));
}

async function perform(account: Account, model: Model, mails: Mail[], one: Step): Promise<void> {
  const places = model.get(one.path)!;
  if (one.kind === "append") {
    const { receivedMs: timeMs, zoneMinutes } = one.mail;
    const parent = one.mail.answers === undefined || mails.length === 0 ? undefined : one.mail.answers % mails.length;
    const arrival = { mailbox: one.path, flags: one.flags, received: { timeMs, zoneMinutes } };
    const prepared = await account.prepare(written(one.mail, mails.length, parent), arrival);
    const { uids } = await account.append(account.mail.getMailbox(one.path).id, prepared);
    const { state } = account.mail;
    const view = openView(account.mail, account.mail.getMailbox(one.path).id, { readOnly: true });
    const { row } = view.message(view.lowerBound(uids[0]!));
    const email = state.emailOf(row);
    const thread = hexText(state.threadOf(email));
    const mail = { ...one.mail, size: state.sizeOf(row), id: hexText(state.emails.columns.id.getId(email)), thread };
    mails.push(mail);
    places.push({ uid: uids[0]!, mail, flags: new Set(one.flags) });
    return;
  }
  if (one.kind === "trash") {
    const idOf = (path: string) => account.mail.getMailbox(path).id;
    const steps = PATHS.slice(1).map((path) => ({ do: "set" as const, mailbox: idOf(path), role: "none" as const }));
    const role = { do: "set", mailbox: idOf(one.path), role: "\\Trash" } as const;
    await account.mail.push({ kind: "folders", steps: [...steps, role], seconds: 1_700_000_500 });
    return;
  }
  if (one.kind === "checkpoint") return account.upkeep.checkpoint().catch(unlessConflict);
  if (one.kind === "quiet") return;
  if (places.length === 0) return;
  const view = openView(account.mail, account.mail.getMailbox(one.path).id, { readOnly: false });
  if (one.kind === "expunge") {
    await view.expunge();
    model.set(
      one.path,
      places.filter((place) => !place.flags.has("\\Deleted")),
    );
    return;
  }
  const at = one.which % places.length;
  const place = places[at]!;
  if (one.kind === "store") {
    await view.setFlags([at], { mode: one.mode, flags: one.flags });
    if (one.mode === "replace") place.flags = new Set(one.flags);
    for (const flag of one.flags) one.mode === "remove" ? place.flags.delete(flag) : place.flags.add(flag);
    return;
  }
  if (one.kind === "move" && one.to === one.path) return;
  const copies: number[] = [];
  if (one.kind === "copy") copies.push(...(await view.copy([at], account.mail.getMailbox(one.to).id)).uids);
  else await view.move([at], account.mail.getMailbox(one.to).id, ({ uids }) => copies.push(...uids));
  for (const uid of copies) model.get(one.to)!.push({ uid, mail: place.mail, flags: new Set(place.flags) });
  if (one.kind === "move") places.splice(at, 1);
}

// The naive queries

const fold = (value: string): string => value.normalize("NFKC").toLowerCase();
const casemap = (value: string): string => value.toUpperCase().normalize("NFKD");
const has = (place: Place, keyword: string): boolean => [...place.flags].some((flag) => fold(flag) === fold(keyword));
type Seen = { readonly mail: Mail; readonly places: readonly (Place & { readonly path: string })[] };

function keywordOf({ places }: Seen, keyword: string): boolean {
  const ofAll = ["\\seen", "\\draft"].includes(keyword.toLowerCase());
  return ofAll ? places.every((place) => has(place, keyword)) : places.some((place) => has(place, keyword));
}

/** True if a message fulfils the condition, with its flags and memberships as `seen` has them, among `all` that are shown. */
function fulfils(seen: Seen, wanted: Condition & { path?: string }, all: readonly Seen[]): boolean {
  const { mail } = seen;
  const holds = (value: string, part: string): boolean => fold(value).includes(fold(part));
  const address = (value: string): string => `${value} <${local(value)}@x.example>`;
  const isWithin = (value: number, { from, before }: { from?: number; before?: number }): boolean =>
    value >= (from ?? Number.NEGATIVE_INFINITY) && value < (before ?? Number.POSITIVE_INFINITY);
  switch (wanted.kind) {
    case "all":
      return true;
    case "and":
      return wanted.of.every((inner) => fulfils(seen, inner, all));
    case "or":
      return wanted.of.some((inner) => fulfils(seen, inner, all));
    case "not":
      return !fulfils(seen, wanted.of, all);
    case "keyword":
      return keywordOf(seen, wanted.keyword);
    case "thread-keyword": {
      const thread = all.filter((other) => other.mail.thread === mail.thread);
      const verdicts = thread.map((other) => keywordOf(other, wanted.keyword));
      return wanted.by === "all" ? verdicts.every((verdict) => verdict) : verdicts.some((verdict) => verdict);
    }
    case "mailbox":
      return seen.places.some(({ path }) => path === wanted.path);
    case "uids":
      return seen.places.some(({ uid }) => wanted.ranges.some(({ first, last }) => uid >= first && uid <= last));
    case "emails":
      return wanted.ids.has(mail.id);
    case "threads":
    case "modSeq":
      throw new Error("not among the conditions that are made here");
    case "size":
      return isWithin(mail.size, wanted);
    case "date": {
      const { receivedMs, sentMs, zoneMinutes } = mail;
      if (wanted.of === "received") return isWithin(receivedMs + (wanted.isLocal ? zoneMinutes * 60_000 : 0), wanted);
      return sentMs !== undefined && isWithin(sentMs, wanted);
    }
    case "from":
    case "to":
      return holds(address(mail[wanted.kind]), wanted.text);
    case "cc":
    case "bcc":
      return false;
    case "subject":
      return holds(mail.subject, wanted.text);
    case "header":
      if (wanted.field === "subject") return holds(mail.subject, wanted.text);
      return wanted.field === "date" && mail.sentMs !== undefined && wanted.text === "";
    case "body":
      return holds(mail.body, wanted.text);
    case "text":
      return [mail.body, mail.subject, address(mail.from), address(mail.to)].some((value) => holds(value, wanted.text));
    case "attachment":
      return mail.hasAttachment;
  }
}

function shownEmails(model: Model): Seen[] {
  const byMail = new Map<Mail, (Place & { path: string })[]>();
  for (const [path, places] of model)
    for (const place of places)
      if (!has(place, "\\Deleted")) byMail.set(place.mail, [...(byMail.get(place.mail) ?? []), { ...place, path }]);
  return [...byMail].map(([mail, places]) => ({ mail, places }));
}

const order = (a: string | number, b: string | number): number => (a < b ? -1 : a > b ? 1 : 0);

function sorted(emails: readonly Seen[], keys: readonly SortKey[], all: readonly Seen[]): Seen[] {
  const value = (seen: Seen, { by }: SortKey): string | number => {
    if (typeof by !== "string")
      return Number(
        "keyword" in by
          ? keywordOf(seen, by.keyword)
          : fulfils(seen, { kind: "thread-keyword", keyword: by.threadKeyword, by: by.of }, all),
      );
    if (by === "received") return seen.mail.receivedMs;
    if (by === "size") return seen.mail.size;
    if (by === "subject") return casemap(seen.mail.subject.replace("Re: ", ""));
    return by === "from" ? casemap(local(seen.mail.from)) : casemap(seen.mail.from);
  };
  const all_: readonly SortKey[] = keys.length > 0 ? keys : [{ by: "received", descending: true }];
  return emails.toSorted((a, b) => {
    for (const key of all_) {
      const compared = order(value(a, key), value(b, key)) * (key.descending ? -1 : 1);
      if (compared !== 0) return compared;
    }
    return order(a.mail.id, b.mail.id);
  });
}

function inMailbox(mailbox: MailboxId, narrowed: Condition | undefined): Condition {
  const named = { kind: "mailbox", mailbox } as const;
  return narrowed ? { kind: "and", of: [narrowed, named] } : named;
}

const never = (): Promise<void> => new Promise(() => undefined);

test("queries are what a walk over plain objects finds, after whatever was done", async () => {
  const query = fc.record({
    wanted: emailCondition,
    narrowed: fc.option(condition, { nil: undefined }),
    sort: fc.array(sortKey, { maxLength: 2 }),
    collapseThreads: fc.boolean(),
    position: fc.integer({ min: -8, max: 8 }),
    limit: fc.option(fc.integer({ min: 0, max: 5 }), { nil: undefined }),
    anchor: fc.option(which, { nil: undefined, freq: 1 }),
    anchorOffset: fc.integer({ min: -3, max: 3 }),
  });
  const round = fc.record({
    steps: fc.array(step, { minLength: 1, maxLength: 12 }),
    conditions: fc.array(condition, { minLength: 1, maxLength: 4 }),
    queries: fc.array(query, { minLength: 1, maxLength: 4 }),
  });
  let turns = 0;
  const pace = { isOver: () => ++turns % 3 === 0, take: async () => undefined };
  await fc.assert(
    fc.asyncProperty(fc.array(round, { minLength: 1, maxLength: 5 }), async (rounds) => {
      clock.now = 1_800_000_000_000;
      const place = new MemoryPlace();
      const { ring } = await makeAccount(place);
      const account = await open(place, ring());
      const lists = new CurrentLists(() => account.mail.state);
      const newKept = () => new KeptHeaders(() => account.mail.state, never);
      const tools = { contents: account.contents, scans: new Scans(), pace, kept: newKept() };
      await account.mail.ensure("Archive");
      const model: Model = new Map(PATHS.map((path) => [path, []]));
      const mails: Mail[] = [];
      for (const { steps, conditions, queries } of rounds) {
        for (const one of steps) await perform(account, model, mails, one);
        if (steps.some(({ kind }) => kind === "quiet")) tools.kept = newKept();
        await account.refresh();
        for (const wanted of conditions)
          for (const [path, places] of model) {
            const view = openView(account.mail, account.mail.getMailbox(path).id, { readOnly: true });
            const naive = places.filter((one) => fulfils({ mail: one.mail, places: [{ ...one, path }] }, wanted, []));
            // The kept result is the same.
            for (let time = 0; time < 2; time++) {
              const found = await lists.inMailboxes.search(view, wanted, tools);
              expect(Array.from(found, (at) => view.uidAt(at))).toEqual(naive.map(({ uid }) => uid));
            }
          }
        const all = shownEmails(model);
        for (const { wanted, narrowed, sort, collapseThreads, position, limit, anchor, anchorOffset } of queries) {
          const hits = sorted(
            all.filter(
              (seen) =>
                fulfils(seen, wanted as Condition, all) &&
                (!("path" in wanted) || narrowed === undefined || fulfils(seen, narrowed, all)),
            ),
            sort,
            all,
          );
          const threads = new Set<string>();
          const result = hits
            .filter(({ mail }) => !collapseThreads || (!threads.has(mail.thread) && threads.add(mail.thread)))
            .map(({ mail }) => mail.id);
          const anchorId = anchor === undefined || mails.length === 0 ? undefined : mails[anchor % mails.length]!.id;
          const mailboxId = "path" in wanted ? account.mail.getMailbox(wanted.path).id : undefined;
          const asked: EmailQuery = {
            condition: mailboxId === undefined ? (wanted as Condition) : inMailbox(mailboxId, narrowed),
            sort,
            collapseThreads,
            page: {
              position,
              ...(limit === undefined ? {} : { limit }),
              ...(anchorId === undefined ? {} : { anchor: Buffer.from(anchorId, "hex"), anchorOffset }),
            },
          };
          if (anchorId !== undefined && !result.includes(anchorId)) {
            await expect(queryEmails(asked, lists, tools)).rejects.toMatchObject({ code: "not-found" });
            continue;
          }
          const begin = anchorId === undefined ? position : Math.max(0, result.indexOf(anchorId) + anchorOffset);
          const at = begin < 0 ? Math.max(0, result.length + begin) : begin;
          const page = await queryEmails(asked, lists, tools);
          expect({ ...page, ids: page.ids.map(hexText) }).toEqual({
            ids: result.slice(at, limit === undefined ? undefined : at + limit),
            position: at,
            total: result.length,
            at: { modSeq: account.mail.state.changed.email },
          });
        }
        const isUnread = (seen: Seen): boolean => !keywordOf(seen, "\\Seen") && !keywordOf(seen, "\\Draft");
        for (const path of PATHS) {
          const here = all.filter(({ places }) => places.some((one) => one.path === path));
          const threads = new Set(here.map(({ mail }) => mail.thread));
          const isTrash = (at: string): boolean => account.mail.getMailbox(at).specialUse === "\\Trash";
          const unread = all.filter(
            (seen) =>
              isUnread(seen) && seen.places.some((one) => (isTrash(path) ? one.path === path : !isTrash(one.path))),
          );
          expect((await lists.mailboxes(pace)).countsOf(account.mail.getMailbox(path).ordinal)).toEqual({
            totalEmails: here.length,
            unreadEmails: here.filter(isUnread).length,
            totalThreads: threads.size,
            unreadThreads: [...threads].filter((thread) => unread.some(({ mail }) => mail.thread === thread)).length,
          });
        }
      }
      await account.dispose();
    }),
    { numRuns: extent(60, 12) },
  );
});

test("what goes while a query runs is not in its result", async () => {
  const place = new MemoryPlace();
  const { ring } = await makeAccount(place);
  const account = await open(place, ring());
  for (const n of [0, 1, 2])
    await account.append(
      account.mail.getMailbox("INBOX").id,
      await account.prepare(stream(`Subject: ${n}\r\n\r\n`), { mailbox: "INBOX", flags: [] }),
    );
  const lists = new CurrentLists(() => account.mail.state);
  await lists.mailboxes({ isOver: () => false, take: never });
  let isGone = false;
  const pace = {
    isOver: () => !isGone,
    async take() {
      isGone = true;
      const view = openView(account.mail, account.mail.getMailbox("INBOX").id, { readOnly: false });
      await view.setFlags([1], { mode: "add", flags: ["\\Deleted"] });
      await view.expunge();
    },
  };
  const kept = new KeptHeaders(() => account.mail.state, never);
  const tools = { contents: account.contents, scans: new Scans(), pace, kept };
  const { total } = await queryEmails({ condition: { kind: "all" }, sort: [{ by: "size" }] }, lists, tools);
  expect([isGone, total]).toEqual([true, 2]);
  await account.dispose();
});
