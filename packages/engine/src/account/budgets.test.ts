import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openView } from "../mail/mailbox-view.ts";
import { BLOCK_BYTES } from "../node/cache/block-cache.ts";
import { type Cost, type CountedPlace, memoryCounted, s3Counted, UNHINDERED } from "../node/counted-places.ts";
import { MemoryPlace } from "../storage/memory.ts";
import {
  bytes,
  clock,
  crypto,
  dropbox,
  MemoryUsers,
  mailText,
  makeAccount,
  open,
  platform,
  stream,
  unlessConflict,
} from "../testing/account-kit.ts";
import { extent } from "../testing/extent.ts";
import type { Account } from "./account.ts";
import { APPEND_EMAILS_MAX, type Prepared } from "./delivery/message-writer.ts";
import { Accounts } from "./sign-in/accounts.ts";
import { signUp } from "./sign-in/sign-up.ts";
import type { User } from "./sign-in/users.ts";

/** Requests an operation: docs/rules.md §9, on stores that are asked over a network. */

const PLACES = [
  ["the memory double", async () => memoryCounted()],
  ["an S3, behind the cache", () => s3Counted()],
] as const satisfies readonly (readonly [string, () => Promise<CountedPlace>])[];

const positions = (count: number): number[] => Array.from({ length: count }, (_, at) => at);

async function checkpoint(account: Account): Promise<void> {
  // The first may be one that is under way, and cover less.
  await account.upkeep.checkpoint();
  await account.upkeep.checkpoint().catch(unlessConflict);
  await account.refresh();
}

describe.each(PLACES)("requests an operation, on %s", (_, start) => {
  let place: CountedPlace;
  let account: Account;
  let user: User;
  let reopen: () => Promise<Account>;
  beforeAll(async () => {
    place = await start();
    const made = await makeAccount(place);
    user = made.user;
    reopen = () => open(place, made.ring());
    account = await reopen();
    const many = await Promise.all(
      positions(1000).map((n) => account.prepare(stream(mailText(n, 1)), { mailbox: "INBOX", flags: [] })),
    );
    await Promise.all(many.map((prepared) => account.append(account.mail.getMailbox("INBOX").id, prepared)));
    await checkpoint(account);
  });
  afterAll(async () => {
    await account.dispose();
    await place[Symbol.asyncDispose]();
  });

  test("STORE on a thousand messages, COPY, MOVE and EXPUNGE of a hundred are one write each", async () => {
    const view = openView(account.mail, account.mail.getMailbox("INBOX").id, { readOnly: false });
    const flagged = { mode: "add", flags: ["\\Flagged"] } as const;
    expect(await place.count(() => view.setFlags(positions(1000), flagged))).toEqual({ trips: 1, putIfAbsent: 1 });
    const some = positions(100);
    expect(await place.count(() => view.copy(some, account.mail.getMailbox("Archive").id))).toEqual({
      trips: 1,
      putIfAbsent: 1,
    });
    expect(await place.count(() => view.move(some, account.mail.getMailbox("Trash").id))).toEqual({
      trips: 1,
      putIfAbsent: 1,
    });
    view.sync({ expunges: true });
    await view.setFlags(some, { mode: "add", flags: ["\\Deleted"] });
    expect(await place.count(() => view.expunge())).toEqual({ trips: 1, putIfAbsent: 1 });
  });

  test("APPEND is one write up to 16 KB, else two; LMTP the same a recipient", async () => {
    const append = async (size: number): Promise<void> => {
      await account.append(
        account.mail.getMailbox("Sent").id,
        await account.prepare(stream(mailText(1, size)), { mailbox: "Sent", flags: [] }),
      );
    };
    // Looks up its thread in a page of the reference index, once.
    await append(1);
    expect(await place.count(() => append(10))).toEqual({ trips: 1, putIfAbsent: 1 });
    expect(await place.count(() => append(10_000))).toEqual({ trips: 2, put: 1, putIfAbsent: 1 });
    await using elsewhere = await start();
    const box = dropbox(elsewhere, user);
    const deliver = (size: number) => box.deliver(bytes("Return-Path: <>\r\n"), stream(mailText(1, size)));
    expect(await elsewhere.count(() => deliver(10))).toEqual({ trips: 1, put: 1 });
    expect(await elsewhere.count(() => deliver(10_000))).toEqual({ trips: 2, put: 2 });
  });

  test("FETCH of anything but body text asks nothing when warm; one wave of pages when cold", async () => {
    const view = openView(account.mail, account.mail.getMailbox("INBOX").id, { readOnly: true });
    const messages = view.messages(positions(view.length));
    const lists = () => Promise.all([account.contents.readSummaries(messages), account.contents.readHeaders(messages)]);
    expect((await place.count(lists)).trips).toBeLessThanOrEqual(1);
    expect(await place.count(lists)).toEqual({ trips: 0 });
  });

  test("a checkpoint of what another process wrote reads it side by side", async () => {
    const tail = 149;
    for (const n of positions(tail))
      await account.append(
        account.mail.getMailbox("INBOX").id,
        await account.prepare(stream(mailText(n)), { mailbox: "INBOX", flags: [] }),
      );
    const other = await reopen();
    const { trips } = await place.count(() => checkpoint(other));
    await other.dispose();
    await account.refresh();
    expect(trips).toBeLessThan(60);
  });

  test("an idle user costs two small reads each look, and so does one who was written to", async () => {
    const look = async (): Promise<void> => {
      await account.refresh();
      // Which does not wait for long.
      await account.takeIn();
    };
    expect(await place.count(look)).toEqual({ trips: 1, get: 1, list: 1 });
    await dropbox(place, user).deliver(bytes("Return-Path: <>\r\n"), stream(mailText(2000)));
    await account.takeIn();
    expect(await place.count(look)).toEqual({ trips: 1, get: 1, list: 1 });
  });

  test("one look serves all commands that had come before it, and none that came later", async () => {
    clock.now++;
    const arrived = clock.now;
    clock.now++;
    expect(await place.count(() => account.refresh(arrived))).toEqual({ trips: 1, get: 1, list: 1 });
    expect(await place.count(() => account.refresh(arrived))).toEqual({ trips: 0 });
    clock.now++;
    expect(await place.count(() => account.refresh(clock.now))).toEqual({ trips: 1, get: 1, list: 1 });
  });
});

