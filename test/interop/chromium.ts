import { createServer } from "node:http";
import { chromium as browserType, type Page } from "playwright-core";
import { APP_PASSWORD, APP_USER } from "../kit/door-app.ts";
import { type DoorApp, withDoorApp } from "./door.ts";
import { assert, freePort, type Interop, need, temporaryFolder } from "./harness.ts";

export const FLAGS: readonly string[] = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A page of another origin in Chromium: CORS, tokens, tickets, event streams and WebSockets. */
export const chromium: Interop = async (steps) => {
  need({ chromium: "/usr/bin/chromium" });
  // A page of a web client, on an origin of its own.
  const pages = createServer((_request, response) => {
    response.setHeader("content-type", "text/html").end("<!doctype html><title>client</title>");
  });
  await new Promise<void>((resolve) => pages.listen(0, "127.0.0.1", resolve));
  const { port } = pages.address() as { port: number };
  const browser = await browserType.launch({ executablePath: "/usr/bin/chromium", args: [...FLAGS] });
  const shared = await freePort();
  const env = { APP_LISTEN: `127.0.0.1:${shared}`, APP_SHARE: "yes" };
  try {
    await withDoorApp(async (app) => {
      const context = await browser.newContext({ ignoreHTTPSErrors: true, acceptDownloads: true });
      const page = await context.newPage();
      await page.goto(`http://127.0.0.1:${port}/`);
      await browse(steps.step.bind(steps), page, app, `https://127.0.0.1:${shared}`);
    }, env);
  } finally {
    await browser.close();
    pages.close();
  }
};

/** An answer of `/auth`. */
interface Value {
  readonly status: number;
  readonly token: string;
  readonly ticket: string;
  readonly tokens: readonly { readonly id: string }[];
}

function parsed({ text }: { readonly text: string }): Value {
  return JSON.parse(text) as Value;
}

async function browse(
  step: (name: string, run: () => Promise<unknown>) => Promise<void>,
  page: Page,
  app: DoorApp,
  base: string,
): Promise<void> {
  let token = "";
  const ask = (method: string, path: string, headers: Record<string, string>, body?: string) =>
    page.evaluate(
      async ({ url, ...options }) => {
        const reply = await fetch(url, options as RequestInit);
        return { status: reply.status, text: await reply.text() };
      },
      { url: base + path, method, headers, ...(body === undefined ? {} : { body }) },
    );
  await step("a page of another origin makes a token by the password", async () => {
    const credentials = Buffer.from(`${APP_USER}:${APP_PASSWORD}`).toString("base64");
    const headers = { Authorization: `Basic ${credentials}`, "Content-Type": "application/json" };
    const made = await ask("POST", "/auth/tokens", headers, '{"label":"browser"}');
    assert(made.status === 201, JSON.stringify(made));
    token = parsed(made).token;
  });
  await step("it reads answers and errors", async () => {
    const well = await ask("POST", "/t", { Authorization: `Bearer ${token}` }, "x");
    assert(well.status === 200 && well.text.length === 20_000, JSON.stringify(well).slice(0, 200));
    const missing = await ask("GET", "/nowhere", {});
    assert(missing.status === 404 && parsed(missing).status === 404, JSON.stringify(missing));
    const refused = await ask("POST", "/t", {}, "x");
    assert(refused.status === 401 && parsed(refused).status === 401, JSON.stringify(refused));
  });
  const ticket = async (): Promise<string> => {
    const made = await ask("POST", "/auth/ticket", { Authorization: `Bearer ${token}` });
    assert(made.status === 201, JSON.stringify(made));
    return parsed(made).ticket;
  };
  await step("an EventSource opens by a ticket, and hears of a delivery", async () => {
    await page.evaluate(
      (url) =>
        new Promise<void>((resolve, reject) => {
          const source = new EventSource(url);
          Object.assign(globalThis, { source, events: [] as string[] });
          source.onmessage = ({ data }) => {
            (globalThis as unknown as { events: string[] }).events.push(data);
            resolve();
          };
          source.onerror = () => reject(new Error("the stream failed"));
        }),
      `${base}/t/events?ticket=${await ticket()}`,
    );
    app.deliver();
    await page.waitForFunction(() => (globalThis as unknown as { events: string[] }).events.includes("changed"));
    await page.evaluate(() => (globalThis as unknown as { source: EventSource }).source.close());
  });
  const socket = (url: string, protocols: string[]) =>
    page.evaluate(
      ([at, offered]) =>
        new Promise<string>((resolve) => {
          const opened = new WebSocket(at as string, offered as string[]);
          opened.onopen = () => opened.send("hello");
          opened.onmessage = ({ data }) => resolve(`${opened.protocol} ${data}`);
          opened.onclose = () => resolve("closed");
        }),
      [url, protocols] as const,
    );
  const wss = base.replace("https", "wss");
  await step("a WebSocket opens by the token beside its protocol, and by a ticket, once", async () => {
    const byToken = await socket(`${wss}/t/ws`, ["jmap", `bearer.${token}`]);
    assert(byToken === "jmap HELLO", byToken);
    const url = `${wss}/t/ws?ticket=${await ticket()}`;
    const [once, twice] = [await socket(url, ["jmap"]), await socket(url, ["jmap"])];
    assert(once === "jmap HELLO" && twice === "closed", `${once}, ${twice}`);
  });
  await step("a ticket from one process opens a WebSocket at another on the same port", async () => {
    const { startDoorApp } = await import("../kit/door-process.ts");
    const port = new URL(base).port;
    const tickets = [];
    for (let n = 0; n < 4; n++) tickets.push(await ticket());
    const second = await startDoorApp(app.data, { APP_LISTEN: `127.0.0.1:${port}`, APP_SHARE: "yes" });
    try {
      // The system deals connections out to both.
      for (const one of tickets) {
        const url = `${wss}/t/ws?ticket=${one}`;
        const [once, twice] = [await socket(url, ["jmap"]), await socket(url, ["jmap"])];
        assert(once === "jmap HELLO" && twice === "closed", `${once}, ${twice}`);
      }
    } finally {
      assert((await second.stop()) === 0, second.logs());
    }
  });
  await step("a mail's HTML is saved, and does not run as ours", async () => {
    const other = await page.context().newPage();
    const [saved] = await Promise.all([
      other.waitForEvent("download"),
      other.goto(`${base}/t/download/mail.html`).catch(() => undefined),
    ]);
    assert(saved.suggestedFilename() === "mail.html", saved.suggestedFilename());
    assert((await other.title()) !== "stolen", "the script ran");
    const target = `${await temporaryFolder("chromium")}/mail.html`;
    await saved.saveAs(target);
    await other.close();
  });
  await step("a token that is ended lets nobody in", async () => {
    const listed = await ask("GET", "/auth/tokens", { Authorization: `Bearer ${token}` });
    const ended = await ask("DELETE", `/auth/tokens/${parsed(listed).tokens[0]?.id}`, {
      Authorization: `Bearer ${token}`,
    });
    assert(ended.status === 204, JSON.stringify(ended));
    const refused = await ask("POST", "/t", { Authorization: `Bearer ${token}` }, "x");
    assert(refused.status === 401, JSON.stringify(refused));
  });
}
