import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EngineError, type OutgoingMail, TransportTrouble } from "@restante/engine";
import { SMTPServer } from "smtp-server";
import { describe, expect, onTestFinished, test } from "vitest";
import { LocalTransport } from "./local.ts";
import { parseSmarthost } from "./smarthost.ts";
import { SmtpTransport } from "./smtp.ts";

function mailOf(
  to: readonly string[],
  more: Partial<OutgoingMail> = {},
  text = "Subject: x\r\n\r\nhello\r\n",
): OutgoingMail {
  return {
    id: "0".repeat(32),
    envelope: { mailFrom: "ada@example.org", recipients: to.map((address) => ({ address, notify: undefined })) },
    envid: "abc123",
    size: text.length,
    needsUtf8: false,
    needsEightBit: false,
    async *read() {
      yield Buffer.from(text, "latin1");
    },
    ...more,
  };
}

const never = new AbortController().signal;

function transportTo(url: string, password?: string): SmtpTransport {
  const transport = new SmtpTransport({
    smarthost: parseSmarthost(url),
    password,
    ca: undefined,
    hostName: "mx.example.org",
  });
  onTestFinished(() => transport.dispose());
  return transport;
}

/** A smarthost that says what it is told to say. */
async function smarthost(options: ConstructorParameters<typeof SMTPServer>[0] = {}, path?: string) {
  const taken: string[] = [];
  const server = new SMTPServer({
    disabledCommands: ["AUTH", "STARTTLS"],
    authOptional: true,
    disableReverseLookup: true,
    onData(stream, _session, callback) {
      let text = "";
      stream.on("data", (piece: Buffer) => {
        text += piece.toString("latin1");
      });
      stream.on("end", () => {
        taken.push(text);
        callback(null, "queued as 1");
      });
    },
    ...options,
  });
  if (path === undefined) server.listen(0, "127.0.0.1");
  else server.listen(path);
  await once(server.server, "listening");
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const address = server.server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { taken, server, url: path === undefined ? `smtp://127.0.0.1:${port}` : `smtp+unix://${path}` };
}

