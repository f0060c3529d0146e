import { cp, mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { connectImap, connectLmtp, deliver } from "../kit/line-client.ts";
import { messageOf } from "../kit/load.ts";
import { DEMO, makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "../kit/server.ts";

interface Seen {
  readonly uidValidity: number;
  /** Subjects by uid. */
  readonly subjects: ReadonlyMap<number, string>;
}

async function look({ ports }: RunningServer): Promise<Seen> {
  const client = await connectImap(ports.imap!, DEMO.user, DEMO.password);
  const selected = await client.command("SELECT INBOX");
  const answer = await client.command("FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])");
  client.end();
  const found = [...answer.matchAll(/\(UID (\d+) BODY\[[^\]]*\] \{\d+\}\r\nSubject: ([^\r]*)/g)];
  return {
    uidValidity: Number(/UIDVALIDITY (\d+)/.exec(selected)![1]),
    subjects: new Map(found.map((match) => [Number(match[1]), match[2]!])),
  };
}

/** Delivers until it is told to stop; puts into `ids` what was acknowledged. */
async function deliverUntil({ ports }: RunningServer, ids: string[], stop: AbortSignal): Promise<void> {
  const client = await connectLmtp(ports.lmtp!);
  for (let n = 0; !stop.aborted; n++) {
    const [reply] = await deliver(client, [DEMO.user], messageOf(`b${n}`));
    expect(reply).toMatch(/^250/);
    ids.push(`b${n}`);
  }
  client.end();
}

async function checked(data: string): Promise<void> {
  const result = await restante(data, ["check", DEMO.user, "--password-stdin"], `${DEMO.password}\n`);
  expect(result).toMatchObject({ code: 0, out: expect.stringContaining(" 0 damaged") });
}

test("a backup made under load is whole; after the restore every client refetches and no uid shows another mail", async () => {
  const data = await makeDataFolder();
  const server = await startServer(data);
  const stop = new AbortController();
  const ids: string[] = [];
  const load = deliverUntil(server, ids, stop.signal);
  const more = (count: number) => expect.poll(() => ids.length, { timeout: 120_000 }).toBeGreaterThan(count);
  await more(5);
  const backup = await restante(data, ["backup", "kept"]);
  expect(backup).toMatchObject({ code: 0, out: expect.stringContaining("kept.pepper") });
  await more(ids.length + 5);
  stop.abort();
  await load;
  const before = await look(server);
  expect([...before.subjects.values()]).toEqual(expect.arrayContaining(ids));
  expect(await server.stop()).toBe(0);
  expect((await restante(data, ["restore", "kept"])).err).toContain("there is a store");
  const sealed = await restante(data, ["check", "--sealed", "--json"]);
  expect(sealed.code).toBe(0);

  // Once where the host remembers a newer log, once on a fresh one.
  const fresh = await makeDataFolder();
  await cp(join(data, "kept"), join(fresh, "kept"), { recursive: true });
  await cp(join(data, "kept.pepper"), join(fresh, "kept.pepper"));
  await rename(join(data, "store"), join(data, "lost"));
  for (const place of [data, fresh]) {
    expect((await restante(place, ["restore", "kept"])).out).toContain("1 accounts restored");
    const restored = await startServer(place);
    const client = await connectLmtp(restored.ports.lmtp!);
    expect((await deliver(client, [DEMO.user], messageOf("new")))[0]).toMatch(/^250/);
    client.end();
    const after = await look(restored);
    const subjects = [...after.subjects.values()];
    expect(subjects).toContain("new");
    // Mail that was acknowledged before the backup began is there, once, in order.
    const kept = ids.filter((id) => subjects.includes(id));
    expect(kept.length).toBeGreaterThan(0);
    expect(kept).toEqual(ids.slice(0, kept.length));
    expect(new Set(subjects).size).toBe(subjects.length);
    const other = [...after.subjects].filter(([uid, subject]) => (before.subjects.get(uid) ?? subject) !== subject);
    if (kept.length < ids.length) expect(other.length).toBeGreaterThan(0);
    expect(after.uidValidity).toBeGreaterThan(before.uidValidity);
    expect((await look(restored)).uidValidity).toBe(after.uidValidity);
    expect(await restored.stop()).toBe(0);
    await checked(place);
  }
  await removeDataFolder(data);
  await removeDataFolder(fresh);
});

test("the sealed check names what is missing and what has another size, and its lists can be compared", async () => {
  const data = await makeDataFolder();
  const large = `Subject: large\r\n\r\n${"0123456789abcdef\r\n".repeat(10_000)}`;
  const server = await startServer(data);
  const client = await connectLmtp(server.ports.lmtp!);
  expect((await deliver(client, [DEMO.user], large))[0]).toMatch(/^250/);
  client.end();
  expect(await server.stop()).toBe(0);
  const list = await restante(data, ["check", "--sealed"]);
  expect(list).toMatchObject({ code: 0, err: "" });
  expect(list.out).toMatch(/^[0-9a-f]{64} \d+ [0-9a-f]+\/body\/[0-9a-f]{32}$/m);
  expect(await restante(data, ["backup", "kept"])).toMatchObject({ code: 0 });
  await mkdir(join(data, "elsewhere"));
  await rename(join(data, "kept/store"), join(data, "elsewhere/store"));
  expect((await restante(join(data, "elsewhere"), ["check", "--sealed"])).out).toBe(list.out);
  await rm(join(data, "store/objects"), { recursive: true });
  await mkdir(join(data, "store/objects"));
  const damaged = await restante(data, ["check", "--sealed"]);
  expect(damaged).toMatchObject({ code: 1, err: expect.stringMatching(/body\/[0-9a-f]{32}: .*missing/) });
  // Its owner is told, and the message makes room.
  const owner = (args: readonly string[]) =>
    restante(data, ["check", DEMO.user, ...args, "--password-stdin"], `${DEMO.password}\n`);
  expect(await owner([])).toMatchObject({ code: 1, out: expect.stringMatching(/^INBOX uid \d+: /m) });
  expect(await owner(["--repair"])).toMatchObject({ code: 1, out: expect.stringMatching(/lost, moved to Damaged/) });
  expect(await owner(["--repair"])).toMatchObject({ code: 0, out: "0 messages made whole, 0 are lost\n" });
  expect(await owner(["--retry"])).toMatchObject({ code: 0, out: "0 deliveries can't be opened\n" });
  await removeDataFolder(data);
});

test("what ends with the server is not backed up", async () => {
  const data = await makeDataFolder();
  try {
    for (const env of [{ RESTANTE_STORAGE_LOG_KIND: "memory" }, { RESTANTE_STORAGE_KIND: "memory" }]) {
      const { code, err } = await restante(data, ["backup", join(data, "backup")], "", env);
      expect([code, err]).toEqual([2, expect.stringContaining("outlive")]);
    }
  } finally {
    await removeDataFolder(data);
  }
});
