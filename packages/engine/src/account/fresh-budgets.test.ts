import { describe, expect, test } from "vitest";
import { openView } from "../mail/mailbox-view.ts";
import { s3Counted } from "../node/counted-places.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import {
  bytes,
  dropbox,
  mailText,
  makeAccount,
  open,
  stream,
  textsOf,
  unlessConflict,
} from "../testing/account-kit.ts";
import type { Account } from "./account.ts";

/** Objects that a process wrote or read moments before are not asked for again: docs/rules.md §9, on an S3 behind the caches
 * that `restante serve` puts before it. */

const positions = (count: number): number[] => Array.from({ length: count }, (_, at) => at);

type Requests = Readonly<Record<string, number>>;

/** A process with an account, and its requests by method and kind of name: `PUT log`. */
async function startProcess() {
  const place = await s3Counted();
  const { ring, user } = await makeAccount(place);
  const store: ObjectStore = place.open();
  const here = { open: () => store };
  const account = await open(here, ring());
  await account.takeIn();
  return {
    account,
    place,
    box: dropbox(here, user),
    openElsewhere: () => open(place, ring()),
    /** Requests that were made while `work` ran. */
    async count(work: () => Promise<unknown>): Promise<Requests> {
      const { requests } = place.double;
      const begun = requests.length;
      await work();
      const made: Record<string, number> = {};
      for (const { method, key, query } of requests.slice(begun)) {
        const [, kind] = (key || (query.get("prefix") ?? "")).split("/");
        const name = `${key === "" && method === "GET" ? "LIST" : method} ${kind}`;
        made[name] = (made[name] ?? 0) + 1;
      }
      return made;
    },
    async [Symbol.asyncDispose]() {
      await account.dispose();
      await place[Symbol.asyncDispose]();
    },
  };
}

async function append(account: Account, n: number, size = 10): Promise<void> {
  const prepared = await account.prepare(stream(mailText(n, size)), { mailbox: "INBOX", flags: [] });
  await account.append(account.mail.getMailbox("INBOX").id, prepared);
}

/** Requests for objects that this process had: a checkpoint begins with a look for the log's end. */
function readAgain({ "GET log": logs = 0, "PUT checkpoint": checkpoints = 0, ...made }: Requests): Requests {
  const reads = Object.entries(made).filter(([kind]) => kind.startsWith("GET"));
  return Object.fromEntries(logs > checkpoints ? [["GET log", logs - checkpoints], ...reads] : reads);
}

const sum = (made: Requests): number => Object.values(made).reduce((all, count) => all + count, 0);

describe("what a process wrote or read moments before", () => {
  test("is not read again for checkpoints: three hundred APPENDs are as many requests and a tenth more", async () => {
    await using here = await startProcess();
    const made = await here.count(async () => {
      for (const n of positions(300)) await append(here.account, n);
      await here.account.upkeep.checkpoint().catch(unlessConflict);
    });
    // On a busy machine the last one finds that all is covered.
    expect(made["PUT checkpoint"]).toBeGreaterThan(0);
    expect(readAgain(made)).toEqual({});
    expect(sum(made)).toBeLessThanOrEqual(330 + 10 * made["PUT checkpoint"]!);
  });

  test("a delivery to a process that has the account open is one request, and one to take it in", async () => {
    await using here = await startProcess();
    const { account, box } = here;
    const made = await here.count(async () => {
      for (const n of positions(130)) {
        await box.deliver(bytes("Return-Path: <>\r\n"), stream(mailText(n)));
        await account.takeIn();
      }
      await account.upkeep.checkpoint().catch(unlessConflict);
    });
    expect(account.mail.state.inbox.messages.length).toBe(130);
    // On a busy machine the last one finds that all is covered.
    expect(made["PUT checkpoint"]).toBeGreaterThan(0);
    expect(readAgain(made)).toEqual({});
    expect(sum(made)).toBeLessThanOrEqual(270 + 10 * made["PUT checkpoint"]!);
  });

  test("is listed and fetched without a request, before a checkpoint and after", async () => {
    await using here = await startProcess();
    const { account, box } = here;
    for (const n of positions(10)) await append(account, n);
    for (const n of positions(10)) await box.deliver(bytes(""), stream(mailText(n)));
    // These lie in objects of their own.
    for (const n of positions(3)) await append(account, n, 10_000);
    for (const n of positions(3)) await box.deliver(bytes(""), stream(mailText(n, 10_000)));
    await account.takeIn();
    const readAll = async (): Promise<void> => {
      const view = openView(account.mail, account.mail.getMailbox("INBOX").id, { readOnly: true });
      const messages = view.messages(positions(view.length));
      expect(messages.length).toBe(26);
      await account.contents.readSummaries(messages);
      await account.contents.readHeaders(messages);
      await textsOf(account, "INBOX");
    };
    expect(await here.count(readAll)).toEqual({});
    await account.upkeep.checkpoint();
    expect(await here.count(readAll)).toEqual({});
  });

  test("and what others wrote and was applied is not read again, to fetch it or for a checkpoint", async () => {
    await using here = await startProcess();
    const { account } = here;
    const other = await here.openElsewhere();
    for (const n of positions(10)) await append(other, n);
    await other.dispose();
    await account.refresh();
    const made = await here.count(async () => {
      expect((await textsOf(account, "INBOX")).length).toBe(10);
      await account.upkeep.checkpoint();
    });
    expect(readAgain(made)).toEqual({});
  });
});
