import { describe, expect, test } from "vitest";
import { type Json, openClient } from "../jmap-kit.ts";

describe("Mailbox/get", () => {
  test("an account begins with its roles; what is asked for is given, and the id", async () => {
    const client = await openClient();
    const { list } = await client.call("Mailbox/get", { properties: ["role", "name"] });
    expect(list.map(({ role }: Json) => role)).toEqual(["inbox", "drafts", "sent", "trash", "junk", "archive"]);
    expect(Object.keys(list[0]).sort()).toEqual(["id", "name", "role"]);
    expect(list[0].name).toBe("Inbox");
    const [whole] = (await client.call("Mailbox/get", { ids: [list[1].id, list[1].id] })).list;
    expect(whole).toMatchObject({ parentId: null, sortOrder: 0, isSubscribed: expect.any(Boolean), totalEmails: 0 });
    expect(whole.myRights).toMatchObject({ mayRename: true, mayDelete: true, maySubmit: true });
  });

  test("unknown ids are told, unknown properties refused, and no more than 4,096 are looked at", async () => {
    const client = await openClient();
    const { notFound } = await client.call("Mailbox/get", { ids: ["x", "p", "__proto__", "#none"] });
    expect(notFound).toEqual(["x", "p", "__proto__", "#none"]);
    expect((await client.call("Mailbox/get", { ids: [] })).list).toEqual([]);
    expect(await client.error("Mailbox/get", { properties: ["nope"] })).toBe("invalidArguments");
    const ids = Array.from({ length: 4097 }, (_, at) => `p${at}`);
    expect(await client.error("Mailbox/get", { ids })).toBe("requestTooLarge");
  });
});

