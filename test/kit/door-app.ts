import { join } from "node:path";
import { Auth, explainError } from "@restante/auth";
import {
  Accounts,
  Dropbox,
  networkOf,
  type Platform,
  RequestSessions,
  ready,
  signingKeyPair,
  signUp,
  TICKET_MS,
  Tickets,
  Unsettled,
} from "@restante/engine";
import { nodePlatform, openEmbeddedStore, UsersFolder } from "@restante/engine/node";
import {
  type DoorSocket,
  download,
  type EventStream,
  events,
  Gate,
  json,
  listen,
  OnceFolder,
  page,
  parseListenAddress,
  readOrMakeKey,
  type Site,
  Tls,
  TrustedProxies,
} from "@restante/host";
import { Door } from "@restante/host/door";

/**
 * An app behind the HTTPS door as those to come: what proves the door against programs that we did not write. Run as a
 * process; it tells its listeners as `restante serve` does, and delivers a mail to its user at each SIGUSR2.
 */
export const APP_USER = "ada@example.org";
export const APP_PASSWORD = "a long sesame of words";
/** Octets of an answer, as JMAP's often have. */
const ANSWER = JSON.stringify("x".repeat(20_000 - 2));

/** The download at `/t/download`: a mail's HTML, which must not run as ours. */
export const HTML = "<script>document.title = 'stolen'</script>";

function site(auth: Auth): Site {
  const answer = { status: 200, headers: { "content-type": "application/json" }, body: Buffer.from(ANSWER) };
  return {
    explain: explainError,
    routes: [
      { method: "GET", path: "/", handle: async () => page("<!doctype html><title>app</title>") },
      {
        method: "POST",
        path: "/t/plain",
        bodyBytesMax: 100_000,
        async handle(request) {
          await request.bytes();
          return answer;
        },
      },
      {
        method: "POST",
        path: "/t",
        bodyBytesMax: 100_000,
        async handle(request) {
          using signedIn = await auth.signIn(request, { scope: "mail" });
          await request.bytes();
          return signedIn.session.state.inbox ? answer : json(undefined);
        },
      },
      {
        method: "POST",
        path: "/t/upload",
        bodyBytesMax: 200 * 2 ** 20,
        async handle(request) {
          using signedIn = await auth.signIn(request, { scope: "mail", turn: "upload" });
          let size = 0;
          for await (const chunk of request.body()) size += chunk.length;
          return json({ size, address: signedIn.session.address, client: request.address });
        },
      },
      {
        method: "GET",
        path: "/t/download/:name",
        handle: async ({ params }) =>
          download({ type: "text/html", name: params.name!, size: HTML.length, read: () => Buffer.from(HTML) }),
      },
      {
        method: "GET",
        path: "/t/collect",
        async handle() {
          globalThis.gc?.();
          return json("what is dead is gone");
        },
      },
      {
        method: "GET",
        path: "/t/quiet",
        async handle(request) {
          request.signedIn();
          return events((begun) => begun.retry(3_000));
        },
      },
      {
        method: "GET",
        path: "/t/events",
        async handle(request) {
          using signedIn = await auth.signIn(request, { scope: "mail", opens: "event-stream" });
          let open: EventStream | undefined;
          signedIn.attend({ changed: () => open?.send({ data: "changed" }), ended: () => open?.end() });
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
        messageBytesMax: 100_000,
        async open(request) {
          using signedIn = await auth.signIn(request, { scope: "mail", opens: "web-socket" });
          let open: DoorSocket | undefined;
          signedIn.attend({ changed: () => open?.tell("changed"), ended: () => open?.refuse("revoked") });
          return (socket) => {
            open = socket;
            socket.onText(
              100_000,
              (text) => socket.send(text.toUpperCase()),
              () => undefined,
            );
          };
        },
      },
    ],
  };
}

async function serve(data: string, env: NodeJS.ProcessEnv): Promise<void> {
  await ready;
  const crypto = nodePlatform();
  const onFatal = (message: string): never => {
    throw new Error(message);
  };
  const store = await openEmbeddedStore({ folder: join(data, "store"), reserveBytes: 0, onFatal });
  const users = new UsersFolder(join(data, "users"));
  const signer = signingKeyPair(new Uint8Array(32).fill(1));
  const platform: Platform = {
    crypto,
    now: Date.now,
    monotonic: () => performance.now(),
    delay: (ms) => new Promise((resolve) => setTimeout(resolve, ms).unref()),
    every(ms, work) {
      const timer = setInterval(work, ms).unref();
      return () => clearInterval(timer);
    },
    trustedHosts: [signer.publicKey],
    log: () => undefined,
  };
  const tools = { store, users, platform, pepper: undefined };
  const known = await users.find(APP_USER);
  if (!known) await signUp(tools, APP_USER, APP_PASSWORD);
  const user = (await users.find(APP_USER))!;
  const accounts = new Accounts(tools);
  const sessions = new RequestSessions({
    accounts,
    login: (name, password, address) => accounts.login(name, password, address),
    loginByToken: (token, address) => accounts.loginByToken(token, address),
    platform,
  });
  const used = new OnceFolder(join(data, "tickets"), 2 * TICKET_MS);
  const serverKey = await readOrMakeKey(join(data, "server"), 32);
  const tickets = new Tickets({ platform, serverKey, spend: (nonce) => used.use(nonce) });
  const auth = new Auth({ sessions, tickets, scopes: ["mail"] });
  const tls = new Tls({ cert: "", key: "", folder: join(data, "tls"), minVersion: "TLSv1.2", oldSuites: false });
  await tls.reload();
  const door = new Door({
    sites: [auth.site, site(auth)],
    tls: env.APP_TLS === "off" ? undefined : tls,
    gate: new Gate({ networkOf }),
    networkOf,
    proxies: new TrustedProxies((env.APP_PROXIES ?? "").split(",").filter((item) => item !== "")),
    origin: "",
    compresses: false,
    log: (line) => void process.stderr.write(`${JSON.stringify({ ...line, error: String(line.error) })}\n`),
  });
  const dropbox = new Dropbox({ store, platform, users, signer, unsettled: new Unsettled(platform) }, user);
  process.on("SIGUSR2", () => {
    const message = (async function* () {
      yield Buffer.from("Subject: hello\r\n\r\nhello\r\n");
    })();
    const unsettled = new Unsettled(platform).connect();
    dropbox.deliver(new Uint8Array(0), message, unsettled).catch((error: unknown) => {
      process.stderr.write(`${error}\n`);
    });
  });
  for (const address of (env.APP_LISTEN ?? "127.0.0.1:0").split(",")) {
    const bound = await listen(await door.makeServer(), parseListenAddress(address), env.APP_SHARE === "yes");
    process.stdout.write(`listening https ${bound}\n`);
  }
  process.stdout.write("Restante is ready\n");
  process.once("SIGTERM", () => {
    void door.stop().then(async () => {
      sessions.dispose();
      await accounts.dispose();
      await store.dispose();
      await crypto.dispose();
    });
  });
}

if (process.argv[1] === import.meta.filename) await serve(process.argv[2]!, process.env);
