import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { WebSocket } from "ws";
import { curlOf, makeToken, useDoor, withDoorApp } from "./door.ts";
import { assert, freePort, type Interop, need, temporaryFolder, until } from "./harness.ts";

const GUIDE = join(import.meta.dirname, "../../docs/operating.md");

/** nginx in front of the door, with the configuration that docs/operating.md tells. */
export const nginx: Interop = async (steps) => {
  need({ "nginx-light": "/usr/sbin/nginx", curl: "/usr/bin/curl" });
  const folder = await temporaryFolder("nginx");
  const socket = join(folder, "https.sock");
  const env = { APP_TLS: "off", APP_LISTEN: `unix:${socket}`, APP_PROXIES: "unix" };
  await withDoorApp(async (app) => {
    const [port, plain] = [await freePort(), await freePort()];
    const told = /```nginx\n([\s\S]*?)```/.exec(readFileSync(GUIDE, "utf8"))![1]!;
    const places: Readonly<Record<string, string>> = {
      "/run/restante/https.sock": socket,
      "listen 443 ssl http2;": `listen 127.0.0.1:${port} ssl http2; listen 127.0.0.1:${plain};`,
      "/etc/ssl/mail.example.org.pem": join(app.data, "tls/localhost.pem"),
      "/etc/ssl/mail.example.org.key": join(app.data, "tls/localhost.key"),
      "/var/log/nginx/restante.log": join(folder, "access.log"),
    };
    let server = told;
    for (const [from, to] of Object.entries(places)) {
      assert(server.includes(from), `the guide no longer says ${from}`);
      server = server.replaceAll(from, to);
    }
    const own = `user root; daemon off; pid ${folder}/pid; error_log ${folder}/error.log; events {}`;
    await writeFile(join(folder, "nginx.conf"), `${own}\nhttp {\n${server}\n}\n`);
    const child = spawn("/usr/sbin/nginx", ["-c", join(folder, "nginx.conf"), "-e", join(folder, "error.log")]);
    try {
      const base = `https://127.0.0.1:${port}`;
      await until("nginx", async () => (await curlOf(base, "--http1.1")("/")).code === 0);
      for (const version of ["--http1.1", "--http2"] as const)
        await steps.step(`curl ${version} signs in, uploads, hears events and is refused`, () =>
          useDoor(app, base, version),
        );
      await steps.step("a WebSocket passes, and a ticket that stands in no log", async () => {
        const curl = curlOf(base, "--http2");
        const { token } = await makeToken(curl);
        const made = await curl("/auth/ticket", "-X", "POST", "-H", `Authorization: Bearer ${token}`);
        const { ticket } = JSON.parse(made.out) as { ticket: string };
        const url = `wss://127.0.0.1:${port}/t/ws?ticket=${ticket}`;
        const client = new WebSocket(url, ["jmap"], { rejectUnauthorized: false });
        await once(client, "open");
        client.send("hello");
        assert(String((await once(client, "message"))[0]) === "HELLO", "no answer");
        app.deliver();
        assert(String((await once(client, "message"))[0]) === "changed", "no news");
        client.close();
        await once(client, "close");
        await until("the log", async () => (await readFile(join(folder, "access.log"), "utf8")).includes("/t/ws"));
        assert(
          !(await readFile(join(folder, "access.log"), "utf8")).includes(ticket.slice(0, 40)),
          "the ticket is logged",
        );
      });
      await steps.step("the client's address is what nginx tells", async () => {
        const curl = curlOf(base, "--http2");
        const { token } = await makeToken(curl);
        const forged = ["-H", "X-Forwarded-For: 198.51.100.1", "-H", `Authorization: Bearer ${token}`];
        const { out } = await curl("/t/upload", ...forged, "-d", "x");
        assert(out.includes('"client":"127.0.0.1"'), out);
      });
      await steps.step("nobody signs in over plain HTTP", async () => {
        const curl = curlOf(`http://127.0.0.1:${plain}`, "--http1.1");
        const { out } = await curl("/t", "--user", "ada@example.org:x", "-d", "x", "-w", " %{http_code}");
        assert(out.endsWith(" 403"), out);
      });
    } finally {
      child.kill();
      if (child.exitCode === null) await once(child, "exit");
    }
  }, env);
};
