import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { chromium as browserType, type Page } from "playwright-core";
import type { Json } from "../kit/jmap-client.ts";
import { connectImap, connectLmtp, deliver } from "../kit/line-client.ts";
import { DEMO, type RunningServer } from "../kit/server.ts";
import { FLAGS } from "./chromium.ts";
import { assert, type Interop, need, until, withServer } from "./harness.ts";
import { askImap } from "./jmap.ts";

const UNDO_SECONDS = 10;
/** A session ends a minute after its last request; how long keys are kept after it, `impatient.ts` makes short. */
const LOCKED_MS = 180_000;
const IMPATIENT = join(import.meta.dirname, "../kit/impatient.ts");
const EVENT_MS = 5_000;

/** A web client, as small as can be: what runs in the page. It knows nothing of Node or of this process. */
const CLIENT = `
globalThis.client = {
  events: [],
  ended: [],
  async begin(base, token) {
    Object.assign(this, { base, headers: { Authorization: "Bearer " + token } });
    this.session = await (await fetch(base + "/.well-known/jmap", { headers: this.headers })).json();
    this.accountId = this.session.primaryAccounts["urn:ietf:params:jmap:mail"];
    return this.session;
  },
  async ask(...calls) {
    const using = ["core", "mail", "submission"].map((name) => "urn:ietf:params:jmap:" + name);
    const methodCalls = calls.map(([name, args], at) => [name, { accountId: this.accountId, ...args }, String(at)]);
    const reply = await fetch(this.session.apiUrl, {
      method: "POST",
      headers: { ...this.headers, "Content-Type": "application/json" },
      body: JSON.stringify({ using, methodCalls }),
    });
    return (await reply.json()).methodResponses;
  },
  url(template, values) {
    return template.replace(/{(\\w+)}/g, (_, name) => encodeURIComponent(values[name] ?? this.accountId));
  },
  async ticket() {
    const reply = await fetch(this.base + "/auth/ticket", { method: "POST", headers: this.headers });
    return (await reply.json()).ticket;
  },
  eventUrl() {
    return this.url(this.session.eventSourceUrl, { types: "*", closeafter: "no", ping: "30" });
  },
  hear(way, data) {
    this.events.push({ way, types: Object.keys(data.changed[this.accountId]), states: data.changed[this.accountId] });
  },
  async listenByTicket() {
    const source = new EventSource(this.eventUrl() + "&ticket=" + (await this.ticket()));
    source.addEventListener("state", ({ data }) => this.hear("ticket", JSON.parse(data)));
    await new Promise((resolve, reject) => Object.assign(source, { onopen: resolve, onerror: reject }));
  },
  async listenByFetch() {
    const reply = await fetch(this.eventUrl(), { headers: this.headers });
    const read = async () => {
      let text = "";
      for await (const piece of reply.body.pipeThrough(new TextDecoderStream())) {
        text += piece;
        for (let end; (end = text.indexOf("\\n\\n")) >= 0; text = text.slice(end + 2)) {
          const data = /^data: (.*)$/m.exec(text.slice(0, end));
          if (data && /^event: state$/m.test(text.slice(0, end))) this.hear("fetch", JSON.parse(data[1]));
        }
      }
    };
    read().then(() => this.ended.push("fetch"), () => this.ended.push("fetch"));
    return reply.status;
  },
  async openSocket(way, token) {
    const { url } = this.session.capabilities["urn:ietf:params:jmap:websocket"];
    const socket = way === "subprotocol"
      ? new WebSocket(url, ["jmap", "bearer." + token])
      : new WebSocket(url + "?ticket=" + (await this.ticket()), ["jmap"]);
    await new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onclose: reject }));
    const waiting = new Map();
    socket.onclose = () => this.ended.push(way);
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message["@type"] === "StateChange") this.hear(way, message);
      else waiting.get(message.requestId)(message);
    };
    socket.send(JSON.stringify({ "@type": "WebSocketPushEnable", dataTypes: null }));
    this[way] = (name, args) => new Promise((resolve) => {
      const id = String(Math.random());
      waiting.set(id, resolve);
      const methodCalls = [[name, { accountId: this.accountId, ...args }, "0"]];
      socket.send(JSON.stringify({ "@type": "Request", id, using: ["urn:ietf:params:jmap:mail"], methodCalls }));
    });
    return socket.protocol;
  },
  async transfer() {
    const octets = new Uint8Array(3000000).map((_, at) => at * 7);
    const upload = this.url(this.session.uploadUrl, {});
    const reply = await fetch(upload, { method: "POST", headers: this.headers, body: new File([octets], "a.png", { type: "image/png" }) });
    const { blobId, size, type } = await reply.json();
    const values = { blobId, name: "größe/1.png", type: "image/png" };
    const got = await fetch(this.url(this.session.downloadUrl, values), { headers: this.headers });
    const back = new Uint8Array(await (await got.blob()).arrayBuffer());
    const isSame = back.length === octets.length && back.every((octet, at) => octet === octets[at]);
    return { status: reply.status, size, type, isSame, gotType: got.headers.get("content-type") };
  },
};
`;