describe("Mailbox/set", () => {
  test("makes a mailbox below one that is made with it, whatever stands first", async () => {
    const client = await openClient();
    const { created } = await client.call("Mailbox/set", {
      create: { child: { name: "Child", parentId: "#parent" }, parent: { name: "Parent", sortOrder: 3 } },
    });
    const { list } = await client.call("Mailbox/get", { ids: [created.child.id] });
    expect(list[0]).toMatchObject({ name: "Child", parentId: created.parent.id, isSubscribed: true });
    expect(created.parent).toMatchObject({ totalEmails: 0, role: null, parentId: null });
    expect(created.parent.sortOrder).toBe(undefined);
    expect(client.session.getMailbox("Parent/Child").id).toBeDefined();
  });

  test("two mailboxes swap their names, and a role goes from one to another, by one op", async () => {
    const client = await openClient();
    const [archive, junk] = [await client.mailbox("archive"), await client.mailbox("junk")];
    const before = client.session.state.modSeq;
    const { updated } = await client.call("Mailbox/set", {
      update: { [archive]: { name: "Junk", role: null }, [junk]: { name: "Archive", role: "archive" } },
    });
    expect(updated).toEqual({ [archive]: null, [junk]: null });
    expect(client.session.state.modSeq).toBe(before + 1);
    const { list } = await client.call("Mailbox/get", { ids: [archive, junk], properties: ["name", "role"] });
    expect(list).toEqual([
      { id: archive, name: "Junk", role: null },
      { id: junk, name: "Archive", role: "archive" },
    ]);
  });

  test("a mailbox that is moved takes those below it along", async () => {
    const client = await openClient();
    const { created } = await client.call("Mailbox/set", {
      create: {
        a: { name: "A" },
        b: { name: "B", parentId: "#a" },
        c: { name: "C", parentId: "#b" },
        d: { name: "D" },
      },
    });
    await client.call("Mailbox/set", { update: { [created.b.id]: { parentId: created.d.id, name: "Bee" } } });
    expect(client.session.state.liveMailboxes().map(({ path }) => path)).toEqual(
      expect.arrayContaining(["A", "D", "D/Bee", "D/Bee/C"]),
    );
  });

  test.each([
    [{ name: "" }, "name"],
    [{ name: "a/b" }, "name"],
    [{ name: "a\u0007" }, "name"],
    [{ name: 1 }, "name"],
    [{ name: "x".repeat(256) }, "name"],
    [{}, "name"],
    [{ name: "A", parentId: "pnone" }, "parentId"],
    [{ name: "A", parentId: "#none" }, "parentId"],
    [{ name: "A", parentId: 1 }, "parentId"],
    [{ name: "A", role: "nope" }, "role"],
    [{ name: "A", role: "inbox" }, "role"],
    [{ name: "A", role: "trash" }, "role"],
    [{ name: "A", sortOrder: -1 }, "sortOrder"],
    [{ name: "A", sortOrder: 1.5 }, "sortOrder"],
    [{ name: "A", sortOrder: null }, "sortOrder"],
    [{ name: "A", isSubscribed: "yes" }, "isSubscribed"],
    [{ name: "A", totalEmails: 1 }, "totalEmails"],
    [{ name: "A", nope: 1 }, "nope"],
    [{ name: "A", "myRights/mayDelete": true }, "myRights/mayDelete"],
  ])("can't make %j", async (given, property) => {
    const client = await openClient();
    const { notCreated, created, oldState, newState } = await client.call("Mailbox/set", { create: { a: given } });
    expect([created, notCreated.a]).toEqual([null, { type: "invalidProperties", properties: [property] }]);
    expect(newState).toBe(oldState);
  });

  test("a name that is taken is told with who has it; a name in another form of Unicode is the same", async () => {
    const client = await openClient();
    const sent = await client.mailbox("sent");
    const { created, notCreated } = await client.call("Mailbox/set", {
      create: { a: { name: "Sent" }, b: { name: "Gru\u0308n" }, c: { name: "Gr\u00fcn" }, d: { name: "inbox" } },
    });
    expect(notCreated.a).toEqual({ type: "alreadyExists", existingId: sent });
    expect(created.b.name).toBe("Gr\u00fcn");
    expect([notCreated.c.type, notCreated.d.type]).toEqual(["alreadyExists", "alreadyExists"]);
  });

  test("Inbox stays where it is, and is never destroyed", async () => {
    const client = await openClient();
    const inbox = await client.mailbox("inbox");
    const archive = await client.mailbox("archive");
    for (const patch of [{ name: "Other" }, { parentId: archive }, { role: null }, { role: "junk" }])
      expect((await client.call("Mailbox/set", { update: { [inbox]: patch } })).notUpdated[inbox].type).toBe(
        "invalidProperties",
      );
    const same = { name: "Inbox", role: "inbox", parentId: null, sortOrder: 7 };
    expect((await client.call("Mailbox/set", { update: { [inbox]: same } })).updated).toEqual({ [inbox]: null });
    const { notDestroyed } = await client.call("Mailbox/set", { destroy: [inbox] });
    expect(notDestroyed[inbox].type).toBe("forbidden");
  });

  test("no circle is made, in one step or in two at once", async () => {
    const client = await openClient();
    const { created } = await client.call("Mailbox/set", { create: { a: { name: "A" }, b: { name: "B" } } });
    const [a, b] = [created.a.id, created.b.id];
    const one = await client.call("Mailbox/set", { update: { [a]: { parentId: a } } });
    expect(one.notUpdated[a]).toEqual({ type: "invalidProperties", properties: ["parentId"] });
    const both = await client.call("Mailbox/set", { update: { [a]: { parentId: b }, [b]: { parentId: a } } });
    expect(Object.keys(both.notUpdated).sort()).toEqual([a, b].sort());
    const made = await client.call("Mailbox/set", {
      create: { x: { name: "X", parentId: "#y" }, y: { name: "Y", parentId: "#x" } },
    });
    expect(Object.keys(made.notCreated)).toEqual(["x", "y"]);
  });

  test("what has a child or an email stays, unless its emails may go; children may go along", async () => {
    const client = await openClient();
    const { created } = await client.call("Mailbox/set", {
      create: { a: { name: "A" }, b: { name: "B", parentId: "#a" } },
    });
    const [a, b] = [created.a.id, created.b.id];
    await client.append(1, { path: "A/B" });
    const child = await client.call("Mailbox/set", { destroy: [a], onDestroyRemoveEmails: true });
    expect(child.notDestroyed[a].type).toBe("mailboxHasChild");
    const email = await client.call("Mailbox/set", { destroy: [b] });
    expect(email.notDestroyed[b].type).toBe("mailboxHasEmail");
    const both = await client.call("Mailbox/set", { destroy: [a, b], onDestroyRemoveEmails: true });
    expect(both.destroyed.sort()).toEqual([a, b].sort());
    expect((await client.call("Email/query")).ids).toEqual([]);
  });

  test("of many, those that can be are done; what is asked of one that goes is not", async () => {
    const client = await openClient();
    const { created } = await client.call("Mailbox/set", { create: { a: { name: "A" } } });
    const a = created.a.id;
    const answer = await client.call("Mailbox/set", {
      create: { a: { name: "A" }, bad: { name: "" } },
      update: { [a]: { name: "B" }, pnone: { name: "C" } },
      destroy: [a, "pnone2"],
    });
    expect(answer.created.a.id).not.toBe(a);
    expect(answer.notUpdated).toEqual({ [a]: { type: "willDestroy" }, pnone: { type: "notFound" } });
    expect(answer.destroyed).toEqual([a]);
    expect(answer.notDestroyed).toEqual({ pnone2: { type: "notFound" } });
    expect(answer.notCreated.bad.type).toBe("invalidProperties");
  });

  test("a whole mailbox may be sent back, with what only the server sets as it is", async () => {
    const client = await openClient();
    await client.append(1, { path: "Archive" });
    const id = await client.mailbox("archive");
    const whole = (await client.call("Mailbox/get", { ids: [id] })).list[0];
    const set = (patch: object) => client.call("Mailbox/set", { update: { [id]: patch } });
    expect((await set({ ...whole, name: "Old", sortOrder: 7 })).updated).toEqual({ [id]: null });
    expect((await client.call("Mailbox/get", { ids: [id] })).list[0]).toEqual({ ...whole, name: "Old", sortOrder: 7 });
    for (const wrong of [
      { totalEmails: 2 },
      { myRights: { ...whole.myRights, mayDelete: false } },
      { myRights: { mayDelete: true } },
      { "myRights/mayDelete": true },
    ])
      expect((await set(wrong)).notUpdated[id]).toEqual({ type: "invalidProperties", properties: Object.keys(wrong) });
    // Null is the default: RFC 8620 §5.3.
    await set({ sortOrder: null });
    expect((await client.call("Mailbox/get", { ids: [id] })).list[0].sortOrder).toBe(0);
  });

  test("what stands below what is refused is refused with it, in one look however long the line is", async () => {
    const client = await openClient();
    const create = Object.fromEntries(
      Array.from({ length: 4000 }, (_, n) => [`c${n}`, { name: n === 0 ? "a/b" : "x", parentId: n && `#c${n - 1}` }]),
    );
    create.c0 = { name: "a/b", parentId: null as never };
    const begun = performance.now();
    const { created, notCreated } = await client.call("Mailbox/set", { create });
    expect([created, Object.keys(notCreated).length]).toEqual([null, 4000]);
    expect(notCreated.c0.properties).toEqual(["name"]);
    expect(notCreated.c3999).toEqual({ type: "invalidProperties", properties: ["parentId"] });
    expect(performance.now() - begun).toBeLessThan(2000);
  });

  test.each([
    ["a circle", (n: number) => ({ name: `n${n}`, parentId: `#c${(n + 1) % 4000}` }), 0],
    ["each below the next", (n: number) => ({ name: `n${n}`, parentId: n === 0 ? null : `#c${n - 1}` }), 50],
    ["of one name", () => ({ name: "same" }), 1],
  ])("of thousands (%s) those are made that can be, in no more time than others take", async (_name, one, made) => {
    const client = await openClient();
    const create = Object.fromEntries(Array.from({ length: 4000 }, (_, n) => [`c${n}`, one(n)]));
    const begun = performance.now();
    const { created, notCreated } = await client.call("Mailbox/set", { create });
    expect([Object.keys(created ?? {}).length, Object.keys(notCreated).length]).toEqual([made, 4000 - made]);
    expect(performance.now() - begun).toBeLessThan(2000);
  });

  test("where each refusal leads to the next, far too often, nothing is done", async () => {
    const client = await openClient();
    const names = Array.from({ length: 1000 }, (_, n) => `n${String(n).padStart(4, "0")}`);
    const made = await client.call("Mailbox/set", {
      create: Object.fromEntries(names.map((name) => [name, { name }])),
    });
    const move = (count: number) => ({
      update: Object.fromEntries(
        names.slice(0, count).map((name, at) => [made.created[name].id, { name: names[at + 1] ?? "n0500" }]),
      ),
    });
    // The last of them can't, so that the one before it can't, and so on.
    expect(Object.keys((await client.call("Mailbox/set", move(3))).notUpdated).length).toBe(3);
    expect(await client.error("Mailbox/set", move(999))).toBe("requestTooLarge");
  });

  test("ifInState is a condition of the change itself: of two processes one has its way", async () => {
    const client = await openClient();
    const other = await client.another();
    for (let round = 0; round < 30; round++) {
      const { state: ifInState } = await client.call("Mailbox/get", { ids: [] });
      await other.session.refresh();
      const answers = await Promise.all(
        [client, other].map((one, at) =>
          one.request([["Mailbox/set", { ifInState, create: { a: { name: `${round}-${at}` } } }, "0"]]),
        ),
      );
      const names = answers.map(({ methodResponses: [[name, result]] }) => (name === "error" ? result.type : name));
      expect(names.sort()).toEqual(["Mailbox/set", "stateMismatch"]);
      for (const one of [client, other]) await one.session.refresh();
    }
  });

  test("what another process did meanwhile is told by each mailbox, and the rest is done", async () => {
    const client = await openClient();
    const other = await client.another();
    await other.call("Mailbox/set", { create: { a: { name: "A" } } });
    // This one has not seen it yet.
    const answer = await client.call("Mailbox/set", { create: { a: { name: "A" }, b: { name: "B" } } });
    expect([answer.notCreated.a.type, answer.created.b.id]).toEqual(["alreadyExists", expect.stringMatching(/^p/)]);
  });
});

