import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";
import { connectImap } from "../kit/line-client.ts";
import { messageOf } from "../kit/load.ts";
import { DEMO, makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "../kit/server.ts";

const ROUNDS = 5;
/** How long a round's load runs before the kill, at least and at most. */
const LOAD_MS = [400, 1200] as const;

interface Load {
  readonly sent: Set<string>;
  readonly done: Set<string>;
  readonly ended: Promise<unknown>;
}

function startLoad(kind: string, { ports }: RunningServer, round: number): Load {
  const script = join(import.meta.dirname, "../kit/load.ts");
  const args = [script, kind, String(ports.imap), String(ports.lmtp), DEMO.user, DEMO.password, String(round)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const sets = { sent: new Set<string>(), done: new Set<string>() };
  let rest = "";
  child.stdout.on("data", (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split("\n");
    rest = lines.pop()!;
    for (const line of lines) sets[line.slice(0, 4) as "sent" | "done"].add(line.slice(5));
  });
  return { ...sets, ended: once(child, "close") };
}

interface Found {
  readonly flags: string;
  readonly body: string;
}

/** What is in a mailbox, by the load's ids; a message that is there twice is listed twice. */
async function readMailbox(port: number, mailbox: string): Promise<Map<string, Found[]>> {
  const client = await connectImap(port, DEMO.user, DEMO.password);
  const selected = await client.command(`SELECT ${mailbox}`);
  const found = new Map<string, Found[]>();
  if (!selected.includes("* 0 EXISTS")) {
    const answer = await client.command("FETCH 1:* (FLAGS BODY.PEEK[])");
    for (const match of answer.matchAll(/FETCH \(FLAGS \(([^)]*)\) BODY\[\] \{(\d+)\}\r\n/g)) {
      const start = match.index + match[0].length;
      const whole = answer.slice(start, start + Number(match[2]));
      const body = whole.replace(/^Return-Path[\s\S]*?\tfor <[^\r]*\r\n/, "");
      const id = /^Subject: ([lafm]\d+x\d+)\r$/m.exec(body)?.[1];
      if (id) found.set(id, [...(found.get(id) ?? []), { flags: match[1]!, body }]);
    }
  }
  client.end();
  return found;
}

test(`${ROUNDS} rounds of SIGKILL under load: what was acknowledged is there once, what was not wholly or not at all`, async () => {
  const data = await makeDataFolder();
  let server = await startServer(data);
  const seed = Number(process.env.RESTANTE_TEST_SEED ?? Date.now() % 100_000);
  console.log(`seed=${seed}`);
  const loads: { readonly kind: string; readonly load: Load }[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const current = ["lmtp", "append", "flags", "lmtp"].map((kind, at) => ({
      kind,
      load: startLoad(kind, server, round * 10 + at),
    }));
    loads.push(...current);
    const [least, most] = LOAD_MS;
    await new Promise((resolve) =>
      setTimeout(resolve, least + (((seed + round) * 7919) % 1000) * ((most - least) / 1000)),
    );
    await server.kill();
    await Promise.all(current.map(({ load }) => load.ended));
    server = await startServer(data);
  }
  const mailboxes = { lmtp: "INBOX", append: "Archive" } as const;
  let acknowledged = 0;
  for (const kind of ["lmtp", "append"] as const) {
    const found = await readMailbox(server.ports.imap!, mailboxes[kind]);
    for (const { load } of loads.filter((item) => item.kind === kind))
      for (const id of load.sent) {
        const copies = found.get(id) ?? [];
        if (load.done.has(id)) acknowledged++;
        expect(copies.length, `${id} of ${kind}`).toBeLessThanOrEqual(1);
        if (load.done.has(id)) expect(copies.length, `${id} was acknowledged`).toBe(1);
        for (const { body } of copies) expect(body).toBe(messageOf(id));
      }
  }
  const drafts = await readMailbox(server.ports.imap!, "Drafts");
  const trash = await readMailbox(server.ports.imap!, "Trash");
  for (const { load } of loads.filter((item) => item.kind === "flags"))
    for (const id of [...load.done].filter((done) => done.startsWith("f"))) {
      acknowledged++;
      const copies = [...(drafts.get(id) ?? []), ...(trash.get(id) ?? [])];
      expect(copies, id).toHaveLength(1);
      expect(copies[0]!.flags).toContain("\\Flagged");
      if (load.done.has(`m${id}`)) expect(trash.has(id), `${id} was moved`).toBe(true);
    }
  expect(acknowledged).toBeGreaterThan(ROUNDS * 10);
  expect(await server.stop()).toBe(0);
  const checked = await restante(data, ["check", DEMO.user, "--password-stdin"], `${DEMO.password}\n`);
  expect(checked).toMatchObject({ code: 0, out: expect.stringContaining(" 0 damaged") });
  await removeDataFolder(data);
}, 120_000);
