import { createTransport, type Transporter } from "nodemailer";
import { afterAll, beforeAll, expect, test } from "vitest";
import { JmapClient, type Json } from "../kit/jmap-client.ts";
import { DEMO, makeDataFolder, type RunningServer, removeDataFolder, startServer } from "../kit/server.ts";

let server: RunningServer;
let client: JmapClient;
beforeAll(async () => {
  server = await startServer(await makeDataFolder(), { env: { RESTANTE_HTTPS_TLS: "off" } });
  client = await JmapClient.connect(server.ports.https!);
});
afterAll(async () => {
  expect(await server.stop()).toBe(0);
  await removeDataFolder(server.data);
});

function program(port: number, pass: string = DEMO.password): Transporter {
  const isSecure = port === server.ports.submissions;
  const tls = { rejectUnauthorized: false };
  return createTransport({
    host: "127.0.0.1",
    port,
    secure: isSecure,
    requireTLS: !isSecure,
    tls,
    auth: { user: DEMO.user, pass },
  });
}

async function subjects(): Promise<string[]> {
  const { ids } = await client.call("Email/query", {});
  const { list } = await client.call("Email/get", { ids, properties: ["subject"] });
  return list.map(({ subject }: Json) => subject);
}

test.each(["submission", "submissions"])(
  "by %s a program sends, with its owner's password and as its owner",
  async (name) => {
    const smtp = program(server.ports[name]!);
    const to = DEMO.user;
    await smtp.sendMail({ from: DEMO.user, to, bcc: "demo+b@example.org", subject: `by ${name}`, text: "hello" });
    await expect.poll(subjects, { timeout: 60_000 }).toEqual(expect.arrayContaining([`by ${name}`, `by ${name}`]));
    const large = { from: DEMO.user, to, subject: `large by ${name}`, text: "line\r\n".repeat(300_000) };
    await smtp.sendMail(large);
    await expect.poll(subjects, { timeout: 60_000 }).toContain(large.subject);
    for (const [mail, code] of [
      [{ from: "eve@example.org", to, text: "x" }, "5.7.1"],
      [{ envelope: { from: DEMO.user, to }, from: "eve@example.org", to, text: "x" }, "5.7.1"],
      [{ from: DEMO.user, to: "somebody@elsewhere.example", text: "x" }, "5.1.1"],
    ] as const)
      await expect(smtp.sendMail(mail)).rejects.toThrow(
        new RegExp(`^Message failed: 550 ${code} |^Can't send mail.*550 ${code} `, "s"),
      );
    smtp.close();
  },
);

test("without the right password, and without TLS, nobody sends", async () => {
  await expect(program(server.ports.submissions!, "wrong long sesame").verify()).rejects.toThrow(/535 5\.7\.8 /);
  const clear = {
    host: "127.0.0.1",
    port: server.ports.submission!,
    ignoreTLS: true,
    auth: { user: DEMO.user, pass: DEMO.password },
  };
  await expect(createTransport(clear).verify()).rejects.toThrow(/538/);
  const nobody = createTransport({
    host: "127.0.0.1",
    port: server.ports.submission!,
    requireTLS: true,
    tls: { rejectUnauthorized: false },
  });
  await expect(nobody.sendMail({ from: DEMO.user, to: DEMO.user, text: "x" })).rejects.toThrow(/530/);
});

