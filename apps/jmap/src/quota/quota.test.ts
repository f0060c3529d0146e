import { Accounts } from "@restante/engine";
import { FIRST, mailText, setUpAda } from "@restante/engine/testing";
import { describe, expect, test } from "vitest";
import { openClient, TestClient } from "../jmap-kit.ts";
import { sessionObject } from "../session-object.ts";

const CAPABILITY = "urn:ietf:params:jmap:quota";
const AT_ONCE = { requests: 4, uploads: 4 };

async function client(limits: { readonly bytesMax?: number; readonly messagesMax?: number }) {
  const { tools, place } = await setUpAda();
  const quota = { bytesMax: undefined, messagesMax: undefined, ...limits };
  const accounts = new Accounts({ ...tools, store: place.open(), platform: { ...tools.platform, quota } });
  return new TestClient(await accounts.login("ada@example.org", FIRST, "127.0.0.1"));
}

describe("Quota", () => {
  test("tells what is used and may be, of each kind that has a limit, and how it changes", async () => {
    const ada = await client({ bytesMax: 5000, messagesMax: 3 });
    const first = await ada.call("Quota/get");
    expect(first.list).toEqual([
      {
        id: "qoctets",
        resourceType: "octets",
        used: 0,
        hardLimit: 5000,
        warnLimit: null,
        softLimit: null,
        scope: "account",
        name: "Storage",
        description: null,
        types: ["Email"],
      },
      expect.objectContaining({ id: "qcount", resourceType: "count", used: 0, hardLimit: 3 }),
    ]);
    expect(await ada.call("Quota/changes", { sinceState: first.state })).toMatchObject({
      updated: [],
      updatedProperties: null,
    });
    await ada.append(1);
    const changes = await ada.call("Quota/changes", { sinceState: first.state });
    expect(changes).toMatchObject({ updated: ["qoctets", "qcount"], updatedProperties: ["used"] });
    const now = await ada.call("Quota/get", { ids: ["qoctets", "qcount", "x"], properties: ["used"] });
    expect(now).toMatchObject({
      state: changes.newState,
      list: [
        { id: "qoctets", used: mailText(1).length },
        { id: "qcount", used: 1 },
      ],
      notFound: ["x"],
    });
    expect(await ada.error("Quota/changes", { sinceState: "x" })).toBe("cannotCalculateChanges");
  });

  test("is found by name, scope, kind and type, and sorted", async () => {
    const ada = await client({ bytesMax: 5000, messagesMax: 3 });
    await ada.append(1);
    const idsOf = async (args: Readonly<Record<string, unknown>>) => (await ada.call("Quota/query", args)).ids;
    expect(await idsOf({ sort: [{ property: "used" }] })).toEqual(["qcount", "qoctets"]);
    expect(await idsOf({ sort: [{ property: "name", isAscending: false }] })).toEqual(["qoctets", "qcount"]);
    expect(await idsOf({ filter: { name: "STOR" } })).toEqual(["qoctets"]);
    expect(await idsOf({ filter: { resourceType: "count" } })).toEqual(["qcount"]);
    expect(await idsOf({ filter: { scope: "domain" } })).toEqual([]);
    expect(await idsOf({ filter: { operator: "NOT", conditions: [{ type: "Email" }] } })).toEqual([]);
    expect(await ada.call("Quota/query", { limit: 1, calculateTotal: true })).toMatchObject({
      ids: ["qcount"],
      total: 2,
    });
    expect(await ada.error("Quota/query", { filter: { nonsense: 1 } })).toBe("unsupportedFilter");
    expect(await ada.error("Quota/query", { sort: [{ property: "id" }] })).toBe("unsupportedSort");
    const { queryState } = await ada.call("Quota/query");
    expect(await ada.call("Quota/queryChanges", { sinceQueryState: queryState })).toMatchObject({
      removed: [],
      added: [],
    });
    await ada.append(2);
    expect(await ada.call("Quota/queryChanges", { sinceQueryState: queryState })).toMatchObject({
      removed: ["qoctets", "qcount"],
      added: [
        { id: "qcount", index: 0 },
        { id: "qoctets", index: 1 },
      ],
    });
  });

  test("that is full refuses what would be more by its own error", async () => {
    const ada = await client({ messagesMax: 1 });
    await ada.append(1);
    const inbox = await ada.mailbox("inbox");
    const email = { mailboxIds: { [inbox]: true }, subject: "x" };
    const { notCreated } = await ada.call("Email/set", { create: { a: email } });
    expect(notCreated.a.type).toBe("overQuota");
  });

  test("is announced where there is a limit", async () => {
    const ada = await client({ messagesMax: 1 });
    expect(sessionObject(ada.session, "https://x", AT_ONCE).capabilities).toHaveProperty([CAPABILITY], {});
    expect((await ada.call("Quota/get")).list.map(({ id }: { readonly id: string }) => id)).toEqual(["qcount"]);
    const other = await openClient();
    expect(sessionObject(other.session, "https://x", AT_ONCE).capabilities).not.toHaveProperty([CAPABILITY]);
    expect((await other.call("Quota/get")).list).toEqual([]);
  });
});
