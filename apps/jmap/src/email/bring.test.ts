import { describe, expect, test } from "vitest";
import { type Json, openClient } from "../jmap-kit.ts";

describe("Email/set", () => {
  test("a whole email may be sent back, with what never changes as it is", async () => {
    const client = await openClient();
    const id = await client.append(1);
    const whole = (await client.call("Email/get", { ids: [id] })).list[0];
    const set = (patch: object) => client.call("Email/set", { update: { [id]: patch } });
    const back = { ...whole, keywords: { $seen: true } };
    expect((await set(back)).updated).toEqual({ [id]: null });
    expect((await client.call("Email/get", { ids: [id] })).list[0]).toEqual(back);
    for (const wrong of [{ subject: "x" }, { blobId: "b0" }, { threadId: null }, { size: whole.size + 1 }])
      expect((await set({ ...back, ...wrong })).notUpdated[id]).toEqual({
        type: "invalidProperties",
        properties: Object.keys(wrong),
      });
  });

  test("more keywords and mailboxes than one may have are told of it alone", async () => {
    const client = await openClient();
    const [one, other] = [await client.append(1), await client.append(2)];
    const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, true]));
    const update = { [one]: { keywords: many(101) }, [other]: { keywords: many(100) } };
    const { updated, notUpdated } = await client.call("Email/set", { update });
    expect([updated, notUpdated]).toEqual([{ [other]: null }, { [one]: { type: "tooManyKeywords" } }]);
    const create = Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`c${n}`, { name: `n${n}` }]));
    const ids = Object.values((await client.call("Mailbox/set", { create })).created as object).map(({ id }) => id);
    const inAll = { mailboxIds: Object.fromEntries(ids.map((id) => [id, true])) };
    const told = await client.call("Email/set", { update: { [one]: inAll, [other]: { "keywords/k0": null } } });
    expect([told.updated, told.notUpdated]).toEqual([{ [other]: null }, { [one]: { type: "tooManyMailboxes" } }]);
  });

  test("makes an email that reads back as it was asked for, in several mailboxes, by the ids of what was made with it", async () => {
    const client = await openClient();
    const inbox = await client.mailbox("inbox");
    const { methodResponses } = await client.request([
      ["Mailbox/set", { create: { m: { name: "New" } } }, "a"],
      [
        "Email/set",
        {
          create: {
            e: {
              mailboxIds: { "#m": true, [inbox]: true },
              keywords: { $draft: true, Work: true },
              from: [{ name: "Ada", email: "ada@example.org" }],
              subject: "Größe",
              textBody: [{ partId: "t", type: "text/plain" }],
              bodyValues: { t: { value: "hello\n" } },
              receivedAt: "2020-01-02T03:04:05Z",
            },
          },
        },
        "b",
      ],
      ["Email/get", { ids: ["#e"], fetchTextBodyValues: true }, "c"],
    ]);
    const { created, oldState, newState } = methodResponses[1][1];
    expect(Object.keys(created.e).sort()).toEqual(["blobId", "id", "size", "threadId"]);
    expect(newState).not.toBe(oldState);
    const [email] = methodResponses[2][1].list;
    expect(email).toMatchObject({
      ...created.e,
      keywords: { $draft: true, work: true },
      subject: "Größe",
      from: [{ name: "Ada", email: "ada@example.org" }],
      receivedAt: "2020-01-02T03:04:05Z",
    });
    expect(Object.keys(email.mailboxIds).sort()).toEqual([inbox, methodResponses[0][1].created.m.id].sort());
    expect(email.bodyValues[email.textBody[0].partId].value).toBe("hello\n");
  });

  test("two who add different keywords at once both have their way", async () => {
    const client = await openClient();
    const other = await client.another();
    const id = await client.append(1);
    await other.session.refresh();
    await Promise.all([
      client.call("Email/set", { update: { [id]: { keywords: { a: true } } } }),
      other.call("Email/set", { update: { [id]: { "keywords/b": true } } }),
    ]);
    await client.session.refresh();
    const [{ keywords }] = (await client.call("Email/get", { ids: [id], properties: ["keywords"] })).list;
    expect(keywords).toEqual({ a: true, b: true });
  });

  test("$seen on 500 is one entry under 4 KB", async () => {
    const client = await openClient();
    for (let n = 0; n < 5; n++) {
      const prepared = [];
      for (let m = 0; m < 100; m++)
        prepared.push(
          await client.session.prepare(
            (async function* () {
              yield new TextEncoder().encode(`Message-ID: <${n}.${m}@x>\r\n\r\nx\r\n`);
            })(),
            { mailbox: "INBOX", flags: [] },
          ),
        );
      await client.session.appendMany(client.session.getMailbox("INBOX").id, prepared);
    }
    const { ids } = await client.call("Email/query");
    const before = client.session.state.modSeq;
    const update = Object.fromEntries(ids.map((id: string) => [id, { "keywords/$seen": true }]));
    const { updated, notUpdated } = await client.call("Email/set", { update });
    expect([Object.keys(updated).length, notUpdated, client.session.state.modSeq]).toEqual([500, null, before + 1]);
  });

  test.each([
    [{ subject: "x" }, "subject"],
    [{ "keywords/a b": true }, "keywords/a b"],
    [{ "keywords/$recent": true }, "keywords/$recent"],
    [{ "keywords/$deleted": true }, "keywords/$deleted"],
    [{ "keywords/a": false }, "keywords/a"],
    [{ keywords: { a: 1 } }, "keywords"],
    [{ keywords: [] }, "keywords"],
    [{ mailboxIds: {} }, "mailboxIds"],
    [{ mailboxIds: { pnone: true } }, "mailboxIds"],
    [{ mailboxIds: null }, "mailboxIds"],
    [{ "mailboxIds/pnone": true }, "mailboxIds/pnone"],
    [{ "keywords/a/b": true }, "keywords/a/b"],
  ])("does not take %j", async (patch, property) => {
    const client = await openClient();
    const id = await client.append(1);
    const before = (await client.call("Email/get", { ids: [id] })).list;
    const { notUpdated, updated, newState, oldState } = await client.call("Email/set", { update: { [id]: patch } });
    expect([updated, notUpdated[id]]).toEqual([null, { type: "invalidProperties", properties: [property] }]);
    expect([newState, (await client.call("Email/get", { ids: [id] })).list]).toEqual([oldState, before]);
  });

  test.each([[{ "/keywords": null }], [{ keywords: {}, "keywords/a": true }], [{ "keywords/~2": true }]])(
    "%j is no patch",
    async (patch) => {
      const client = await openClient();
      const id = await client.append(1);
      const { notUpdated } = await client.call("Email/set", { update: { [id]: patch } });
      expect(notUpdated[id]).toEqual({ type: "invalidPatch" });
    },
  );

  test("a patch that is half wrong changes nothing; one whose email went meanwhile is told so", async () => {
    const client = await openClient();
    const other = await client.another();
    const [id, gone] = [await client.append(1), await client.append(2)];
    await other.session.refresh();
    await other.call("Email/set", { destroy: [gone] });
    // This one has not seen that yet.
    const update = { [id]: { "keywords/a": true, "mailboxIds/pnone": true }, [gone]: { "keywords/a": true } };
    const { notUpdated } = await client.call("Email/set", { update, destroy: [gone.replace("m", "x")] });
    expect(notUpdated).toEqual({
      [id]: { type: "invalidProperties", properties: ["mailboxIds/pnone"] },
      [gone]: { type: "notFound" },
    });
    expect((await client.call("Email/get", { ids: [id], properties: ["keywords"] })).list[0].keywords).toEqual({});
  });

  test("ifInState: of two processes that change one state one has its way", async () => {
    const client = await openClient();
    const other = await client.another();
    const id = await client.append(1);
    await other.session.refresh();
    for (let round = 0; round < 30; round++) {
      const { state: ifInState } = await client.call("Email/get", { ids: [] });
      const answers = await Promise.all(
        [client, other].map((one, at) =>
          one.request([
            [
              "Email/set",
              { ifInState, update: { [id]: { [`keywords/k${round % 7}-${at}`]: round % 2 === 0 || null } } },
              "0",
            ],
          ]),
        ),
      );
      const names = answers.map(({ methodResponses: [[name, result]] }) => (name === "error" ? result.type : name));
      // Where nothing changes nobody is in anybody's way.
      expect(names).toContain("Email/set");
      if (round === 0) expect(names.sort()).toEqual(["Email/set", "stateMismatch"]);
      for (const one of [client, other]) await one.session.refresh();
    }
  });
});

