import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { messageOf } from "../kit/load.ts";
import { makeDataFolder, removeDataFolder, restante, spawnRestante } from "../kit/server.ts";

const PASSWORD = "a long enough password\n";

test("an import that is killed goes on where it stood: nothing is doubled, nothing is lost", async () => {
  const data = await makeDataFolder();
  const run = async (args: readonly string[]): Promise<string> => {
    const result = await restante(data, [...args, "--password-stdin"], PASSWORD);
    expect(result, args.join(" ")).toMatchObject({ code: 0 });
    return result.out;
  };
  const other = "killed@example.org";
  await run(["account", "add", other]);
  const { account } = JSON.parse((await restante(data, ["account", "show", other, "--json"])).out) as {
    account: string;
  };
  const total = 3000;
  const mails = Array.from({ length: total }, (_, n) => `From a@b Thu Nov 12 10:11:12 2020\n${messageOf(`i1x${n}`)}\n`);
  await writeFile(join(data, "large"), mails.join("").replaceAll("\r\n", "\n"));
  const store = new DatabaseSync(join(data, "store/store.sqlite"), { readOnly: true });
  const entries = store.prepare("SELECT count(*) AS count FROM objects WHERE name LIKE ?");
  const count = (): number => (entries.get(`${account}/log/%`) as { count: number }).count;
  const before = count();
  const child = spawnRestante(data, ["import", "mbox:large", other, "--password-stdin"]);
  const ended = once(child, "exit");
  child.stdin.end(PASSWORD);
  while (count() < before + 4 && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 5));
  child.kill("SIGKILL");
  expect(await ended).toEqual([null, "SIGKILL"]);
  store.close();
  const { imported, known } = JSON.parse(await run(["import", "mbox:large", other, "--json"])) as Record<
    string,
    number
  >;
  expect(known).toBeGreaterThan(0);
  expect(imported).toBe(total - known!);
  await run(["export", other, "eml:killed"]);
  const files = (await readdir(join(data, "killed/INBOX"))).filter((name) => name.endsWith(".eml"));
  const found = await Promise.all(files.map((name) => readFile(join(data, "killed/INBOX", name), "utf8")));
  expect(found.sort()).toEqual(Array.from({ length: total }, (_, n) => messageOf(`i1x${n}`)).sort());
  await removeDataFolder(data);
});