describe.each(PLACES)("signing in, on %s", (_, start) => {
  test("an account that is not open takes four round trips, and its first SELECT one more", async () => {
    await using place = await start();
    const { store, ...tools } = { store: place.open(), users: new MemoryUsers(), platform, pepper: undefined };
    await signUp({ store, ...tools }, "a@x", "correct horse battery");
    const make = () => new Accounts({ store: place.open(), ...tools });
    const first = make();
    const session = await first.login("a@x", "correct horse battery", "::1");
    for (let n = 0; n < 40; n++)
      await session.append(
        session.getMailbox("INBOX").id,
        await session.prepare(stream(mailText(n)), { mailbox: "INBOX", flags: [] }),
      );
    session.close();
    await first.dispose();
    const second = make();
    let opened = session;
    const login = await place.count(async () => {
      opened = await second.login("a@x", "correct horse battery", "::1");
    });
    expect(login.trips).toBeLessThanOrEqual(4);
    expect((await place.count(() => opened.refresh())).trips).toBeLessThanOrEqual(1);
    expect(opened.getMailbox("INBOX").messages.length).toBe(40);
    opened.close();
    await second.dispose();
  });
});

describe("an account of a hundred thousand messages", () => {
  const MESSAGES = extent(100_000, 20_000);
  const from = new MemoryPlace(() => clock.now++);
  let reopen: (place: CountedPlace) => Promise<Account>;
  beforeAll(async () => {
    const { ring } = await makeAccount(from);
    reopen = (place) => open(place, ring());
    const account = await open(from, ring());
    const sealed = await account.prepare(stream(mailText(0, 10_000)), { mailbox: "INBOX", flags: [] });
    // Each has an id of its own; sealing a body for each would take minutes.
    const another = (): Prepared => ({
      ...sealed,
      email: { ...sealed.email, id: crypto.random(16), ids: crypto.random(8) },
      carried: {},
    });
    for (let at = 0; at < MESSAGES; at += APPEND_EMAILS_MAX)
      await account.appendMany(
        account.mail.getMailbox("INBOX").id,
        positions(Math.min(APPEND_EMAILS_MAX, MESSAGES - at)).map(another),
      );
    await checkpoint(account);
    // Changes of a session before the next checkpoint.
    const view = openView(account.mail, account.mail.getMailbox("INBOX").id, { readOnly: false });
    for (let at = 0; at < 50; at++) await view.setFlags([at], { mode: "add", flags: ["\\Seen"] });
    await account.dispose();
  });

  async function openCounted(place: CountedPlace): Promise<Cost> {
    place.fill(from);
    let account: Account | undefined;
    const cost = await place.count(async () => {
      account = await reopen(place);
    });
    expect(openView(account!.mail, account!.mail.getMailbox("INBOX").id, { readOnly: true }).length).toBe(MESSAGES);
    await account!.dispose();
    return cost;
  }

  test.each(PLACES)("opens in three round trips on %s", async (_, start) => {
    await using place = await start();
    expect((await openCounted(place)).trips).toBe(3);
  });
});

