import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { listen } from "./listen.ts";
import { temporaryFolder } from "./test-kit.ts";

function server(): Server {
  const made = createServer((socket) => socket.destroy());
  onTestFinished(() => void made.close());
  return made;
}

test("a unix socket that somebody listens on is theirs, and a file that is none stays", async () => {
  const path = join(temporaryFolder(), "socket");
  const first = server();
  expect(await listen(first, { kind: "unix", path })).toBe(`unix:${path}`);
  await expect(listen(server(), { kind: "unix", path })).rejects.toMatchObject({ kind: "taken" });
  const client = connect(path);
  await once(client, "connect");
  client.destroy();
  const file = join(temporaryFolder(), "mail.txt");
  writeFileSync(file, "precious");
  await expect(listen(server(), { kind: "unix", path: file })).rejects.toMatchObject({ kind: "wrong" });
});

test("a unix socket that was left behind is taken over", async () => {
  const path = join(temporaryFolder(), "socket");
  const program = `require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))`;
  expect(() => execFileSync(process.execPath, ["-e", program, path])).toThrow();
  expect(await listen(server(), { kind: "unix", path })).toBe(`unix:${path}`);
});

test("why nobody can listen somewhere is told, and whether a later try may do better", async () => {
  const first = server();
  const [host, port] = (await listen(first, { kind: "tcp", host: "127.0.0.1", port: 0 })).split(":");
  const taken = { kind: "tcp", host: host!, port: Number(port) } as const;
  await expect(listen(server(), taken)).rejects.toMatchObject({
    kind: "taken",
    message: expect.stringContaining("another"),
  });
  const elsewhere = { kind: "tcp", host: "192.0.2.1", port: 0 } as const;
  await expect(listen(server(), elsewhere)).rejects.toMatchObject({
    kind: "wrong",
    message: expect.stringContaining("no such address"),
  });
  const nowhere = { kind: "unix", path: join(temporaryFolder(), "missing", "socket") } as const;
  await expect(listen(server(), nowhere)).rejects.toMatchObject({
    kind: "wrong",
    message: expect.stringContaining("folder"),
  });
});
