import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AccountSession, Accounts, DirectoryLogin, RequestSessions, revokeToken, Tickets } from "@restante/engine";
import {
  dropbox,
  FIRST,
  HandTime,
  mailText,
  quickArgon2,
  SECOND,
  settle,
  setUpAda,
  stream,
} from "@restante/engine/testing";
import {
  type DoorSocket,
  type EventStream,
  events,
  Gate,
  json,
  listen,
  OnceFolder,
  type Site,
  TrustedProxies,
} from "@restante/host";
import { Door } from "@restante/host/door";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Auth } from "./auth.ts";
import { explainError } from "./errors.ts";

const TICKET_KEPT_MS = 120_000;

/** An app as those to come: it asks for a scope, has an event stream and a WebSocket, and holds a request while told to. */
function testSite(auth: Auth, held: () => Promise<void>): Site {
  return {
    explain: explainError,
    routes: [
      {
        method: "POST",
        path: "/t",
        async handle(request) {
          using signedIn = await auth.signIn(request, { scope: "mail" });
          await held();
          return json({ address: signedIn.session.address, url: `${request.origin}/t` });
        },
      },
      {
        method: "POST",
        path: "/t/other",
        async handle(request) {
          using signedIn = await auth.signIn(request, { scope: "calendar" });
          return json(signedIn.session.address);
        },
      },
      {
        method: "POST",
        path: "/t/upload",
        bodyBytesMax: 100,
        async handle(request) {
          using signedIn = await auth.signIn(request, { scope: "mail", turn: "upload" });
          await request.bytes();
          await held();
          return json(signedIn.session.address);
        },
      },
      {
        method: "GET",
        path: "/t/events",
        async handle(request) {
          using signedIn = await auth.signIn(request, { scope: "mail", opens: "event-stream" });
          await held();
          let open: EventStream | undefined;
          signedIn.attend({
            changed: () => open?.send({ data: "changed" }),
            ended: () => open?.end(),
          });
          return events((begun) => {
            open = begun;
            begun.send({ data: "begun" });
          });
        },
      },
    ],
    sockets: [
      {
        path: "/t/ws",
        protocol: "jmap",
        messageBytesMax: 100,
        async open(request) {
          using signedIn = await auth.signIn(request, { scope: "mail", opens: "web-socket" });
          let open: DoorSocket | undefined;
          signedIn.attend({ changed: () => open?.tell("changed"), ended: () => open?.refuse("revoked") });
          kept = request.header("sec-websocket-protocol");
          return (socket) => {
            open = socket;
            socket.tell("begun");
          };
        },
      },
    ],
  };
}

/** Subprotocols that were offered for the WebSocket that was opened last, as its request still has them. */
let kept: string | undefined;

type Made = Awaited<ReturnType<typeof setUp>>;

