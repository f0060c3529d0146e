import { extent } from "@restante/engine/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Json, openClient, type TestClient } from "./jmap-kit.ts";

type Given = Readonly<Record<string, unknown>>;

/**
 * A client that holds what it was told, and moves on by changes alone: RFC 8620 §5.2 and §5.6. Its copy must be what a
 * client gets that asks for everything.
 */
class Follower {
  readonly #client: TestClient;
  readonly #queries: readonly Given[];
  readonly #emails = new Map<string, Json>();
  readonly #mailboxes = new Map<string, Json>();
  readonly #threads = new Map<string, Json>();
  readonly #results: string[][] = [];
  readonly #states = { Email: "", Mailbox: "", Thread: "" };
  readonly #queryStates: string[] = [];

  constructor(client: TestClient, queries: readonly Given[]) {
    this.#client = client;
    this.#queries = queries;
  }

  async begin(): Promise<void> {
    const { ids, queryState } = await this.#client.call("Email/query");
    const emails = await this.#client.call("Email/get", { ids, properties: ["mailboxIds", "keywords", "threadId"] });
    for (const email of emails.list) this.#emails.set(email.id, email);
    this.#states.Email = emails.state;
    expect(queryState).toBe(emails.state);
    const mailboxes = await this.#client.call("Mailbox/get");
    for (const mailbox of mailboxes.list) this.#mailboxes.set(mailbox.id, mailbox);
    this.#states.Mailbox = mailboxes.state;
    const threads = await this.#client.call("Thread/get", { ids: this.#threadIds() });
    for (const thread of threads.list) this.#threads.set(thread.id, thread);
    this.#states.Thread = threads.state;
    for (const [at, query] of this.#queries.entries()) {
      const result = await this.#client.call("Email/query", query);
      this.#results[at] = result.ids;
      this.#queryStates[at] = result.queryState;
    }
  }

  #threadIds(): string[] {
    return [...new Set([...this.#emails.values()].map(({ threadId }) => threadId))];
  }

  async goOn(maxChanges: number): Promise<void> {
    await this.#pages("Email", maxChanges, this.#emails, { properties: ["mailboxIds", "keywords", "threadId"] });
    await this.#pages("Thread", maxChanges, this.#threads, {});
    await this.#pages("Mailbox", maxChanges, this.#mailboxes, {});
    for (const [at, query] of this.#queries.entries()) await this.#goOnWith(at, query, maxChanges);
  }

  async #pages(
    type: "Email" | "Mailbox" | "Thread",
    maxChanges: number,
    known: Map<string, Json>,
    args: Given,
  ): Promise<void> {
    for (let more = true, pages = 0; more; pages++) {
      expect(pages).toBeLessThan(2000);
      const changes = await this.#client.call(`${type}/changes`, { sinceState: this.#states[type], maxChanges });
      const { created, updated, destroyed, hasMoreChanges, newState } = changes;
      const told = [...created, ...updated, ...destroyed];
      expect(told.length).toBeLessThanOrEqual(maxChanges);
      expect(new Set(told).size).toBe(told.length);
      if (hasMoreChanges) expect(told.length).toBeGreaterThan(0);
      // An update of what a client does not know is lost by many.
      for (const id of updated) expect(known.has(id), `${type} ${id} is updated`).toBe(true);
      for (const id of destroyed) known.delete(id);
      const properties = changes.updatedProperties ?? undefined;
      const { list, notFound } = await this.#client.call(`${type}/get`, { ids: created, ...args });
      const again = await this.#client.call(`${type}/get`, {
        ids: updated,
        ...args,
        ...(properties && { properties }),
      });
      // A later page of changes tells of objects that were destroyed meanwhile.
      if (!hasMoreChanges) expect([...notFound, ...again.notFound]).toEqual([]);
      for (const one of list) known.set(one.id, one);
      for (const one of again.list) known.set(one.id, { ...known.get(one.id), ...one });
      this.#states[type] = newState;
      more = hasMoreChanges;
    }
  }

