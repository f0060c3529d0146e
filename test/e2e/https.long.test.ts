import { once } from "node:events";
import { existsSync, readFileSync, statSync } from "node:fs";
import { request } from "node:https";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectImap } from "../kit/line-client.ts";
import { DEMO, makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "../kit/server.ts";

/** The HTTPS door of the real server: tokens, tickets, the command line beside it. */
interface Reply {
  readonly status: number;
  readonly value: Record<string, unknown>;
}

function ask(port: number, method: string, path: string, headers: Record<string, string>, body = ""): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, method, path, headers, rejectUnauthorized: false, agent: false };
    const sent = request(options, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.once("end", () => {
        const isJson = /json/.test(response.headers["content-type"] ?? "");
        resolve({ status: response.statusCode!, value: isJson ? JSON.parse(text) : { text } });
      });
    });
    sent.once("error", reject);
    sent.end(body);
  });
}

const basic = { authorization: `Basic ${Buffer.from(`${DEMO.user}:${DEMO.password}`).toString("base64")}` };
const bearer = (token: unknown): Record<string, string> => ({ authorization: `Bearer ${token}` });

function makeToken(port: number, label: string): Promise<Reply> {
  const headers = { ...basic, "content-type": "application/json" };
  return ask(port, "POST", "/auth/tokens", headers, JSON.stringify({ label }));
}

let data: string;
let server: RunningServer;
beforeAll(async () => {
  data = await makeDataFolder();
  server = await startServer(data);
});
afterAll(async () => {
  expect(await server.stop(), server.logs()).toBe(0);
  await removeDataFolder(data);
});

test("a token is made over HTTPS, listed and ended by the command line beside it", async () => {
  const port = server.ports.https!;
  expect(await ask(port, "GET", "/", {})).toMatchObject({ status: 200 });
  const made = await makeToken(port, "Browser");
  expect(made).toMatchObject({ status: 201, value: { label: "Browser", scope: "mail" } });
  const { id, token } = made.value;
  expect(await ask(port, "GET", "/auth/tokens", bearer(token))).toMatchObject({
    status: 200,
    value: { tokens: [{ id }] },
  });
  expect(await ask(port, "POST", "/auth/ticket", bearer(token))).toMatchObject({ status: 201 });
  const env = { RESTANTE_PASSWORD: DEMO.password };
  const listed = await restante(data, ["token", "list", DEMO.user], "", env);
  expect(listed).toMatchObject({ code: 0, out: expect.stringMatching(new RegExp(`^${id} .* mail {2}Browser\\n$`)) });
  expect(await restante(data, ["token", "revoke", DEMO.user, String(id)], "", env)).toMatchObject({ code: 0 });
  expect(await ask(port, "GET", "/auth/tokens", bearer(token))).toMatchObject({ status: 401 });
  expect(await restante(data, ["token", "revoke", DEMO.user, String(id)], "", env)).toMatchObject({ code: 1 });
  expect(await restante(data, ["token", "list"], "", env)).toMatchObject({ code: 2 });
  expect(server.logs()).not.toContain(String(token));
});

test("a process of the door alone serves the same people, and takes the other's tokens", async () => {
  const { token } = (await makeToken(server.ports.https!, "Two")).value;
  const alone = await startServer(data, { args: ["--only", "https"] });
  expect(Object.keys(alone.ports)).toEqual(["https"]);
  expect(await ask(alone.ports.https!, "GET", "/auth/tokens", bearer(token))).toMatchObject({ status: 200 });
  // A connection that a client keeps, and one that never spoke, keep nobody from stopping.
  const [kept, silent] = [connect(alone.ports.https!, "127.0.0.1"), connect(alone.ports.https!, "127.0.0.1")];
  await Promise.all([once(kept, "connect"), once(silent, "connect")]);
  for (const socket of [kept, silent]) socket.on("error", () => undefined);
  kept.write("\x16\x03\x01");
  expect(await alone.stop(), alone.logs()).toBe(0);
  for (const socket of [kept, silent]) socket.destroy();
});

test("mail programs and browsers are served beside each other", async () => {
  const imap = await connectImap(server.ports.imap!, DEMO.user, DEMO.password);
  expect(await imap.command("CREATE FromImap")).toMatch(/OK/);
  expect(await makeToken(server.ports.https!, "Three")).toMatchObject({ status: 201 });
  imap.end();
});

test("certificates are read again on SIGHUP", async () => {
  server.process.kill("SIGHUP");
  await expect.poll(() => server.logs(), { timeout: 20_000 }).toContain("certificates read again");
  expect(await ask(server.ports.https!, "GET", "/", {})).toMatchObject({ status: 200 });
});

test("behind a proxy it speaks in clear, on loopback and unix sockets alone, of which it may have several", async () => {
  const socket = join(data, "door.sock");
  const env = { RESTANTE_HTTPS_TLS: "off", RESTANTE_HTTPS_TRUSTED_PROXIES: "unix" };
  const listen = `unix:${socket}, 127.0.0.1:0`;
  const plain = await startServer(data, { args: ["--only", "https"], env: { ...env, RESTANTE_HTTPS_LISTEN: listen } });
  const client = connect(socket);
  client.write(
    "GET /auth/tokens HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n" +
      `Connection: close\r\nAuthorization: Basic ${Buffer.from(`${DEMO.user}:wrong`).toString("base64")}\r\n\r\n`,
  );
  let text = "";
  for await (const chunk of client) text += String(chunk);
  expect(text).toContain("HTTP/1.1 401 ");
  expect(plain.logs()).toMatch(/"sign-in refused".*"address":"192.0.2.7"/);
  expect(await (await fetch(`http://127.0.0.1:${plain.ports.https}/`)).text()).toContain("Restante");
  expect(await plain.stop(), plain.logs()).toBe(0);
  for (const [name, value, told] of [
    ["RESTANTE_HTTPS_LISTEN", "0.0.0.0:0", "https.tls"],
    ["RESTANTE_HTTPS_TRUSTED_PROXIES", "localhost", "https.trusted_proxies"],
    ["RESTANTE_SERVER_ORIGIN", "https://x/y", "server.origin"],
  ] as const) {
    const refused = await restante(data, ["serve", "--only", "https"], "", { ...env, [name]: value });
    expect(refused).toMatchObject({ code: 2, err: expect.stringContaining(told) });
  }
});

test("a backup has the server key beside it, and a restore brings it back", async () => {
  const key = readFileSync(join(data, "keys/server"), "utf8");
  expect(statSync(join(data, "keys/server")).mode & 0o777).toBe(0o600);
  const folder = join(data, "backup");
  expect(await restante(data, ["backup", folder])).toMatchObject({ code: 0 });
  expect(readFileSync(`${folder}.server`, "utf8")).toBe(key);
  expect(existsSync(join(folder, "keys/server"))).toBe(false);
  const other = await makeDataFolder();
  expect(await restante(other, ["restore", folder])).toMatchObject({ code: 0 });
  expect(readFileSync(join(other, "keys/server"), "utf8")).toBe(key);
  await removeDataFolder(other);
});