/** Ada's server of two processes, which share the store, the server key and a folder. */
async function setUp() {
  const argon2id = vi.fn(quickArgon2);
  const ada = await setUpAda(argon2id);
  argon2id.mockClear();
  const folder = mkdtempSync(join(tmpdir(), "restante-auth-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const time = new HandTime();
  const platform = { ...ada.tools.platform, ...time };
  let hold: Promise<void> = Promise.resolve();
  const process = async (serverKey = new Uint8Array(32).fill(5)) => {
    const accounts = new Accounts({ ...ada.tools, store: ada.place.open(), platform });
    const sessions = new RequestSessions({
      accounts,
      login: (name, password, address) => accounts.login(name, password, address),
      loginByToken: (token, address) => accounts.loginByToken(token, address),
      platform,
    });
    const used = new OnceFolder(join(folder, "tickets"), TICKET_KEPT_MS);
    const tickets = new Tickets({ platform, serverKey, spend: (nonce) => used.use(nonce) });
    const auth = new Auth({ sessions, tickets, scopes: ["mail", "calendar"] });
    const door = new Door({
      sites: [auth.site, testSite(auth, () => hold)],
      tls: undefined,
      gate: new Gate({ networkOf: (address) => address }),
      networkOf: (address) => address,
      proxies: new TrustedProxies(["127.0.0.1"]),
      origin: "https://mail.example.org",
      compresses: false,
      log: (line) => expect(line).toBe(undefined),
    });
    const bound = await listen(await door.makeServer(), { kind: "tcp", host: "127.0.0.1", port: 0 });
    onTestFinished(async () => {
      await door.stop();
      await accounts.dispose();
    });
    return { door, accounts, base: `http://${bound}` };
  };
  const holdRequests = (): (() => void) => {
    let go: () => void = () => undefined;
    hold = new Promise((resolve) => {
      go = resolve;
    });
    return go;
  };
  return { ...ada, argon2id, time, process, holdRequests };
}

const basic = (name: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`,
});
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const OWNER = basic("ada", FIRST);
const JSON_TYPE = { "content-type": "application/json" };

async function makeToken(base: string, more: object = {}): Promise<{ readonly token: string; readonly id: string }> {
  const body = JSON.stringify({ label: `t${Math.random()}`, ...more });
  const reply = await fetch(`${base}/auth/tokens`, { method: "POST", headers: { ...OWNER, ...JSON_TYPE }, body });
  expect(reply.status).toBe(201);
  return (await reply.json()) as { token: string; id: string };
}

async function makeTicket(base: string, token: string): Promise<string> {
  const reply = await fetch(`${base}/auth/ticket`, { method: "POST", headers: bearer(token) });
  expect(reply.status).toBe(201);
  return ((await reply.json()) as { ticket: string }).ticket;
}

const ask = (base: string, headers: Readonly<Record<string, string>>): Promise<Response> =>
  fetch(`${base}/t`, { method: "POST", headers });

/** An event stream's texts as they come, and whether it has ended. */
async function openEvents(url: string, headers: Readonly<Record<string, string>> = {}) {
  const reply = await fetch(url, { headers });
  const seen = { status: reply.status, text: "", isOver: false };
  void (async () => {
    for await (const chunk of reply.body!) seen.text += Buffer.from(chunk as Uint8Array).toString();
    seen.isOver = true;
  })().catch(() => {
    seen.isOver = true;
  });
  return seen;
}

function openSocket(base: string, path: string, protocols: string[]) {
  const socket = new WebSocket(base.replace("http", "ws") + path, protocols);
  const seen = { socket, texts: [] as string[], code: 0, isOver: false };
  socket.onmessage = ({ data }) => void seen.texts.push(String(data));
  socket.onclose = ({ code }) => {
    seen.code = code;
    seen.isOver = true;
  };
  onTestFinished(() => socket.close());
  return seen;
}

const until = (check: () => boolean): Promise<void> =>
  vi.waitFor(() => expect(check()).toBe(true), { timeout: 10_000 });

async function deliver({ place, user }: Made, n: number): Promise<void> {
  await dropbox(place, user()).deliver(new Uint8Array(0), stream(mailText(n)));
}

test("a request without credentials, or with wrong ones, is told both ways to sign in", async () => {
  const { process, time } = await setUp();
  const { base } = await process();
  for (const headers of [
    {},
    basic("ada", "wrong long sesame"),
    basic("nobody", FIRST),
    bearer("rst_x"),
    { authorization: "Basic %" },
    { authorization: `Basic ${Buffer.from("ada").toString("base64")}` },
    { authorization: `Basic ${Buffer.from([0xff, 0x3a, 0x61]).toString("base64")}` },
    { authorization: "Digest x" },
    { authorization: "" },
  ]) {
    const pending = ask(base, headers);
    for (let turn = 0; turn < 20; turn++) await time.pass(1000);
    const reply = await pending;
    expect(reply.status, JSON.stringify(headers)).toBe(401);
    expect(reply.headers.get("www-authenticate")).toMatch(
      /^Bearer realm="restante"(, error="invalid_token")?, Basic realm="restante", charset="UTF-8"$/,
    );
    expect(reply.headers.get("content-type")).toBe("application/problem+json");
    expect(await reply.json()).toMatchObject({ status: 401 });
  }
});

test("1,000 requests with a password are one run of the slow function", async () => {
  const { process, argon2id } = await setUp();
  const { base } = await process();
  for (let round = 0; round < 200; round++) {
    const replies = await Promise.all(Array.from({ length: 5 }, () => ask(base, OWNER)));
    for (const reply of replies) expect(await reply.json()).toMatchObject({ address: "ada@example.org" });
  }
  expect(argon2id).toHaveBeenCalledTimes(1);
});

test("URLs are what the settings say, whatever the client calls us", async () => {
  const { process } = await setUp();
  const { base } = await process();
  const reply = await ask(base, { ...OWNER, host: "evil.example", "x-forwarded-host": "evil.example" });
  expect(await reply.json()).toEqual({ address: "ada@example.org", url: "https://mail.example.org/t" });
});

test("nobody signs in over what others could read", async () => {
  const { process, argon2id } = await setUp();
  const { base } = await process();
  const reply = await ask(base, { ...OWNER, "x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "http" });
  expect([reply.status, argon2id.mock.calls.length]).toEqual([403, 0]);
});

describe("/auth/tokens", () => {
  test("makes, lists and ends tokens; each is shown once", async () => {
    const { process } = await setUp();
    const { base } = await process();
    const made = await makeToken(base, { label: "Größe", days: 365, scope: "mail calendar mail" });
    const listed = (await (await fetch(`${base}/auth/tokens`, { headers: bearer(made.token) })).json()) as object;
    const { token, ...entry } = made;
    expect(listed).toEqual({ tokens: [entry] });
    expect(entry).toMatchObject({ label: "Größe", scope: "mail calendar", made: expect.stringMatching(/:\d\dZ$/) });
    expect((await ask(base, bearer(token))).status).toBe(200);
    const end = (): Promise<Response> => fetch(`${base}/auth/tokens/${made.id}`, { method: "DELETE", headers: OWNER });
    expect((await end()).status).toBe(204);
    expect((await end()).status).toBe(404);
    expect((await ask(base, bearer(token))).status).toBe(401);
  });

  test("a token makes none, and ends itself alone", async () => {
    const { process } = await setUp();
    const { base } = await process();
    const [one, other] = [await makeToken(base), await makeToken(base)];
    const body = JSON.stringify({ label: "more" });
    const more = await fetch(`${base}/auth/tokens`, {
      method: "POST",
      headers: { ...bearer(one.token), ...JSON_TYPE },
      body,
    });
    expect(more.status).toBe(403);
    const end = async (id: string): Promise<number> =>
      (await fetch(`${base}/auth/tokens/${id}`, { method: "DELETE", headers: bearer(one.token) })).status;
    expect([await end(other.id), await end(one.id)]).toEqual([403, 204]);
  });

  test.each([
    ["", JSON_TYPE, 400],
    ["{}", JSON_TYPE, 400],
    ["null", JSON_TYPE, 400],
    ['{"label":1}', JSON_TYPE, 400],
    ['{"label":" "}', JSON_TYPE, 400],
    ['{"label":"\\ud83d"}', JSON_TYPE, 400],
    ['{"label":"a","days":0}', JSON_TYPE, 400],
    ['{"label":"a","days":366}', JSON_TYPE, 400],
    ['{"label":"a","days":"9"}', JSON_TYPE, 400],
    ['{"label":"a","scope":"root"}', JSON_TYPE, 400],
    ['{"label":"a","scope":""}', JSON_TYPE, 400],
    [`{"label":"${"a".repeat(5000)}"}`, JSON_TYPE, 413],
    // A body that a page of another origin could send without asking.
    ['{"label":"a"}', { "content-type": "text/plain" }, 415],
  ])("refuses %j with %j", async (body, headers, status) => {
    const { process } = await setUp();
    const { base } = await process();
    const reply = await fetch(`${base}/auth/tokens`, { method: "POST", headers: { ...OWNER, ...headers }, body });
    expect(reply.status).toBe(status);
    expect(reply.headers.get("content-type")).toBe("application/problem+json");
  });

  test("a token is good for its scope alone; a password for all", async () => {
    const { process } = await setUp();
    const { base } = await process();
    const other = (headers: Readonly<Record<string, string>>): Promise<Response> =>
      fetch(`${base}/t/other`, { method: "POST", headers });
    const { token } = await makeToken(base);
    const refused = await other(bearer(token));
    expect(refused.status).toBe(403);
    expect(refused.headers.get("www-authenticate")).toContain('error="insufficient_scope", scope="calendar"');
    expect((await other(OWNER)).status).toBe(200);
    expect((await other(bearer((await makeToken(base, { scope: "calendar" })).token))).status).toBe(200);
  });
});

describe("/auth/ticket", () => {
  test("a ticket from one process opens a WebSocket at another, once", async () => {
    const { process } = await setUp();
    const [one, two] = [await process(), await process()];
    const { token } = await makeToken(one.base);
    const ticket = await makeTicket(one.base, token);
    const socket = openSocket(two.base, `/t/ws?ticket=${ticket}`, ["jmap"]);
    await until(() => socket.texts.includes("begun"));
    expect(socket.socket.protocol).toBe("jmap");
    for (const { base } of [one, two]) {
      expect((await openEvents(`${base}/t/events?ticket=${ticket}`)).status).toBe(401);
      const again = openSocket(base, `/t/ws?ticket=${ticket}`, ["jmap"]);
      await until(() => again.isOver);
      expect(again.texts).toEqual([]);
    }
  });

  test("it opens an event stream, and is no way in for anything else", async () => {
    const { process } = await setUp();
    const { base } = await process();
    const { token } = await makeToken(base);
    const plain = await fetch(`${base}/t?ticket=${await makeTicket(base, token)}`, { method: "POST" });
    expect(plain.status).toBe(401);
    const seen = await openEvents(`${base}/t/events?ticket=${await makeTicket(base, token)}`);
    await until(() => seen.text.includes("data: begun"));
  });

  test("it is made for tokens alone, lives a minute, and opens nothing elsewhere", async () => {
    const { process, time } = await setUp();
    const { base } = await process();
    const byPassword = await fetch(`${base}/auth/ticket`, { method: "POST", headers: OWNER });
    expect(byPassword.status).toBe(403);
    const { token } = await makeToken(base);
    const late = await makeTicket(base, token);
    await time.pass(60_000);
    expect((await openEvents(`${base}/t/events?ticket=${late}`)).status).toBe(401);
    const elsewhere = await process(new Uint8Array(32).fill(6));
    const fresh = await makeTicket(base, token);
    expect((await openEvents(`${elsewhere.base}/t/events?ticket=${fresh}`)).status).toBe(401);
  });

  test("a ticket of a token that was revoked meanwhile is none", async () => {
    const { process, tools, user } = await setUp();
    const { base } = await process();
    const { token, id } = await makeToken(base);
    const ticket = await makeTicket(base, token);
    await revokeToken(tools, user(), FIRST, id);
    expect((await openEvents(`${base}/t/events?ticket=${ticket}`)).status).toBe(401);
  });

  test("a browser's WebSocket may bring the token beside its protocol", async () => {
    const { process } = await setUp();
    const { base } = await process();
    const { token } = await makeToken(base);
    const socket = openSocket(base, "/t/ws", ["jmap", `bearer.${token}`]);
    await until(() => socket.texts.includes("begun"));
    expect(socket.socket.protocol).toBe("jmap");
    // Its header is kept for as long as it is open.
    expect(kept).toBe("jmap");
    const wrong = openSocket(base, "/t/ws", ["jmap", "bearer.rst_x"]);
    await until(() => wrong.isOver);
    expect(wrong.texts).toEqual([]);
    // Nowhere else is that a way in.
    const plain = await ask(base, { "sec-websocket-protocol": `jmap, bearer.${token}` });
    expect(plain.status).toBe(401);
  });
});

describe("an event stream and a WebSocket", () => {
  async function opened(made: Made) {
    const process = await made.process();
    const { base } = process;
    const { token, id } = await makeToken(base);
    const seen = await openEvents(`${base}/t/events`, bearer(token));
    const socket = openSocket(base, "/t/ws", ["jmap", `bearer.${token}`]);
    await until(() => seen.text.includes("begun") && socket.texts.includes("begun"));
    return { ...process, token, id, seen, socket };
  }

  test("both end when their token is revoked elsewhere", async () => {
    const made = await setUp();
    const { seen, socket, id, door } = await opened(made);
    await revokeToken(made.tools, made.user(), FIRST, id);
    await until(() => seen.isOver && socket.isOver);
    expect(socket.code).toBe(1008);
    await until(() => door.counts.exchanges + door.counts.sockets === 0);
  });

  test("hold no keys: eleven minutes later they are wiped, and a delivery is still told", async () => {
    const made = await setUp();
    const { seen, socket, accounts } = await opened(made);
    await made.time.pass(11 * 60_000);
    expect(accounts.openCount).toBe(0);
    const before = [seen.text.length, socket.texts.length] as const;
    await deliver(made, 1);
    await until(() => seen.text.length > before[0] && socket.texts.length > before[1]);
    expect([accounts.openCount, seen.isOver, socket.isOver]).toEqual([0, false, false]);
  });

  test("end within a minute when revoked while nobody has keys", async () => {
    const made = await setUp();
    const { seen, socket, id, accounts } = await opened(made);
    await made.time.pass(11 * 60_000);
    expect(accounts.openCount).toBe(0);
    await revokeToken(made.tools, made.user(), FIRST, id);
    await made.time.pass(60_000);
    await until(() => seen.isOver && socket.isOver);
  });

  test("are sixteen at most for one account, and one that ends makes room", async () => {
    const made = await setUp();
    const { base, token, socket, door } = await opened(made);
    for (let n = 2; n < 16; n++) expect((await openEvents(`${base}/t/events`, bearer(token))).status).toBe(200);
    const refused = await openEvents(`${base}/t/events`, bearer(token));
    expect(refused.status).toBe(429);
    socket.socket.close();
    await until(() => door.counts.sockets === 0);
    await settle();
    expect((await openEvents(`${base}/t/events`, bearer(token))).status).toBe(200);
  });
});

test("who asks for an event stream and is gone before it begins holds none", async () => {
  const made = await setUp();
  const { base, door, accounts } = await made.process();
  for (let n = 0; n < 20; n++)
    expect((await fetch(`${base}/t/events`, { method: "HEAD", headers: OWNER })).status).toBe(200);
  await until(() => door.counts.exchanges === 0);
  const go = made.holdRequests();
  for (let n = 0; n < 8; n++) {
    const gone = new AbortController();
    const pending = fetch(`${base}/t/events`, { headers: OWNER, signal: gone.signal }).catch(() => undefined);
    await until(() => door.counts.exchanges === 1);
    await settle();
    gone.abort();
    await pending;
    await until(() => door.counts.exchanges === 0);
  }
  go();
  await settle();
  for (let n = 0; n < 16; n++) expect((await openEvents(`${base}/t/events`, OWNER)).status).toBe(200);
  expect(accounts.openCount).toBe(1);
});

test("an account has eight requests and four uploads at once, and is told when to come again", async () => {
  const { process, holdRequests } = await setUp();
  const { base, door } = await process();
  const go = holdRequests();
  const upload = (): Promise<Response> => fetch(`${base}/t/upload`, { method: "POST", headers: OWNER, body: "x" });
  const running = [...Array.from({ length: 8 }, () => ask(base, OWNER)), ...Array.from({ length: 4 }, upload)];
  await until(() => door.counts.exchanges === 12);
  await settle();
  for (const [reply, limit] of [
    [await ask(base, OWNER), "maxConcurrentRequests"],
    [await upload(), "maxConcurrentUpload"],
  ] as const) {
    expect([reply.status, reply.headers.get("retry-after")]).toEqual([429, "1"]);
    expect(await reply.json()).toMatchObject({ type: "urn:ietf:params:jmap:error:limit", limit });
  }
  go();
  for (const reply of await Promise.all(running)) expect(reply.status).toBe(200);
  expect((await ask(base, OWNER)).status).toBe(200);
});

test("a password that was changed elsewhere is refused at the next request, and ends its streams and tokens", async () => {
  const { process, tools, user, time } = await setUp();
  const { changePassword } = await import("@restante/engine");
  const { base } = await process();
  const { token } = await makeToken(base);
  const seen = await openEvents(`${base}/t/events`, OWNER);
  await until(() => seen.text.includes("begun"));
  await changePassword(tools, user(), FIRST, SECOND);
  await until(() => seen.isOver);
  const statuses = (async () => [
    (await ask(base, OWNER)).status,
    (await ask(base, bearer(token))).status,
    (await ask(base, basic("ada", SECOND))).status,
  ])();
  // Wrong ones make the next ones wait.
  for (let second = 0; second < 20; second++) await time.pass(1000);
  expect(await statuses).toEqual([401, 401, 200]);
});

test("a directory is asked at most twice for 1,000 requests", async () => {
  const ada = await setUpAda();
  const person = { entry: "uid=ada", address: "ada@example.org", record: ada.user().record };
  const isPassword = vi.fn(async (_person: unknown, password: string) => password === FIRST);
  const users = Object.assign(ada.users, { findPerson: async () => person, isPassword });
  const accounts = ada.accounts();
  const { platform } = ada.tools;
  const directory = new DirectoryLogin({ ...ada.tools, accounts, users });
  const login = (name: string, password: string, address: string): Promise<AccountSession> =>
    directory.login(name, password, address);
  const sessions = new RequestSessions({ accounts, login, loginByToken: () => Promise.reject(), platform });
  for (let n = 0; n < 1000; n++) {
    using entered = await sessions.enter({ kind: "password", name: "ada", password: FIRST }, "", platform.monotonic());
    expect(entered.session.address).toBe("ada@example.org");
  }
  expect(isPassword.mock.calls.length).toBeLessThanOrEqual(2);
  await accounts.dispose();
});