/** JMAP in Chromium: a web client on another origin, with what a browser lets it do and nothing else. */
export const webClient: Interop = async (steps) => {
  need({ chromium: "/usr/bin/chromium" });
  const pages = await servePage();
  const { port } = pages.address() as { port: number };
  const browser = await browserType.launch({ executablePath: "/usr/bin/chromium", args: [...FLAGS] });
  const env = {
    NODE_OPTIONS: `--import=${IMPATIENT}`,
    RESTANTE_OUTBOUND_UNDO_SECONDS: String(UNDO_SECONDS),
    RESTANTE_METRICS_LISTEN: "127.0.0.1:0",
  };
  try {
    await withServer(
      async (server) => {
        const context = await browser.newContext({ ignoreHTTPSErrors: true });
        const page = await context.newPage();
        page.on("pageerror", (error) => console.log(`the page failed: ${error.message}`));
        await page.goto(`http://127.0.0.1:${port}/`);
        await page.addScriptTag({ content: CLIENT });
        await use(steps.step.bind(steps), page, server);
      },
      { env },
    );
  } finally {
    await browser.close();
    pages.close();
  }
};

async function servePage(): Promise<Server> {
  const pages = createServer((_request, response) => {
    response.setHeader("content-type", "text/html").end("<!doctype html><title>client</title>");
  });
  await new Promise<void>((resolve) => pages.listen(0, "127.0.0.1", resolve));
  return pages;
}

interface HeardEvent {
  readonly way: string;
  readonly types: readonly string[];
  readonly states: Readonly<Record<string, string>>;
}

type Step = (name: string, run: () => Promise<unknown>) => Promise<void>;

const ENDED = "fetch,socketTicket,subprotocol";
const WAYS = ["ticket", "fetch", "socketTicket", "subprotocol"] as const;