test("JMAP writes, holds, takes back and sends; the copy is moved by the same request", async () => {
  const using = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:submission"];
  const [drafts, sent] = [await client.mailbox("drafts"), await client.mailbox("sent")];
  const draft = (subject: string) => ({
    mailboxIds: { [drafts]: true },
    keywords: { $draft: true },
    from: [{ email: DEMO.user }],
    to: [{ email: DEMO.user }],
    subject,
    textBody: [{ partId: "t", type: "text/plain" }],
    bodyValues: { t: { value: "hello" } },
  });
  const events = await client.events("types=EmailSubmission&closeafter=no&ping=0");
  const envelope = {
    mailFrom: { email: DEMO.user, parameters: { HOLDFOR: "3600" } },
    rcptTo: [{ email: DEMO.user, parameters: null }],
  };
  const update = { [`mailboxIds/${drafts}`]: null, [`mailboxIds/${sent}`]: true, "keywords/$draft": null };
  const { methodResponses } = await client.request(
    [
      [
        "Email/set",
        {
          create: {
            now: draft("now"),
            later: draft("later"),
            foreign: { ...draft("x"), from: [{ email: "eve@example.org" }] },
          },
        },
        "a",
      ],
      [
        "EmailSubmission/set",
        {
          create: {
            s: { identityId: "i0", emailId: "#now", undoStatus: "final" },
            c: { identityId: "i0", emailId: "#now", undoStatus: "canceled" },
            m: {
              identityId: "i0",
              emailId: "#now",
              envelope: { mailfrom: envelope.mailFrom, rcptTo: envelope.rcptTo },
            },
            z: { identityId: "i0", emailId: "#now", envelope: { mailFrom: null, rcptTo: envelope.rcptTo } },
            h: { identityId: "i0", emailId: "#later", envelope },
            f: { identityId: "i0", emailId: "#foreign" },
            n: { identityId: "i1", emailId: "#now" },
            e: { identityId: "i0", emailId: "m1" },
          },
          onSuccessUpdateEmail: { "#s": update, "#h": update, "#f": update },
        },
        "b",
      ],
    ],
    using,
  );
  const [, [, set, id], [implied, moved, same]] = methodResponses;
  expect([implied, id, same]).toEqual(["Email/set", "b", "b"]);
  expect(Object.keys(moved.updated).length).toBe(2);
  expect(set.created.s.undoStatus).toBe("pending");
  // A client that leaves mailFrom out sends as the identity.
  const [without] = (
    await client.request([["EmailSubmission/get", { ids: [set.created.m.id] }, "0"]], using)
  ).methodResponses.map(([, { list }]: Json) => list[0]);
  expect(without.envelope.mailFrom).toEqual({ email: DEMO.user, parameters: null });
  expect(set.notCreated).toMatchObject({
    c: { type: "invalidProperties", properties: ["undoStatus"] },
    z: { type: "invalidProperties", properties: ["envelope"] },
    f: { type: "forbiddenFrom" },
    n: { type: "invalidProperties", properties: ["identityId"] },
    e: { type: "invalidProperties", properties: ["emailId"] },
  });
  await expect.poll(subjects, { timeout: 60_000 }).toEqual(expect.arrayContaining(["now", "now"]));
  const call = async (name: string, args: object): Promise<Json> =>
    (await client.request([[name, args as never, "0"]], using)).methodResponses[0][1];
  await expect
    .poll(async () => (await call("EmailSubmission/get", { ids: [set.created.s.id] })).list[0].undoStatus)
    .toBe("final");
  await events.until(({ data }) => data.changed[client.accountId].EmailSubmission !== undefined);
  events.end();
  const { ids } = await call("EmailSubmission/query", { filter: { undoStatus: "pending" } });
  expect(ids).toEqual([set.created.h.id]);
  const [held] = (await call("EmailSubmission/get", { ids })).list;
  expect(held.envelope).toEqual(envelope);
  const undone = await call("EmailSubmission/set", {
    update: { [ids[0]]: { undoStatus: "canceled" }, [set.created.s.id]: { undoStatus: "canceled" } },
  });
  expect(undone.updated).toEqual({ [ids[0]]: null });
  expect(undone.notUpdated).toEqual({ [set.created.s.id]: { type: "cannotUnsend" } });
  expect((await call("EmailSubmission/get", { ids })).list[0].undoStatus).toBe("canceled");
  expect((await subjects()).filter((one) => one === "later")).toHaveLength(1);
});

test("identities are one's own", async () => {
  const using = ["urn:ietf:params:jmap:submission"];
  const call = async (name: string, args: object): Promise<Json> =>
    (await client.request([[name, args as never, "0"]], using)).methodResponses[0][1];
  const { created, notCreated, newState } = await call("Identity/set", {
    create: {
      a: { name: "Me", email: "demo+work@example.org", textSignature: "-- me" },
      b: { name: "Eve", email: "eve@example.org" },
      c: { name: "a\r\nBcc: x", email: DEMO.user },
    },
  });
  expect(created.a).toMatchObject({ replyTo: null, bcc: null, htmlSignature: "", mayDelete: true });
  expect(notCreated).toEqual({ b: { type: "forbiddenFrom" }, c: { type: "invalidProperties", properties: ["name"] } });
  const { list, state } = await call("Identity/get", {});
  expect([list.map(({ email }: Json) => email), state]).toEqual([[DEMO.user, "demo+work@example.org"], newState]);
  const changed = await call("Identity/set", {
    update: { i0: { name: "Demo", replyTo: [{ email: DEMO.user, name: null }] }, [created.a.id]: { email: "x@y" } },
  });
  expect(changed.updated).toEqual({ i0: null });
  expect(changed.notUpdated[created.a.id].properties).toEqual(["email"]);
  const own = await call("Identity/set", { destroy: ["i0"] });
  expect(own.notDestroyed.i0.type).toBe("forbidden");
  const changes = await call("Identity/changes", { sinceState: newState });
  expect([...changes.created, ...changes.updated]).toEqual(["i0"]);
  expect((await call("Identity/set", { destroy: [created.a.id] })).destroyed).toEqual([created.a.id]);
});