describe("on an S3, behind the cache", () => {
  test("what was listed before is listed again without a request after a restart, and from the store on a new host", async () => {
    await using place = await s3Counted();
    const { ring } = await makeAccount(place);
    const first = await open(place, ring());
    const prepare = (n: number) => first.prepare(stream(mailText(n)), { mailbox: "INBOX", flags: [] });
    await first.appendMany(first.mail.getMailbox("INBOX").id, await Promise.all(positions(200).map(prepare)));
    await checkpoint(first);
    await first.dispose();
    const pagesRead = async (): Promise<number> => {
      const account = await open(place, ring());
      const { contents, mail } = account;
      const view = openView(mail, mail.getMailbox("INBOX").id, { readOnly: true });
      const messages = view.messages(positions(view.length));
      const { get = 0 } = await place.count(() =>
        Promise.all([contents.readSummaries(messages), contents.readHeaders(messages)]),
      );
      await account.dispose();
      return get;
    };
    await place.emptyCache();
    // Four pages of summaries, and four of headers.
    expect(await pagesRead()).toBe(8);
    expect(await pagesRead()).toBe(0);
    await place.emptyCache();
    expect(await pagesRead()).toBe(8);
  });

  test("small bodies that lie side by side in a pack are read by ever larger requests, upwards and downwards", async () => {
    await using place = await s3Counted();
    const { ring } = await makeAccount(place);
    const first = await open(place, ring());
    // Noise, which no seal makes smaller: some hundred KB of it.
    const text = (n: number): string => `${mailText(n)}${Buffer.from(crypto.random(6000)).toString("base64")}\r\n`;
    const prepare = (n: number) => first.prepare(stream(text(n)), { mailbox: "INBOX", flags: [] });
    await first.appendMany(first.mail.getMailbox("INBOX").id, await Promise.all(positions(120).map(prepare)));
    await checkpoint(first);
    await first.dispose();
    const packs = [...place.double.objects].filter(([name]) => name.includes("/pack/"));
    const blocks = packs.reduce((sum, [, pack]) => sum + Math.ceil(pack.bytes.length / BLOCK_BYTES), 0);
    expect(blocks).toBeGreaterThan(12);
    for (const isUpwards of [true, false]) {
      await place.emptyCache();
      const account = await open(place, ring());
      const { contents, mail } = account;
      const view = openView(mail, mail.getMailbox("INBOX").id, { readOnly: true });
      const messages = view.messages(positions(view.length));
      await contents.readSummaries(messages);
      const { get = 0 } = await place.count(async () => {
        for (const message of isUpwards ? messages : messages.toReversed()) await contents.openBody(message);
      });
      expect(get).toBeLessThanOrEqual(blocks / 3);
      await account.dispose();
    }
  });

  test("who idles costs two lists of one name each look, one for the log and one for new mail", async () => {
    await using place = await s3Counted({ ...UNHINDERED, pollUrgentMs: 5 });
    const { requests } = place.double;
    const { ring } = await makeAccount(place);
    const account = await open(place, ring());
    account.onChange(() => undefined);
    const isLook = ({ query }: (typeof requests)[number]): boolean => query.get("max-keys") === "1";
    const looksAt = (kind: string) =>
      requests.slice(begun).filter((each) => isLook(each) && each.query.get("prefix")?.endsWith(`/${kind}/`));
    const looks = async (count: number): Promise<void> => {
      while (looksAt("note").length < count || looksAt("log").length < count) await platform.delay(5);
    };
    // The first look for mail asks for all that is there, and has it taken in.
    let begun = 0;
    await looks(1);
    await account.takeIn();
    begun = requests.length;
    await looks(8);
    expect(requests.slice(begun).filter((each) => !isLook(each))).toEqual([]);
    await account.dispose();
  });
});
