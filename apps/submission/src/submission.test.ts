import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { type AccountSession, EngineError } from "@restante/engine";
import { Gate, listen, Tls } from "@restante/host";
import { expect, onTestFinished, test } from "vitest";
import { holdOf, notifyOf } from "./parameters.ts";
import { createSubmissionServer, type SubmissionServerOptions } from "./server.ts";

const nobody = async (): Promise<never> => {
  throw new EngineError("not-permitted", "no");
};

async function open(signIn: SubmissionServerOptions["signIn"] = nobody) {
  const folder = mkdtempSync(join(tmpdir(), "restante-submission-"));
  const tls = new Tls({ cert: "", key: "", folder, minVersion: "TLSv1.2", oldSuites: false });
  await tls.reload();
  const gate = new Gate({ networkOf: (address) => address });
  const server = createSubmissionServer({
    signIn,
    secureContext: () => tls.context,
    gate,
    sizeMax: 1000,
    recipientsMax: 3,
    serverName: "mx.example.org",
    log: () => undefined,
  });
  const bound = [];
  for (const one of [server.submission, server.submissions])
    bound.push(Number((await listen(one, { kind: "tcp", host: "127.0.0.1", port: 0 })).split(":").at(-1)));
  onTestFinished(async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
  });
  return { gate, submission: bound[0]!, submissions: bound[1]! };
}

async function say(socket: Socket, line: string): Promise<string> {
  socket.write(`${line}\r\n`);
  return String((await once(socket, "data"))[0]);
}

test("whoever goes, and however far they came, is counted no more", async () => {
  const { gate, submission, submissions } = await open();
  for (const stage of ["connected", "greeted", "secured", "refused"]) {
    const socket = connect(submission, "127.0.0.1");
    await once(socket, "data");
    expect(gate.counts.connections).toBe(1);
    if (stage !== "connected") await say(socket, "EHLO x");
    if (stage === "secured" || stage === "refused") {
      await say(socket, "STARTTLS");
      const secured = connectTls({ socket, rejectUnauthorized: false });
      await once(secured, "secureConnect");
      await say(secured, "EHLO x");
      if (stage === "refused")
        expect(await say(secured, `AUTH PLAIN ${btoa("\0ada\0wrong")}`)).toMatch(/^535 5\.7\.8 Wrong/);
      secured.destroy();
    }
    socket.destroy();
    await expect.poll(() => gate.counts).toEqual({ connections: 0, strangers: 0 });
  }
  const implicit = connectTls({ port: submissions, host: "127.0.0.1", rejectUnauthorized: false });
  await once(implicit, "data");
  implicit.destroy();
  await expect.poll(() => gate.counts).toEqual({ connections: 0, strangers: 0 });
  const silent = connect(submissions, "127.0.0.1");
  await once(silent, "connect");
  silent.destroy();
  await expect.poll(() => gate.counts).toEqual({ connections: 0, strangers: 0 });
});

test("plain text behind STARTTLS is no part of what comes by TLS", async () => {
  const { submission } = await open();
  const socket = connect(submission, "127.0.0.1");
  await once(socket, "data");
  await say(socket, "EHLO x");
  socket.write("STARTTLS\r\nRSET\r\nNOOP\r\n");
  await once(socket, "data");
  const secured = connectTls({ socket, rejectUnauthorized: false });
  await once(secured, "secureConnect");
  expect(await say(secured, "EHLO x")).toMatch(/^250-/);
  expect(await say(secured, "NOOP")).toMatch(/^250 /);
  secured.destroy();
});

test("after three wrong passwords the connection takes no more", async () => {
  const { submissions } = await open();
  const socket = connectTls({ port: submissions, host: "127.0.0.1", rejectUnauthorized: false });
  await once(socket, "data");
  await say(socket, "EHLO x");
  const replies = [];
  for (let n = 0; n < 4; n++) replies.push((await say(socket, `AUTH PLAIN ${btoa("\0ada\0wrong")}`)).slice(0, 3));
  expect(replies).toEqual(["535", "535", "535", "421"]);
  socket.destroy();
});

test("recipients beyond those that a mail may have are refused one by one, and those before them are taken", async () => {
  const session = { address: "ada@example.org", close: () => undefined } as unknown as AccountSession;
  const { submissions } = await open(async () => session);
  const socket = connectTls({ port: submissions, host: "127.0.0.1", rejectUnauthorized: false });
  await once(socket, "data");
  await say(socket, "EHLO x");
  expect(await say(socket, `AUTH PLAIN ${btoa("\0ada\0right")}`)).toMatch(/^235 /);
  for (let round = 0; round < 2; round++) {
    await say(socket, "MAIL FROM:<ada@example.org>");
    const replies = [];
    for (let n = 0; n < 5; n++) replies.push(await say(socket, `RCPT TO:<${n}@x.org>`));
    expect(replies.map((reply) => reply.slice(0, 9))).toEqual([
      ...["250 2.1.5", "250 2.1.5", "250 2.1.5"],
      ...["452 4.5.3", "452 4.5.3"],
    ]);
    await say(socket, "RSET");
  }
  socket.destroy();
});

test.each([
  [{ SIZE: "1", BODY: "8BITMIME", SMTPUTF8: true, RET: "HDRS", ENVID: "x" }, undefined],
  [{ HOLDFOR: "60" }, 61_000],
  [{ HOLDUNTIL: "1970-01-02T00:00:00Z" }, 86_400_000],
  [{ HOLDFOR: "x" }, "wrong"],
  [{ HOLDUNTIL: "tomorrow" }, "wrong"],
  [{ HOLDFOR: "60", HOLDUNTIL: "1970-01-02T00:00:00Z" }, "wrong"],
  [{ NOPE: true }, "wrong"],
] as const)("MAIL FROM with %j", (given, expected) => {
  expect(holdOf(given as Readonly<Record<string, string | true>>, 1000)).toBe(expected);
});

test.each([
  [{}, undefined],
  [{ NOTIFY: "never" }, "NEVER"],
  [{ NOTIFY: "SUCCESS,DELAY", ORCPT: "rfc822;x" }, "SUCCESS,DELAY"],
  [{ NOTIFY: "NEVER,DELAY" }, "wrong"],
  [{ X: "1" }, "wrong"],
] as const)("RCPT TO with %j", (given, expected) => {
  expect(notifyOf(given as Readonly<Record<string, string | true>>)).toBe(expected);
});
