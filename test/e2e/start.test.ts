import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, realpath, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { makeDataFolder, removeDataFolder, restante } from "../kit/server.ts";

const ROOT = join(import.meta.dirname, "../..");
const FREE = "127.0.0.1:0";
const LISTEN = {
  RESTANTE_IMAP_LISTEN: FREE,
  RESTANTE_IMAPS_LISTEN: FREE,
  RESTANTE_LMTP_LISTEN: FREE,
  RESTANTE_HTTPS_LISTEN: FREE,
  RESTANTE_SUBMISSION_LISTEN: FREE,
  RESTANTE_SUBMISSIONS_LISTEN: FREE,
};

test("a signal to npm's process ends the server, and its ports are free", async () => {
  const data = await makeDataFolder();
  const env = { ...process.env, ...LISTEN, RESTANTE_SERVER_DATA: data };
  const npm = spawn("npm", ["start"], { cwd: ROOT, env, stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  npm.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  while (!out.includes("Restante is ready")) await once(npm.stdout, "data");
  npm.kill("SIGTERM");
  // Its standard output is npm's: it ends when the last of them does.
  await once(npm, "close");
  const port = Number(/^listening imap .*:(\d+)$/m.exec(out)![1]);
  const [error] = (await once(connect(port, "127.0.0.1"), "error")) as [NodeJS.ErrnoException];
  expect(error.code).toBe("ECONNREFUSED");
  await removeDataFolder(data);
});

test("under npm run, paths are the caller's", async () => {
  const data = await realpath(await makeDataFolder());
  await writeFile(join(data, "restante.toml"), '[server]\ndata = "mine"\n');
  const npm = spawn("npm", ["--prefix", ROOT, "run", "--silent", "restante", "--", "config", "check", "--json"], {
    cwd: data,
    env: { ...process.env, ...LISTEN },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let out = "";
  npm.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  await once(npm, "close");
  expect(JSON.parse(out)).toMatchObject({ file: "restante.toml" });
  await removeDataFolder(data);
});

test("a folder that can't be made ends the command at once, by a sentence that names the setting", async () => {
  const data = await makeDataFolder();
  await writeFile(join(data, "file"), "");
  for (const [setting, path] of [
    ["RESTANTE_SERVER_DATA", join(data, "file", "data")],
    // The system takes no folder there, which Node's recursive mkdir tries for ever.
    ["RESTANTE_SERVER_DATA", "/proc/restante/data"],
    ["RESTANTE_STORAGE_PATH", "/proc/restante/store"],
    ["RESTANTE_LOGIN_USERS_DIR", "/proc/restante/users"],
  ] as const) {
    const name = setting.slice(9).toLowerCase().replace("_", ".");
    const { code, out, err } = await restante(data, ["serve"], "", { [setting]: path });
    expect([code, out]).toEqual([2, ""]);
    expect(err).toMatch(new RegExp(`^restante: ${name}: the folder ${path} can't be made: .*\n$`));
  }
  await mkdir(join(data, "store"));
  await writeFile(join(data, "store", "store.sqlite"), "");
  const { code, err } = await restante(data, ["backup", "/proc/restante/backup"]);
  expect([code, err]).toEqual([2, expect.stringMatching(/^restante: backup: the folder .*\n$/)]);
  // Nor is anything copied where the pepper can't be written beside it.
  await mkdir(join(data, "keys"), { recursive: true });
  await writeFile(join(data, "keys", "pepper"), "");
  for (const name of ["backup", "backup.pepper"]) await mkdir(join(data, name));
  expect(await restante(data, ["backup", join(data, "backup")])).toMatchObject({
    code: 2,
    err: expect.stringMatching(/^restante: E\w+: .*backup\.pepper.*\n$/),
  });
  expect(await readdir(join(data, "backup"))).toEqual([]);
  await removeDataFolder(data);
});

test("a file that can't be used ends the command by a sentence", async () => {
  const data = await makeDataFolder();
  await mkdir(join(data, "users", "ada%40example.org.json"), { recursive: true });
  for (const command of [["serve"], ["account", "list"]])
    expect(await restante(data, command)).toMatchObject({
      code: 2,
      out: "",
      err: expect.stringMatching(/^restante: EISDIR: .*\n$/),
    });
  await mkdir(join(data, "other"));
  await writeFile(join(data, "other", "objects"), "");
  expect(await restante(data, ["serve"], "", { RESTANTE_STORAGE_PATH: join(data, "other") })).toMatchObject({
    // A disk that is not there may come back.
    code: 3,
    out: "",
    err: expect.stringMatching(/^restante: EEXIST: .*other\/objects.*\n$/),
  });
  await removeDataFolder(data);
});

test("a listener that can't be bound ends the server by a sentence that names the setting", async () => {
  const data = await makeDataFolder();
  for (const [setting, place, why] of [
    ["RESTANTE_IMAP_LISTEN", "192.0.2.1:1143", "no such address"],
    ["RESTANTE_LMTP_LISTEN", `unix:${data}/missing/lmtp`, "no such folder"],
    ["RESTANTE_HTTPS_LISTEN", "1443", "no address to listen on"],
  ] as const) {
    const { code, out, err } = await restante(data, ["serve"], "", { [setting]: place });
    expect([code, out]).toEqual([2, ""]);
    expect(err.split("\n")).toEqual([expect.stringContaining(why), ""]);
    expect(err).toContain(setting.slice(9).toLowerCase().replace("_", "."));
    expect(err).toContain(place);
  }
  await removeDataFolder(data);
});