async function use(step: Step, page: Page, server: RunningServer): Promise<void> {
  const base = `https://localhost:${server.ports.https}`;
  /** Runs an expression in the page. */
  const run = (expression: string): Promise<Json> => page.evaluate(expression);
  const ask = (...calls: readonly (readonly [string, object])[]): Promise<Json> =>
    run(`client.ask(...${JSON.stringify(calls)})`);
  const one = async (name: string, args: object): Promise<Json> => (await ask([name, args]))[0][1];
  const heard = (): Promise<readonly HeardEvent[]> => run("client.events");
  /** Waits until all ways told of it; resolves with what they told. */
  const toldBy = async (ways: readonly string[], what: string, is: (event: HeardEvent) => boolean): Promise<void> => {
    await until(
      what,
      async () => {
        const events = await heard();
        return ways.every((way) => events.some((event) => event.way === way && is(event)));
      },
      EVENT_MS,
    ).catch(async (error: unknown) => {
      throw new Error(JSON.stringify(await heard()), { cause: error });
    });
  };
  const byRole: Record<string, string> = {};
  let token = "";

  await step("signs in for a token, and reads the session", async () => {
    const credentials = Buffer.from(`${DEMO.user}:${DEMO.password}`).toString("base64");
    token = await run(`fetch("${base}/auth/tokens", {
      method: "POST", headers: { Authorization: "Basic ${credentials}", "Content-Type": "application/json" },
      body: '{"label":"web"}',
    }).then((reply) => reply.json()).then(({ token }) => token)`);
    const session = await run(`client.begin("${base}", "${token}")`);
    assert(session.username === DEMO.user && session.apiUrl === `${base}/jmap`, JSON.stringify(session));
    for (const { role, id } of (await one("Mailbox/get", {})).list) if (role) byRole[role] = id;
  });
  await step("lists the Inbox by one request", async () => {
    const [, [, { list }]] = await ask(
      ["Email/query", { filter: { inMailbox: byRole.inbox }, sort: [{ property: "receivedAt", isAscending: false }] }],
      [
        "Email/get",
        {
          "#ids": { resultOf: "0", name: "Email/query", path: "/ids" },
          properties: ["subject", "from", "preview", "keywords", "hasAttachment", "receivedAt"],
        },
      ],
    );
    assert(list.length === 3 && list.some(({ subject }: Json) => subject === "Grüße aus Köln"), JSON.stringify(list));
  });
  await step("uploads a file and gets it again", async () => {
    const moved = await run("client.transfer()");
    const expected = { status: 201, size: 3_000_000, type: "image/png", isSame: true, gotType: "image/png" };
    assert(JSON.stringify(moved) === JSON.stringify(expected), JSON.stringify(moved));
  });
  await step("opens event streams by ticket and by fetch, WebSockets by ticket and by subprotocol", async () => {
    await run("client.listenByTicket()");
    assert((await run("client.listenByFetch()")) === 200, "no stream");
    for (const way of ["socketTicket", "subprotocol"])
      assert((await run(`client.openSocket("${way}", "${token}")`)) === "jmap", way);
    const answer = await run(`client.subprotocol("Email/query", { calculateTotal: true })`);
    assert(answer.methodResponses[0][1].total === 3, JSON.stringify(answer));
  });
  await step("hears by each of them of what others deliver and mark, and finds it by changes", async () => {
    const { state } = await one("Email/get", { ids: [] });
    await post(server, "delivered meanwhile");
    await toldBy(WAYS, "a delivery", ({ types }) => types.includes("EmailDelivery"));
    const { created } = await one("Email/changes", { sinceState: state });
    assert(created.length === 1, JSON.stringify(created));
    await run("client.events.length = 0");
    await askImap(server, "SELECT INBOX", "STORE 1 +FLAGS (\\Flagged)");
    await toldBy(WAYS, "a flag", ({ types }) => types.includes("Email") && !types.includes("EmailDelivery"));
  });
  const draft = (subject: string) => ({
    mailboxIds: { [byRole.drafts!]: true },
    keywords: { $draft: true, $seen: true },
    from: [{ email: DEMO.user }],
    to: [{ email: DEMO.user }],
    subject,
    textBody: [{ partId: "t", type: "text/plain" }],
    bodyValues: { t: { value: "hello" } },
  });
  const toSent = {
    [`mailboxIds/${byRole.drafts}`]: null,
    [`mailboxIds/${byRole.sent}`]: true,
    "keywords/$draft": null,
  };
  const send = async (subject: string): Promise<Json> => {
    const answers = await ask(
      ["Email/set", { create: { d: draft(subject) } }],
      [
        "EmailSubmission/set",
        { create: { s: { identityId: "i0", emailId: "#d" } }, onSuccessUpdateEmail: { "#s": toSent } },
      ],
    );
    return { ...answers[1][1].created.s, emailId: answers[0][1].created.d.id };
  };
  await step(`sends, and takes it back within ${UNDO_SECONDS} s`, async () => {
    const { id, undoStatus, emailId } = await send("taken back");
    assert(undoStatus === "pending", undoStatus);
    const toDrafts = {
      [`mailboxIds/${byRole.sent}`]: null,
      [`mailboxIds/${byRole.drafts}`]: true,
      "keywords/$draft": true,
    };
    const answers = await ask([
      "EmailSubmission/set",
      { update: { [id]: { undoStatus: "canceled" } }, onSuccessUpdateEmail: { [id]: toDrafts } },
    ]);
    assert(id in answers[0][1].updated && emailId in answers[1][1].updated, JSON.stringify(answers));
    const drafts = await askImap(server, "SELECT Drafts", "FETCH 1 (FLAGS EMAILID)");
    assert(drafts.includes("\\Draft") && drafts.includes(emailId), drafts);
  });
  await step("sends, and hears when it came", async () => {
    await run("client.events.length = 0");
    const begin = Date.now();
    const { id } = await send("sent after a while");
    await until("it", async () => /sent after a while/.test(await askImap(server, "SELECT INBOX", "FETCH * BODY[]")));
    const took = Date.now() - begin;
    assert(took > (UNDO_SECONDS - 1) * 1000, `it came after ${took} ms`);
    await toldBy(WAYS, "the delivery", ({ types }) => types.includes("EmailDelivery"));
    await until("its end", async () => {
      const { list } = await one("EmailSubmission/get", { ids: [id] });
      return list[0].undoStatus === "final" && list[0].deliveryStatus[DEMO.user].delivered !== "queued";
    });
    const client = await connectImap(server.ports.imap!, DEMO.user, DEMO.password);
    await client.command("SELECT INBOX");
    assert(/^\* SEARCH\r/m.test(await client.command("SEARCH SUBJECT taken")), "what was taken back came");
    client.end();
  });
  await step("hears of a delivery while the account is locked, and asks anew", async () => {
    await until("the account to be locked", async () => (await openAccounts(server)) === 0, LOCKED_MS);
    await run("client.events.length = 0");
    await post(server, "while it is locked");
    await toldBy(WAYS, "a delivery", ({ states }) => /^n/.test(states.EmailDelivery ?? ""));
    assert((await openAccounts(server)) === 0, "the event opened the account");
    const [{ states }] = (await heard()) as [HeardEvent];
    const [[name, answer]] = await ask(["Email/changes", { sinceState: states.Email! }]);
    assert(name === "error" && answer.type === "cannotCalculateChanges", JSON.stringify(answer));
    const { ids } = await one("Email/query", { filter: { subject: "while it is locked" } });
    assert(ids.length === 1, JSON.stringify(ids));
  });
  await step("a token that is ended ends its streams", async () => {
    const tokens = await run(`fetch("${base}/auth/tokens", { headers: client.headers }).then((reply) => reply.json())`);
    const url = `${base}/auth/tokens/${tokens.tokens[0].id}`;
    const status = await run(`fetch("${url}", { method: "DELETE", headers: client.headers }).then((r) => r.status)`);
    assert(status === 204, status);
    const after = await run(`fetch("${base}/jmap", { headers: client.headers }).then((reply) => reply.status)`);
    assert(after === 401, after);
    const isOver = async (): Promise<boolean> => (await run("client.ended.sort().join()")) === ENDED;
    await until("the ends of the streams", isOver, EVENT_MS);
  });
}

async function openAccounts({ ports }: RunningServer): Promise<number> {
  const reply = await fetch(`http://127.0.0.1:${ports.metrics}/metrics`);
  return Number(/^restante_open_accounts (\d+)/m.exec(await reply.text())?.[1] ?? -1);
}

async function post({ ports }: RunningServer, subject: string): Promise<void> {
  const lmtp = await connectLmtp(ports.lmtp!);
  await deliver(lmtp, [DEMO.user], `Subject: ${subject}\r\n\r\nhello\r\n`);
  lmtp.end();
}