describe("Mailbox/query", () => {
  test("sorts and filters as a tree", async () => {
    const client = await openClient();
    const { created } = await client.call("Mailbox/set", {
      create: {
        z: { name: "Z", sortOrder: 1 },
        za: { name: "A below Z", parentId: "#z" },
        zb: { name: "b below Z", parentId: "#z", isSubscribed: false },
        zbc: { name: "C below b", parentId: "#zb" },
      },
    });
    const names = async (args: Readonly<Record<string, unknown>>): Promise<readonly string[]> => {
      const { ids } = await client.call("Mailbox/query", args);
      const { list } = await client.call("Mailbox/get", { ids, properties: ["name"] });
      return ids.map((id: string) => list.find((one: Json) => one.id === id).name);
    };
    const sort = [{ property: "name" }];
    const filter = { operator: "OR", conditions: [{ name: "below" }, { name: "Z" }] };
    expect(await names({ sort, filter })).toEqual(["A below Z", "b below Z", "C below b", "Z"]);
    expect(await names({ sort, filter, sortAsTree: true })).toEqual(["Z", "A below Z", "b below Z", "C below b"]);
    const subscribed = { operator: "AND", conditions: [filter, { isSubscribed: true }] };
    expect(await names({ sort, filter: subscribed })).toEqual(["A below Z", "C below b", "Z"]);
    expect(await names({ sort, filter: subscribed, filterAsTree: true })).toEqual(["A below Z", "Z"]);
    expect(await names({ filter: { hasAnyRole: false, parentId: null } })).toEqual(["Z"]);
    expect(await names({ filter: { parentId: created.zb.id } })).toEqual(["C below b"]);
    expect(await names({ filter: { role: "trash" } })).toEqual(["Trash"]);
    const paged = { sort, filter, calculateTotal: true };
    expect(await client.call("Mailbox/query", { ...paged, position: -1, limit: 1 })).toMatchObject({
      position: 3,
      ids: [created.z.id],
      total: 4,
    });
    expect(await client.call("Mailbox/query", { ...paged, anchor: created.zb.id, anchorOffset: -1 })).toMatchObject({
      position: 0,
    });
    expect(await client.error("Mailbox/query", { ...paged, anchor: "pnone" })).toBe("anchorNotFound");
  });

  test.each([
    [{ filter: { nope: 1 } }, "unsupportedFilter"],
    [{ filter: { name: 1 } }, "invalidArguments"],
    [{ filter: { operator: "XOR", conditions: [] } }, "invalidArguments"],
    [{ filter: { operator: "AND" } }, "invalidArguments"],
    [{ filter: [] }, "invalidArguments"],
    [{ sort: [{ property: "nope" }] }, "unsupportedSort"],
    [{ sort: [{ property: "constructor" }] }, "unsupportedSort"],
    [{ sort: [{ property: "name", collation: "nope" }] }, "unsupportedSort"],
    [{ sort: [{}] }, "invalidArguments"],
    [{ sort: {} }, "invalidArguments"],
    [{ limit: -1 }, "invalidArguments"],
    [{ position: 1.5 }, "invalidArguments"],
  ])("refuses %j", async (args, type) => {
    const client = await openClient();
    expect(await client.error("Mailbox/query", args)).toBe(type);
  });
});

