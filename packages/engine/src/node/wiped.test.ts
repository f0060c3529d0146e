import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { asOwner, passwordSecret } from "../account/keys/slots.ts";
import { Accounts } from "../account/sign-in/accounts.ts";
import { signUp } from "../account/sign-in/sign-up.ts";
import { type CryptoPlatform, type Purpose, purposeKey } from "../crypto/index.ts";
import { mailText, platform, stream } from "../testing/account-kit.ts";
import { openEmbeddedStore } from "./embedded/store.ts";
import { UsersFolder } from "./users-folder.ts";

/** Keys in the memory of a process that had an account open, or delivered to it. */
const VISIT = join(import.meta.dirname, "../testing/visit.ts");
const ADDRESS = "ada@example.org";
const PASSWORD = "a long sesame of words";

let folder: string;
/** Keys by name: each opens all mail, or much of it. */
const keys: Record<string, Uint8Array> = {};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "restante-wiped-"));
  const store = await openEmbeddedStore({ folder: join(folder, "store"), onFatal: () => undefined });
  const users = new UsersFolder(join(folder, "users"));
  const crypto: CryptoPlatform = platform.crypto;
  const tools = {
    store,
    users,
    platform: { ...platform, crypto, monotonic: () => performance.now() },
    pepper: undefined,
  };
  await signUp(tools, ADDRESS, PASSWORD);
  const accounts = new Accounts(tools);
  const session = await accounts.login(ADDRESS, PASSWORD, "");
  for (let n = 0; n < 3; n++)
    await session.append(
      session.getMailbox("INBOX").id,
      await session.prepare(stream(mailText(n)), { mailbox: "INBOX", flags: [] }),
    );
  session.close();
  await accounts.dispose();
  const user = (await users.find(ADDRESS))!;
  await asOwner(tools, user, passwordSecret(undefined, PASSWORD), async ({ ring }) => {
    for (const { version, root, kemSeed } of ring.versions) {
      keys[`root ${version}`] = root.bytes.slice();
      keys[`seed ${version}`] = kemSeed.bytes.slice();
      for (const purpose of ["log", "page", "body", "sign"] satisfies Purpose[])
        keys[`${purpose} ${version}`] = purposeKey(ring, version, purpose).slice();
    }
  });
  await store.dispose();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function visit(kind: string): Promise<ChildProcess> {
  const child = spawn(
    process.execPath,
    [
      "--expose-gc",
      VISIT,
      join(folder, "store"),
      join(folder, "users"),
      ADDRESS,
      kind,
      Buffer.from(TEXT.map((byte) => byte ^ 0x5a)).toString("hex"),
    ],
    { stdio: ["pipe", "pipe", "inherit"], env: { ...process.env, VISIT_PASSWORD: PASSWORD } },
  );
  const ended = once(child, "exit").then(() => {
    throw new Error("the visit ended too soon");
  });
  await Promise.race([once(child.stdout!, "data"), ended]);
  return child;
}

/** Which of `wanted` the process's memory holds, and how often. */
function scan(pid: number, wanted: Readonly<Record<string, Uint8Array>>): Record<string, number> {
  const found: Record<string, number> = {};
  // The process's memory must not change while it is read.
  process.kill(pid, "SIGSTOP");
  const memory = openSync(`/proc/${pid}/mem`, "r");
  // Pages that were never written to are not there yet.
  const written = /^([0-9a-f]+)-([0-9a-f]+) rw.*\n(?:\w+:.*\n)*?Rss: +[1-9]/gm;
  for (const match of readFileSync(`/proc/${pid}/smaps`, "utf8").matchAll(written)) {
    const [start, end] = [Number.parseInt(match[1]!, 16), Number.parseInt(match[2]!, 16)];
    const bytes = Buffer.alloc(end - start);
    for (let at = 0; at < bytes.length; ) {
      const read = readIfThere(memory, bytes, at, start + at);
      if (read === 0) break;
      at += read;
    }
    for (const [name, key] of Object.entries(wanted))
      for (let at = bytes.indexOf(key); at >= 0; at = bytes.indexOf(key, at + 1)) found[name] = (found[name] ?? 0) + 1;
  }
  closeSync(memory);
  process.kill(pid, "SIGCONT");
  return found;
}

/** A part of a mapping may be nobody's memory, past the end of a file. */
function readIfThere(memory: number, bytes: Buffer, at: number, from: number): number {
  try {
    return readSync(memory, bytes, at, Math.min(bytes.length - at, 2 ** 26), from);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EIO") return 0;
    throw error;
  }
}

async function end(child: ChildProcess): Promise<void> {
  child.stdin!.end();
  await once(child, "exit");
}

/** A mail's text. */
const TEXT: Buffer = Buffer.from("what nobody but its owner may read ".repeat(8));

describe("the memory of a process", () => {
  test("that had an account open holds none of its keys once the grace is over; what it does hold is found", async () => {
    const child = await visit("read");
    const found = scan(child.pid!, { ...keys, TEXT, address: Buffer.from(ADDRESS) });
    await end(child);
    expect(Object.keys(found)).toEqual(["address"]);
  });

  test("that only delivers holds no mail that it delivered", async () => {
    const child = await visit("deliver");
    const found = scan(child.pid!, { TEXT });
    await end(child);
    expect(found).toEqual({});
  });
});