describe("blobs of emails", () => {
  const text =
    "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
    "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=B6=C3=9Fe\r\n" +
    "--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\n\r\ninner\r\n--c--\r\n" +
    "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: within\r\n\r\ntext\r\n--b--\r\n";

  test("parts are given decoded, as long as their structure says, and multiparts are none", async () => {
    const client = await openClient();
    const id = await client.append(1, { text });
    const properties = ["bodyStructure", "blobId"];
    const bodyProperties = ["partId", "blobId", "size", "type", "subParts"];
    const [email] = (await client.call("Email/get", { ids: [id], properties, bodyProperties })).list;
    const parts: Json[] = [];
    const visit = (part: Json): void => {
      if (part.subParts?.length > 0) part.subParts.forEach(visit);
      else parts.push(part);
    };
    visit(email.bodyStructure);
    const read = async (blobId: string, more = {}): Promise<Json> =>
      (await client.call("Blob/get", { ids: [blobId], properties: ["data:asText", "size"], ...more })).list[0];
    const contents = [];
    for (const { blobId, size } of parts) {
      const blob = await read(blobId);
      expect([blob.size, new TextEncoder().encode(blob["data:asText"]).length]).toEqual([size, size]);
      contents.push(blob["data:asText"]);
    }
    expect(contents).toEqual(["Größe", "inner", "Subject: within\r\n\r\ntext"]);
    expect((await read(parts[0].blobId, { offset: 2, length: 2 }))["data:asText"]).toBe("ö");
    const none = [`${email.blobId}-2`, `${email.blobId}-4`, `${email.blobId}-1-1`, `${email.blobId}-2-2`];
    expect((await client.call("Blob/get", { ids: none })).notFound).toEqual(none);
    // A message within a part is a blob too, and Email/parse reads it.
    const { parsed } = await client.call("Email/parse", { blobIds: [parts[2].blobId], properties: ["subject"] });
    expect(parsed[parts[2].blobId]).toEqual({ subject: "within" });
  });

  test("an upload's parts are blobs too, once it is parsed; imported it is an email, twice if it is asked for twice", async () => {
    const client = await openClient();
    const inbox = await client.mailbox("inbox");
    const { created } = await client.call("Blob/upload", { create: { u: { data: [{ "data:asText": text }] } } });
    const { parsed } = await client.call("Email/parse", { blobIds: [created.u.id] });
    const part = parsed[created.u.id].textBody[0].blobId;
    const { list } = await client.call("Blob/get", { ids: [part], properties: ["data:asText"] });
    expect(list[0]["data:asText"]).toBe("Größe");
    const one = { blobId: created.u.id, mailboxIds: { [inbox]: true }, keywords: { $seen: true } };
    const imported = await client.call("Email/import", { emails: { a: one, b: { ...one, blobId: part }, c: one } });
    expect(imported.notCreated.b).toEqual({ type: "invalidEmail" });
    expect(imported.created.a.id).not.toBe(imported.created.c.id);
    const matched = await client.call("Blob/lookup", {
      typeNames: ["Email", "Mailbox", "Thread"],
      ids: [imported.created.a.blobId, created.u.id, "b0"],
    });
    expect(matched.notFound).toEqual(["b0"]);
    expect(matched.list).toEqual([
      {
        id: imported.created.a.blobId,
        matchedIds: { Email: [imported.created.a.id], Mailbox: [inbox], Thread: [imported.created.a.threadId] },
      },
      { id: created.u.id, matchedIds: { Email: [], Mailbox: [], Thread: [] } },
    ]);
  });

  test("nothing is copied within an account", async () => {
    const client = await openClient();
    const { accountId } = client;
    for (const name of ["Email/copy", "Blob/copy"]) {
      expect(await client.error(name, { fromAccountId: accountId, create: {}, blobIds: [] })).toBe("invalidArguments");
      expect(await client.error(name, { fromAccountId: "a0", create: {}, blobIds: [] })).toBe("fromAccountNotFound");
    }
  });
});
