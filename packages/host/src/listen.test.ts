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
  await expect(listen(server(), { kind: "unix", path })).rejects.toThrow(`unix:${path}`);
  const client = connect(path);
  await once(client, "connect");
  client.destroy();
  const file = join(temporaryFolder(), "mail.txt");
  writeFileSync(file, "precious");
  await expect(listen(server(), { kind: "unix", path: file })).rejects.toThrow("is no socket");
});

test("a unix socket that was left behind is taken over", async () => {
  const path = join(temporaryFolder(), "socket");
  const program = `require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))`;
  expect(() => execFileSync(process.execPath, ["-e", program, path])).toThrow();
  expect(await listen(server(), { kind: "unix", path })).toBe(`unix:${path}`);
});
