import { readFileSync } from "node:fs";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { connectImap } from "../kit/line-client.ts";
import { DEMO, makeDataFolder, removeDataFolder, restante, startServer } from "../kit/server.ts";

/** The commands that a section of docs/operating.md shows, in their order. */
function documented(section: string): string[][] {
  const text = readFileSync(join(import.meta.dirname, "../../docs/operating.md"), "utf8");
  const inside = text.split(`\n## ${section}\n`)[1]!.split("\n## ")[0]!;
  return [...inside.matchAll(/^ {4}restante (.+)$/gm)].map((match) => match[1]!.split(" "));
}

test("a backup that is made and brought back as docs/operating.md says holds every mail", async () => {
  const commands = documented("Backup");
  expect(commands.map(([name]) => name)).toEqual(["backup", "restore"]);
  const [data, backups] = [await makeDataFolder(), await makeDataFolder()];
  const [backUp, restore] = commands.map((words) => words.map((word) => word.replace("/srv/backup", backups)));
  const mails = async (port: number): Promise<string> => {
    const client = await connectImap(port, DEMO.user, DEMO.password);
    await client.command("SELECT INBOX");
    const fetched = await client.command("FETCH 1:* (UID BODY.PEEK[])");
    client.end();
    return fetched.replace(/^\w+ OK .*/m, "");
  };
  const server = await startServer(data);
  const before = await mails(server.ports.imap!);
  expect(before).toContain("Subject: Welcome");
  // Beside the running server; then the machine is lost.
  expect(await restante(data, backUp!)).toMatchObject({ code: 0 });
  await server.kill();
  const fresh = await makeDataFolder();
  expect(await restante(fresh, restore!)).toMatchObject({ code: 0, err: "" });
  const again = await startServer(fresh);
  expect(await mails(again.ports.imap!)).toBe(before);
  await again.stop();
  // In the same place: the old store is moved away first, as it says.
  expect((await restante(data, restore!)).code).toBe(1);
  await rename(join(data, "store"), join(data, "old"));
  expect(await restante(data, restore!)).toMatchObject({ code: 0 });
  for (const folder of [data, backups, fresh]) await removeDataFolder(folder);
});
