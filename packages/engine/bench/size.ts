// The cost of an open account: node bench/size.ts [messages …]. Makes an account of so many messages, then opens it in nine
// fresh processes: milliseconds from the keys to SELECT's answer, and bytes of memory that stay.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Account } from "../src/account/account.ts";
import { AccountSession } from "../src/account/session.ts";
import { decodeRing, encodeRing } from "../src/crypto/index.ts";
import { crypto, makeAccount, openStore, platform } from "./kit.ts";

const OPENINGS = 9;
const APPENDED_AT_ONCE = 200;

async function* message(n: number): AsyncGenerator<Uint8Array> {
  const reply = n % 3 === 0 ? `In-Reply-To: <${n - 1}@bench.example>\r\n` : "";
  const received =
    "Received: from relay.example (relay.example [192.0.2.1]) by mx.example with ESMTPS id 4AbCdE\r\n".repeat(8);
  yield new TextEncoder().encode(
    `${received}From: Person ${n % 997} <p${n % 997}@example.org>\r\nTo: owner@example.org\r\nSubject: about matter ${n}\r\n` +
      `Date: Mon, 05 Oct 2026 10:00:00 +0000\r\nMessage-ID: <${n}@bench.example>\r\n${reply}\r\n${"Some text. ".repeat(40)}\r\n`,
  );
}

async function make(folder: string, messages: number): Promise<void> {
  const store = await openStore(folder);
  const ring = await makeAccount(store);
  writeFileSync(join(folder, "ring"), encodeRing(ring));
  const account = await Account.open({ store, platform }, ring);
  for (let at = 0; at < messages; at += APPENDED_AT_ONCE)
    await Promise.all(
      Array.from({ length: Math.min(APPENDED_AT_ONCE, messages - at) }, async (_, i) => {
        const flags = i % 4 === 0 ? [] : ["\\Seen"];
        await account.append(
          account.mail.getMailbox("INBOX").id,
          await account.prepare(message(at + i), { mailbox: "INBOX", flags }),
        );
      }),
    );
  // The first may be one that is under way, and cover less.
  await account.upkeep.checkpoint();
  await account.upkeep.checkpoint();
  await account.dispose();
  await store.dispose();
  await crypto.dispose();
}

async function open(folder: string): Promise<void> {
  const store = await openStore(folder);
  const ring = decodeRing(new Uint8Array(readFileSync(join(folder, "ring"))));
  const blocked = monitorEventLoopDelay({ resolution: 1 });
  blocked.enable();
  const begun = performance.now();
  const account = await Account.open({ store, platform }, ring);
  const session = new AccountSession({ address: "" }, account, () => undefined);
  await session.refresh();
  const view = session.openView(session.getMailbox("INBOX").id, { readOnly: false });
  session.keywordsIn(view.mailbox);
  view.firstUnseen();
  const ms = performance.now() - begun;
  blocked.disable();
  const longestMs = blocked.max / 1e6;
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    (globalThis as { gc?: () => void }).gc?.();
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  console.log(JSON.stringify({ messages: view.length, ms, longestMs, bytes: heapUsed + external, rss }));
  await account.dispose();
  await store.dispose();
  await crypto.dispose();
}

const [mode, ...rest] = process.argv.slice(2);
if (mode === "make") await make(rest[0]!, Number(rest[1]));
else if (mode === "open") await open(rest[0]!);
else {
  const counts = (mode === undefined ? ["100", "100000"] : [mode, ...rest]).map(Number);
  const results: { messages: number; ms: number; longestMs: number; bytes: number }[] = [];
  for (const count of counts) {
    const kept = process.env.RESTANTE_BENCH_FOLDER;
    const folder = kept ? join(kept, String(count)) : mkdtempSync(join(tmpdir(), "restante-size-"));
    const run = (...args: string[]) => spawnSync(process.execPath, ["--expose-gc", import.meta.filename, ...args]);
    if (!existsSync(join(folder, "ring"))) {
      spawnSync("mkdir", ["-p", folder]);
      const begun = performance.now();
      const made = run("make", folder, String(count));
      if (made.status !== 0) throw new Error(String(made.stderr));
      console.log(`${count} messages made in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
    }
    const opened = Array.from({ length: OPENINGS }, () => {
      const { stdout, stderr } = run("open", folder);
      if (stderr.length > 0) console.error(String(stderr));
      return JSON.parse(String(stdout)) as { messages: number; ms: number; longestMs: number; bytes: number };
    });
    const median = (key: "ms" | "longestMs" | "bytes") =>
      opened.map((one) => one[key]).sort((a, b) => a - b)[OPENINGS >> 1]!;
    results.push({
      messages: opened[0]!.messages,
      ms: median("ms"),
      longestMs: median("longestMs"),
      bytes: median("bytes"),
    });
    if (!kept) rmSync(folder, { recursive: true });
  }
  const [base] = results;
  for (const { messages, ms, longestMs, bytes } of results)
    console.log(
      `${messages} messages: open ${ms.toFixed(0)} ms, ${longestMs.toFixed(0)} ms at most in one step, ${(bytes / 1e6).toFixed(2)} MB, ` +
        `${((bytes - base!.bytes) / 1e6).toFixed(2)} MB above the first`,
    );
}