  async #goOnWith(at: number, query: Given, maxChanges: number): Promise<void> {
    const asked = {
      ...query,
      sinceQueryState: this.#queryStates[at],
      maxChanges: maxChanges * 4,
      calculateTotal: true,
    };
    const [[name, changes]] = (await this.#client.request([["Email/queryChanges", asked, "0"]])).methodResponses;
    if (name === "error") {
      expect(changes.type).toBe("tooManyChanges");
      const fresh = await this.#client.call("Email/query", query);
      this.#results[at] = fresh.ids;
      this.#queryStates[at] = fresh.queryState;
      return;
    }
    const removed = new Set(changes.removed);
    const result = this.#results[at]!.filter((id) => !removed.has(id));
    for (const { id, index } of changes.added) result.splice(index, 0, id);
    expect(result.length).toBe(changes.total);
    this.#results[at] = result;
    this.#queryStates[at] = changes.newQueryState;
  }

  /** Compares with one who asks for everything. */
  async check(): Promise<void> {
    const fresh = new Follower(this.#client, this.#queries);
    await fresh.begin();
    expect(this.#mailboxes).toEqual(fresh.#mailboxes);
    expect(this.#emails).toEqual(fresh.#emails);
    expect(this.#threads).toEqual(fresh.#threads);
    expect(this.#results).toEqual(fresh.#results);
    for (const mailbox of fresh.#mailboxes.values()) await this.#checkCounts(mailbox);
  }

  /** Counts are what queries find. */
  async #checkCounts(mailbox: Json): Promise<void> {
    const total = async (filter: Given, collapseThreads = false): Promise<number> =>
      (await this.#client.call("Email/query", { filter, collapseThreads, calculateTotal: true, limit: 0 })).total;
    const inMailbox = { inMailbox: mailbox.id };
    const unread = { operator: "AND", conditions: [inMailbox, { notKeyword: "$seen" }, { notKeyword: "$draft" }] };
    expect([mailbox.name, mailbox.totalEmails, mailbox.totalThreads, mailbox.unreadEmails]).toEqual([
      mailbox.name,
      await total(inMailbox),
      await total(inMailbox, true),
      await total(unread),
    ]);
  }
}

const command = fc.record({
  who: fc.constantFrom(0, 1),
  kind: fc.constantFrom(
    "append",
    "append",
    "append",
    "flag",
    "flag",
    "copy",
    "move",
    "expunge",
    "set",
    "set",
    "mailboxes",
    "destroy",
    "create",
    "rename",
    "remove",
    "follow",
    "follow",
    "follow",
  ),
  choice: fc.nat(1_000_000),
});
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

const FLAGS = ["\\Seen", "\\Deleted", "\\Flagged", "\\Draft", "Work", "$Junk"];
const PATHS = ["INBOX", "Trash", "Archive", "A"];
const SUBJECTS = ["one", "Re: one", "two", "three"];

/** A command may be refused because its target is gone or has that state already. */
async function run(client: TestClient, { kind, choice }: Command, n: number): Promise<void> {
  const { session } = client;
  const pick = <T>(of: readonly T[], by: number): T => of[by % of.length]!;
  const path = pick(PATHS, choice);
  const other = pick(PATHS, choice >> 2);
  const flag = pick(FLAGS, choice >> 4);
  const ids = (await client.call("Email/query")).ids as readonly string[];
  const some = ids.filter((_, at) => (at + choice) % 3 === 0);
  const keyword = { "\\Seen": "$seen", "\\Flagged": "$flagged", "\\Draft": "$draft" }[flag] ?? "work";
  switch (kind) {
    case "append": {
      const answers = choice % 2 === 0 ? `In-Reply-To: <${n - 1}@x>\r\nReferences: <${n - 1}@x>\r\n` : "";
      const text = `Subject: ${pick(SUBJECTS, choice >> 3)}\r\nMessage-ID: <${n}@x>\r\n${answers}\r\nbody\r\n`;
      await client.append(n, { path, text, flags: choice % 5 === 0 ? [flag] : [] });
      return;
    }
    case "flag":
    case "copy":
    case "move":
    case "expunge": {
      const view = session.openView(session.getMailbox(path).id, { readOnly: false });
      const positions = Array.from({ length: view.length }, (_, at) => at).filter((at) => (at + choice) % 2 === 0);
      if (kind === "flag") await view.setFlags(positions, { mode: choice % 3 === 0 ? "remove" : "add", flags: [flag] });
      else if (kind === "expunge") await view.expunge(undefined);
      else if (kind === "copy") await view.copy(positions, session.getMailbox(other).id);
      else await view.move(positions, session.getMailbox(other).id);
      return;
    }
    case "set": {
      const patch =
        choice % 3 === 0
          ? { keywords: { [keyword]: true } }
          : { [`keywords/${keyword}`]: choice % 2 === 0 ? true : null };
      await client.call("Email/set", { update: Object.fromEntries(some.map((id) => [id, patch])) });
      return;
    }
    case "mailboxes": {
      const { list } = await client.call("Mailbox/get", { properties: [] });
      const one = pick(list as readonly Json[], choice).id;
      const two = pick(list as readonly Json[], choice >> 3).id;
      const patch =
        choice % 2 === 0
          ? { mailboxIds: { [one]: true, [two]: true } }
          : { [`mailboxIds/${one}`]: true, [`mailboxIds/${two}`]: one === two ? true : null };
      await client.call("Email/set", { update: Object.fromEntries(some.map((id) => [id, patch])) });
      return;
    }
    case "destroy":
      await client.call("Email/set", { destroy: some.slice(0, 2) });
      return;
    case "create":
      await client.call("Mailbox/set", {
        create: {
          a: {
            name: pick(["A", "B", "C"], choice),
            parentId: choice % 4 === 0 ? await client.mailbox("archive") : null,
          },
        },
      });
      return;
    case "rename":
    case "remove": {
      const { list } = await client.call("Mailbox/get", { properties: ["role"] });
      const plain = (list as readonly Json[]).filter(({ role }) => role === null);
      if (plain.length === 0) return;
      const { id } = pick(plain, choice);
      if (kind === "rename")
        await client.call("Mailbox/set", {
          update: { [id]: { name: pick(["A", "B", "C", "D"], choice >> 2), sortOrder: choice % 5 } },
        });
      else await client.call("Mailbox/set", { destroy: [id], onDestroyRemoveEmails: choice % 2 === 0 });
      return;
    }
    case "follow":
  }
}

test("who follows by changes holds what one who asks for everything gets, whoever changes what by which protocol", async () => {
  let followed = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(command, { minLength: 10, maxLength: 60, size: "max" }),
      fc.integer({ min: 1, max: 50 }),
      async (commands, maxChanges) => {
        const client = await openClient();
        const clients = [client, await client.another()];
        const archive = await client.mailbox("archive");
        const queries = [
          { sort: [{ property: "receivedAt", isAscending: false }], collapseThreads: true },
          { filter: { inMailbox: await client.mailbox("inbox") }, collapseThreads: true },
          { filter: { someInThreadHaveKeyword: "$flagged" }, sort: [{ property: "subject" }] },
          {
            filter: { operator: "NOT", conditions: [{ hasKeyword: "$seen" }, { inMailbox: archive }] },
            sort: [{ property: "hasKeyword", keyword: "work" }, { property: "size" }],
          },
        ];
        const followers = clients.map((one) => new Follower(one, queries));
        for (const follower of followers) await follower.begin();
        for (const [n, given] of commands.entries()) {
          const { session } = clients[given.who]!;
          if (given.choice % 3 > 0) await session.refresh();
          if (given.kind !== "follow") await run(clients[given.who]!, given, n).catch(unlessRefused);
          else {
            await session.refresh();
            await followers[given.who]!.goOn(maxChanges);
            await followers[given.who]!.check();
            followed++;
          }
        }
        for (const [at, { session }] of clients.entries()) {
          await session.refresh();
          await followers[at]!.goOn(maxChanges);
          await followers[at]!.check();
        }
      },
    ),
    { numRuns: extent(40, 10) },
  );
  expect(followed).toBeGreaterThan(20);
});

function unlessRefused(error: unknown): void {
  if (
    !(error instanceof Error && "code" in error && ["not-found", "expunged", "conflict"].includes(error.code as string))
  )
    throw error;
}