describe("Mailbox/changes", () => {
  test("counts alone are told as such; a name is more", async () => {
    const client = await openClient();
    const { state } = await client.call("Mailbox/get", { ids: [] });
    await client.append(1);
    const inbox = await client.mailbox("inbox");
    const counts = await client.call("Mailbox/changes", { sinceState: state });
    expect(counts).toMatchObject({ updated: [inbox], created: [], destroyed: [], hasMoreChanges: false });
    expect(counts.updatedProperties).toEqual(["totalEmails", "unreadEmails", "totalThreads", "unreadThreads"]);
    await client.call("Mailbox/set", { update: { [inbox]: { sortOrder: 3 } } });
    const more = await client.call("Mailbox/changes", { sinceState: state });
    expect([more.updated, more.updatedProperties]).toEqual([[inbox], null]);
    const none = await client.call("Mailbox/changes", { sinceState: more.newState });
    expect(none).toMatchObject({ updated: [], updatedProperties: null, newState: more.newState });
  });

  test("a name that changed before the page on which its mailbox is told is no change of counts", async () => {
    const client = await openClient();
    const { state } = await client.call("Mailbox/get", { ids: [] });
    const trash = await client.mailbox("trash");
    await client.call("Mailbox/set", { update: { [trash]: { sortOrder: 9 } } });
    await client.append(1);
    await client.append(2, { path: "Trash" });
    const first = await client.call("Mailbox/changes", { sinceState: state, maxChanges: 1 });
    expect(first.updated).toEqual([await client.mailbox("inbox")]);
    const second = await client.call("Mailbox/changes", { sinceState: first.newState, maxChanges: 1 });
    expect([second.updated, second.updatedProperties]).toEqual([[trash], null]);
  });

  test("what IMAP subscribes to is told", async () => {
    const client = await openClient();
    const trash = await client.mailbox("trash");
    const isSubscribed = async (): Promise<boolean> =>
      (await client.call("Mailbox/get", { ids: [trash] })).list[0].isSubscribed;
    const { state } = await client.call("Mailbox/get", { ids: [] });
    const before = await isSubscribed();
    await client.session.subscribe("Trash", !before);
    expect(await isSubscribed()).toBe(!before);
    expect((await client.call("Mailbox/changes", { sinceState: state })).updated).toEqual([trash]);
  });

  test.each(["", "x", "0", "0.x", "1.0", "0.99999", "n-17", "0.1.zz.0", "-1.0"])(
    "from %j there is no way",
    async (state) => {
      const client = await openClient();
      expect(await client.error("Mailbox/changes", { sinceState: state })).toBe("cannotCalculateChanges");
    },
  );

  test("no more than maxChanges, and never none of them", async () => {
    const client = await openClient();
    const { state } = await client.call("Mailbox/get", { ids: [] });
    const create = Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`c${at}`, { name: `C${at}` }]));
    const { created } = await client.call("Mailbox/set", { create });
    const seen: string[] = [];
    for (let since = state, more = true; more; ) {
      const page = await client.call("Mailbox/changes", { sinceState: since, maxChanges: 2 });
      expect(page.created.length).toBeGreaterThan(0);
      seen.push(...page.created);
      more = page.hasMoreChanges;
      since = page.newState;
    }
    expect(seen.sort()).toEqual(
      Object.values(created)
        .map(({ id }: Json) => id)
        .sort(),
    );
    expect(await client.error("Mailbox/changes", { sinceState: state, maxChanges: 0 })).toBe("invalidArguments");
  });
});