/** A server that answers each line that comes by what `answer` says. */
async function scripted(
  answer: (line: string) => string | undefined,
): Promise<{ readonly url: string; readonly lines: string[]; readonly server: Server }> {
  const lines: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.write("220 mx\r\n");
    let text = "";
    socket.on("data", (piece) => {
      text += piece.toString("latin1");
      for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
        const line = text.slice(0, end).trim();
        text = text.slice(end + 1);
        lines.push(line);
        const said = answer(line);
        if (said === "hang up") socket.destroy();
        else if (said !== undefined) socket.write(`${said}\r\n`);
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { url: `smtp://127.0.0.1:${(server.address() as { port: number }).port}`, lines, server };
}

/** A server that takes each mail, and all that came. */
async function listening(): Promise<{ readonly url: string; readonly raw: () => string }> {
  let all = "";
  let isData = false;
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.write("220 mx\r\n");
    socket.on("data", (piece) => {
      all += piece.toString("latin1");
      if (isData && !all.endsWith("\r\n.\r\n")) return;
      isData = !isData && all.endsWith("DATA\r\n");
      socket.write(isData ? "354 go on\r\n" : "250 ok\r\n");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return { url: `smtp://127.0.0.1:${(server.address() as { port: number }).port}`, raw: () => all };
}

const usual = (more: Readonly<Record<string, string>> = {}) => {
  let isData = false;
  return (line: string): string | undefined => {
    if (isData && line !== ".") return undefined;
    const verb = isData ? "." : line.split(/[ :]/)[0]!.toUpperCase();
    isData = verb === "DATA" && !(more.DATA ?? "354").startsWith("5");
    const own = Object.entries(more).find(([begin]) => line.toUpperCase().startsWith(begin.toUpperCase()))?.[1];
    if (own !== undefined) return own;
    return (
      { EHLO: "250-mx\r\n250-8BITMIME\r\n250 DSN", DATA: "354 go on", ".": "250 2.0.0 queued" }[verb] ?? "250 2.1.0 ok"
    );
  };
};

test.each([
  ["smtp://mx.example.org", { at: { kind: "tcp", host: "mx.example.org", port: 25 }, tls: "none", user: undefined }],
  [
    "smtp+starttls://ada@mx.example.org",
    { at: { kind: "tcp", host: "mx.example.org", port: 587 }, tls: "starttls", user: "ada" },
  ],
  ["smtps://a%40b@[::1]:4650", { at: { kind: "tcp", host: "::1", port: 4650 }, tls: "implicit", user: "a@b" }],
  ["smtp+unix:///run/x.sock", { at: { kind: "unix", path: "/run/x.sock" }, tls: "none", user: undefined }],
])("the smarthost %s", (text, expected) => {
  expect(parseSmarthost(text)).toEqual(expected);
});

test.each([
  "mx.example.org",
  "http://x",
  "smtp://u:p@x",
  "smtp://x/path",
  "smtp://x?y",
  "smtp+unix://host/path",
  "smtp+unix:",
  "smtp://",
])("%s is no smarthost", (text) => {
  expect(() => parseSmarthost(text)).toThrow(RangeError);
});

describe("by SMTP", () => {
  test("a mail goes as it is, dots and all, and the connection takes the next", async () => {
    const { url, taken, server } = await smarthost();
    const transport = transportTo(url);
    const text = "Subject: x\r\n\r\n.\r\n..two\r\nlast\r\n";
    for (let n = 0; n < 3; n++)
      expect(await transport.send(mailOf(["bob@x.org"], {}, text), never)).toEqual([
        { state: "sent", reply: expect.stringMatching(/^250 .*queued as 1/) },
      ]);
    expect([taken, server.connections.size]).toEqual([[text, text, text], 1]);
  });

  test("no end of a mail in its text is one for the next server, however that reads line ends", async () => {
    const { url, raw } = await listening();
    const transport = transportTo(url);
    for (const inside of ["\n.\n", "\r.\r", "\n.\r\n", "\r\n.\n", "\r\n.\r", "\r.\r\n", "\r.\n"]) {
      const text = `Subject: x\r\n\r\nhi${inside}MAIL FROM:<eve@x.org>\r\n`;
      await transport.send(mailOf(["a@x.org"], {}, text), never);
      const data = raw().split("DATA\r\n").at(-1)!;
      expect([inside, /(?:^|[\r\n])\.[\r\n]/.exec(data)?.index]).toEqual([inside, data.length - 4]);
      expect(data.replaceAll("\r\n", "")).not.toMatch(/[\r\n]/);
    }
    transport.dispose();
  });

  test("each recipient has an answer of its own", async () => {
    const { url, taken } = await smarthost({
      onRcptTo({ address }, _session, callback) {
        const code = { "no@x.org": 550, "later@x.org": 450 }[address];
        callback(code === undefined ? null : Object.assign(new Error("5.1.1 as you like"), { responseCode: code }));
      },
    });
    const replies = await transportTo(url).send(mailOf(["no@x.org", "yes@x.org", "later@x.org"]), never);
    expect(replies.map(({ state }) => state)).toEqual(["failed", "sent", "waiting"]);
    expect(replies[0]!.reply).toMatch(/^550 /);
    expect(taken.length).toBe(1);
  });

  test.each([
    [{ "RCPT TO": "550 5.1.1 no" }, ["failed", "failed"]],
    [{ "RCPT TO": "450 4.2.0 greylisted" }, ["waiting", "waiting"]],
    [{ "MAIL FROM": "550 5.7.1 no" }, ["failed", "failed"]],
    [{ DATA: "554 5.7.0 no" }, ["failed", "failed"]],
    [{ ".": "554 5.6.0 spam" }, ["failed", "failed"]],
    [{ ".": "451 4.3.0 later" }, ["waiting", "waiting"]],
    // No word of taking it.
    [{ "MAIL FROM": "354 what" }, ["waiting", "waiting"]],
    [{ "RCPT TO": "354 what" }, ["waiting", "waiting"]],
    [{ ".": "354 what" }, ["waiting", "waiting"]],
    [{ ".": "199 what" }, ["waiting", "waiting"]],
    [{ ".": "999 what" }, ["waiting", "waiting"]],
  ])("%j is said of both", async (more, states) => {
    const { url } = await scripted(usual(more));
    const replies = await transportTo(url).send(mailOf(["a@x.org", "b@x.org"]), never);
    expect(replies.map(({ state }) => state)).toEqual(states);
    expect(replies[0]!.reply).toBe(Object.values(more)[0]);
  });

  test.each([
    [{ EHLO: "421 4.3.2 busy", HELO: "421 4.3.2 busy" }, "later"],
    [{ "MAIL FROM": "421 4.3.2 busy" }, "later"],
    [{ "MAIL FROM": "530 5.7.0 sign in" }, "operator"],
    [{ "MAIL FROM": "hang up" }, "later"],
    [{ ".": "hang up" }, "later"],
    [{ "MAIL FROM": "so it goes" }, "later"],
    [{ DATA: "so it goes" }, "later"],
    [{ ".": "so it goes" }, "later"],
  ])("%j is trouble: %s", async (more, kind) => {
    const { url } = await scripted(usual(more));
    await expect(transportTo(url).send(mailOf(["a@x.org"]), never)).rejects.toMatchObject({
      name: "TransportTrouble",
      kind,
    });
  });

  test("nobody there is trouble; who takes too long is cut off", async () => {
    const { url, server } = await scripted(() => undefined);
    const cut = new AbortController();
    const pending = transportTo(url).send(mailOf(["a@x.org"]), cut.signal);
    setTimeout(() => cut.abort(), 100);
    await expect(pending).rejects.toBeInstanceOf(TransportTrouble);
    server.close();
    await expect(transportTo("smtp://127.0.0.1:1").send(mailOf(["a@x.org"]), never)).rejects.toMatchObject({
      kind: "later",
    });
  });

  test("a connection that waited and says no more does not outlast what cuts it off", async () => {
    const { url } = await scripted((line) => (line === "RSET" ? undefined : answer(line)));
    const answer = usual();
    const transport = transportTo(url);
    await transport.send(mailOf(["a@x.org"]), never);
    await expect(transport.send(mailOf(["b@x.org"]), AbortSignal.timeout(100))).rejects.toMatchObject({
      kind: "later",
    });
    await expect(transport.send(mailOf(["c@x.org"]), AbortSignal.abort())).rejects.toMatchObject({ kind: "later" });
  });

  test("of several, who gets an answer that is none is tried again", async () => {
    const { url } = await scripted(usual({ "RCPT TO:<b@X.ORG>": "so it goes" }));
    const replies = await transportTo(url).send(mailOf(["a@x.org", "b@x.org"]), never);
    expect(replies.map(({ state }) => state)).toEqual(["sent", "waiting"]);
  });

  test("a reply without end is cut off, and one of a thousand signs is cut", async () => {
    const { url } = await scripted(usual({ EHLO: "250-".concat("x".repeat(1000), "\r\n").repeat(500) }));
    await expect(transportTo(url).send(mailOf(["a@x.org"]), never)).rejects.toMatchObject({ kind: "later" });
    const long = await scripted(usual({ "RCPT TO": `550 5.1.1 ${"\u009b\t x".repeat(1000)}` }));
    const [reply] = await transportTo(long.url).send(mailOf(["a@x.org"]), never);
    expect(reply!.reply.length).toBeLessThanOrEqual(400);
    expect(reply!.reply).not.toMatch(/\p{Cc}/u);
  });

  test("the envelope's id goes along, and what its sender wants to hear", async () => {
    const { url, lines } = await scripted(usual());
    const envelope = { mailFrom: "ada@example.org", recipients: [{ address: "a@x.org", notify: "SUCCESS,FAILURE" }] };
    await transportTo(url).send(mailOf([], { envelope }), never);
    expect(lines.find((line) => line.startsWith("MAIL"))).toBe(
      "MAIL FROM:<ada@example.org> SIZE=22 RET=HDRS ENVID=abc123".replace(" SIZE=22", ""),
    );
    expect(lines.find((line) => line.startsWith("RCPT"))).toBe("RCPT TO:<a@x.org> NOTIFY=SUCCESS,FAILURE");
  });

  describe("recipients whose sender wants to hear of each otherwise", () => {
    const recipients = [
      { address: "a@x.org", notify: "NEVER" },
      { address: "b@x.org", notify: undefined },
      { address: "c@x.org", notify: "NEVER" },
    ];
    const mail = mailOf([], { envelope: { mailFrom: "ada@example.org", recipients } });

    test("are told of in exchanges of their own, each with its NOTIFY", async () => {
      const { url, lines } = await scripted(usual({ "RCPT TO:<C": "550 5.1.1 nobody" }));
      const replies = await transportTo(url).send(mail, never);
      expect(replies.map(({ state }) => state)).toEqual(["sent", "sent", "failed"]);
      expect(lines.filter((line) => /^(?:RCPT|DATA|RSET)/.test(line))).toEqual([
        "RCPT TO:<a@x.org> NOTIFY=NEVER",
        "RCPT TO:<c@x.org> NOTIFY=NEVER",
        "DATA",
        "RSET",
        "RCPT TO:<b@x.org> NOTIFY=FAILURE,DELAY",
        "DATA",
      ]);
    });

    test.each([
      ["RCPT TO:<B", "hang up"],
      ["RSET", "hang up"],
      ["RCPT TO:<B", "421 4.3.2 going down"],
    ])("and what one of these came to stays true when the next is cut off at %s", async (at, said) => {
      const { url } = await scripted(usual({ [at]: said }));
      const replies = await transportTo(url).send(mail, never);
      expect(replies.map(({ state }) => state)).toEqual(["sent", "waiting", "sent"]);
      expect(replies[1]!.reply).not.toBe("");
    });

    test("in few exchanges, however they spell it", async () => {
      const words = ["success", "FAILURE", "DELAY"];
      const spelled = words.flatMap((a) => [
        a,
        ...words.flatMap((b) => [`${a},${b}`, ...words.map((c) => `${a},${b},${c}`)]),
      ]);
      const all = ["NEVER", ...spelled].map((notify, at) => ({ address: `${at}@x.org`, notify }));
      const { url, lines } = await scripted(usual());
      await transportTo(url).send(mailOf([], { envelope: { mailFrom: "ada@example.org", recipients: all } }), never);
      expect([all.length, lines.filter((line) => line === "DATA").length]).toEqual([40, 8]);
      expect(lines).toContain("RCPT TO:<39@x.org> NOTIFY=DELAY");
    });

    test("and nothing is known where the first is cut off", async () => {
      const { url } = await scripted(usual({ "RCPT TO:<A": "hang up" }));
      await expect(transportTo(url).send(mail, never)).rejects.toMatchObject({ kind: "later" });
    });
  });

  test.each([
    ["250 SMTPUTF8", ["jörg@x.org", "a@bücher.example", "b@x.org"], ["sent", "sent", "sent"]],
    ["250 DSN", ["a@xn--bcher-kva.example", "b@x.org"], ["failed", "sent", "sent"]],
  ])(
    "addresses beyond ASCII go where they may (%s); else their domains are written in ASCII, or we refuse",
    async (offer, to, states) => {
      const { url, lines } = await scripted(usual({ EHLO: `250-mx\r\n250-8BITMIME\r\n${offer}` }));
      const replies = await transportTo(url).send(mailOf(["jörg@x.org", "a@bücher.example", "b@x.org"]), never);
      expect(replies.map(({ state }) => state)).toEqual(states);
      const said = (verb: string) =>
        lines.filter((line) => line.startsWith(verb)).map((line) => Buffer.from(line, "latin1").toString());
      expect(said("RCPT").map((line) => /<(.*)>/.exec(line)![1])).toEqual(to);
      expect(said("MAIL")[0]!.includes("SMTPUTF8")).toBe(offer.includes("SMTPUTF8"));
      const own = { mailFrom: "jörg@example.org", recipients: [{ address: "b@x.org", notify: undefined }] };
      const [reply] = await transportTo(url).send(mailOf([], { envelope: own }), never);
      expect(reply!.state).toBe(offer.includes("SMTPUTF8") ? "sent" : "failed");
    },
  );

  test("eight bits go where they may; else the mail is refused by us", async () => {
    const { url, lines } = await scripted(usual());
    const mail = mailOf(["a@x.org"], { needsEightBit: true }, "Subject: x\r\n\r\n\xff\r\n");
    await transportTo(url).send(mail, never);
    expect(lines.find((line) => line.startsWith("MAIL"))).toContain("BODY=8BITMIME");
    const seven = await scripted(usual({ EHLO: "250 mx" }));
    const transport = transportTo(seven.url);
    const [reply] = await transport.send(mail, never);
    expect([reply!.state, seven.lines.some((line) => line.startsWith("MAIL"))]).toEqual(["failed", false]);
    // By one connection, which is closed like any other.
    await transport.send(mail, never);
    expect(seven.lines.filter((line) => line.startsWith("EHLO"))).toHaveLength(1);
  });

  test("by STARTTLS with a certificate that nobody vouches for it is the operator's trouble", async () => {
    const { url } = await smarthost({ disabledCommands: ["AUTH"] });
    await expect(
      transportTo(url.replace("smtp:", "smtp+starttls:")).send(mailOf(["a@x.org"]), never),
    ).rejects.toMatchObject({ kind: "operator" });
    const clear = await smarthost();
    await expect(
      transportTo(clear.url.replace("smtp:", "smtp+starttls:")).send(mailOf(["a@x.org"]), never),
    ).rejects.toMatchObject({ name: "TransportTrouble" });
  });

  test("a wrong password is the operator's trouble; the right one signs in", async () => {
    const { url, taken } = await smarthost({
      disabledCommands: ["STARTTLS"],
      allowInsecureAuth: true,
      authOptional: false,
      onAuth({ password }, _session, callback) {
        if (password === "right") callback(null, { user: "ada" });
        else callback(Object.assign(new Error("no"), { responseCode: 535 }));
      },
    });
    const named = url.replace("smtp://", "smtp://ada@");
    await expect(transportTo(named, "wrong").send(mailOf(["a@x.org"]), never)).rejects.toMatchObject({
      kind: "operator",
    });
    await transportTo(named, "right").send(mailOf(["a@x.org"]), never);
    expect(taken.length).toBe(1);
  });

  test("a unix socket will do", async () => {
    const folder = mkdtempSync(join(tmpdir(), "restante-send-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const { url, taken } = await smarthost({}, join(folder, "smtp.sock"));
    expect((await transportTo(url).send(mailOf(["a@x.org"]), never))[0]!.state).toBe("sent");
    expect(taken.length).toBe(1);
  });
});

test("without a smarthost those who live here get their mail, and nobody else", async () => {
  const delivered: string[] = [];
  const transport = new LocalTransport({
    async deliver(address, mailFrom) {
      if (address === "full@x.org") throw new EngineError("over-quota", "full");
      if (address === "away@x.org") throw new EngineError("unavailable", "away");
      if (address === "no@x.org") return false;
      delivered.push(`${mailFrom} ${address}`);
      return true;
    },
  });
  const replies = await transport.send(mailOf(["yes@x.org", "no@x.org", "full@x.org", "away@x.org"]), never);
  expect(replies.map(({ state }) => state)).toEqual(["sent", "failed", "waiting", "waiting"]);
  expect(delivered).toEqual(["ada@example.org yes@x.org"]);
});

test("where mail goes to those who live here and is cut off, the others are tried again", async () => {
  const cut = new AbortController();
  const delivered: string[] = [];
  const transport = new LocalTransport({
    async deliver(address) {
      delivered.push(address);
      cut.abort();
      return true;
    },
  });
  const replies = await transport.send(mailOf(["one@x.org", "two@x.org", "three@x.org"]), cut.signal);
  expect(replies.map(({ state }) => state)).toEqual(["sent", "waiting", "waiting"]);
  expect(delivered).toEqual(["one@x.org"]);
});
