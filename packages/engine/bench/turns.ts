// How long one command on very many messages keeps all others waiting: node bench/turns.ts [messages]. For each, its
// milliseconds by the clock, and its longest turns of the event loop in the thread's processor time.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Account } from "../src/account/account.ts";
import { openView } from "../src/mail/mailbox-view.ts";
import { adding, bareEmail } from "../src/testing/email-kit.ts";
import { crypto, makeAccount, openStore, platform } from "./kit.ts";

const MESSAGES = Number(process.argv[2] ?? 100_000);
const APPENDED_AT_ONCE = 5000;
const ROUNDS = 3;
/** Mails that a checkpoint packs. */
const PACKED = 700;
const SHOWN = 3;

/** Processor time of this thread, milliseconds. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

let turns: number[] = [];
let last = cpuMs();
const watch = setInterval(() => {
  const now = cpuMs();
  turns.push(now - last);
  last = now;
}, 0);
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

async function measure(name: string, work: () => unknown): Promise<void> {
  await turn();
  turns = [];
  const begun = performance.now();
  await work();
  const ms = performance.now() - begun;
  await turn();
  const longest = turns.sort((a, b) => b - a).slice(0, SHOWN);
  console.log(name.padEnd(28), `${ms.toFixed(0)} ms`.padStart(8), longest.map((one) => one.toFixed(1)).join(" "));
}

const folder = mkdtempSync(join(tmpdir(), "restante-turns-"));
const store = await openStore(folder);
const account = await Account.open({ store, platform }, await makeAccount(store));
const { mail } = account;
for (let at = 0; at < MESSAGES; at += APPENDED_AT_ONCE) {
  const emails = Array.from({ length: APPENDED_AT_ONCE }, (_, i) => bareEmail([(at + i) >> 16, (at + i) >> 8, at + i]));
  await mail.push(adding(mail.getMailbox("INBOX").id, emails));
}
const all = Array.from({ length: MESSAGES }, (_, position) => position);
const odd = all.filter((position) => position % 2 === 1);
const open = (path: string) => openView(mail, mail.getMailbox(path).id, { readOnly: false });
for (let round = 0; round < ROUNDS; round++) {
  const [inbox, other] = [open("INBOX"), open("INBOX")];
  await measure("STORE all", () => inbox.setFlags(all, { mode: "add", flags: ["\\Flagged", `round${round}`] }));
  await measure("STORE all, told elsewhere", () => other.sync({ expunges: true }));
  await measure("STORE every other", () => inbox.setFlags(odd, { mode: "remove", flags: ["\\Flagged"] }));
  await measure("COPY all", () => inbox.copy(all, mail.getMailbox("Archive").id));
  const archive = open("Archive");
  await measure("MOVE all", () => archive.move(all, mail.getMailbox("Junk").id));
  await measure("MOVE all, told", () => archive.sync({ expunges: true }));
  const junk = open("Junk");
  await junk.setFlags(all, { mode: "add", flags: ["\\Deleted"] });
  await measure("EXPUNGE all", () => junk.expunge());
}
async function* mail10K(n: number): AsyncGenerator<Uint8Array> {
  const head = `Subject: mail ${n}\r\nMessage-ID: <${n}@x>\r\n\r\n`;
  yield new TextEncoder().encode(head + "a line of text, as long as lines of text are wont to be\r\n".repeat(180));
}
for (let round = 0; round < ROUNDS; round++) {
  for (let n = 0; n < PACKED; n++)
    await account.append(
      account.mail.getMailbox("Sent").id,
      await account.prepare(mail10K(n), { mailbox: "Sent", flags: [] }),
    );
  await measure(`checkpoint, ${PACKED} mails`, () => account.upkeep.checkpoint());
}
clearInterval(watch);
await account.dispose();
await store.dispose();
await crypto.dispose();
rmSync(folder, { recursive: true });
