// The cost of a store of 30 ms a request: node bench/far.ts [messages]. Milliseconds that pass, and processor time.
import type { Account } from "../src/account/account.ts";
import type { Prepared } from "../src/account/delivery/message-writer.ts";
import { openView } from "../src/mail/mailbox-view.ts";
import { MemoryPlace } from "../src/storage/memory.ts";
import type { ObjectStore } from "../src/storage/object-store.ts";
import { clock, crypto, dropbox, mailText, makeAccount, open, stream } from "../src/testing/account-kit.ts";

const REQUEST_MS = 30;
const TAIL = 149;
const messages = Number(process.argv[2] ?? 100_000);
const AT_ONCE = 5_000;
const place = new MemoryPlace(() => clock.now++);
const { ring, user } = await makeAccount(place);
let requests = 0;

/** The same place, far away. */
const far = {
  open(): ObjectStore {
    const near = place.open();
    const slow = new Set(["get", "put", "putIfAbsent", "list", "delete"]);
    return new Proxy(near, {
      get(target, name) {
        const value = Reflect.get(target, name) as unknown;
        if (typeof value !== "function") return value;
        const method = value.bind(target) as (...args: unknown[]) => unknown;
        if (!slow.has(String(name))) return method;
        return async (...args: unknown[]) => {
          requests++;
          await new Promise((resolve) => setTimeout(resolve, REQUEST_MS));
          return method(...args);
        };
      },
    });
  },
};

async function measure(name: string, run: () => Promise<unknown>): Promise<void> {
  const cpu = process.cpuUsage();
  const begun = performance.now();
  requests = 0;
  await run();
  const ms = performance.now() - begun;
  const { user: own, system } = process.cpuUsage(cpu);
  console.log(
    name.padEnd(44),
    `${ms.toFixed(0)} ms`.padEnd(10),
    `${((own + system) / 1000).toFixed(0)} ms of processor`.padEnd(26),
    `${requests} requests`,
  );
}

const first = await open(place, ring());
const sealed = await first.prepare(stream(mailText(0, 10_000)), { mailbox: "INBOX", flags: [] });
// Each has an id of its own; sealing a body for each would take minutes.
const another = (): Prepared => ({
  ...sealed,
  email: { ...sealed.email, id: crypto.random(16), ids: crypto.random(8) },
  carried: {},
});
for (let at = 0; at < messages; at += AT_ONCE)
  await first.appendMany(
    first.mail.getMailbox("INBOX").id,
    Array.from({ length: Math.min(AT_ONCE, messages - at) }, another),
  );
await first.upkeep.checkpoint();
await first.upkeep.checkpoint();
for (let n = 0; n < TAIL; n++)
  await first.append(
    first.mail.getMailbox("INBOX").id,
    await first.prepare(stream(mailText(n)), { mailbox: "INBOX", flags: [] }),
  );
await first.dispose();

let account: Account | undefined;
await measure(`opening, with ${TAIL} mails behind the checkpoint`, async () => {
  account = await open(far, ring());
});
await measure("the 50 newest rows", async () => {
  const view = openView(account!.mail, account!.mail.getMailbox("INBOX").id, { readOnly: true });
  await account!.contents.readSummaries(view.messages(Array.from({ length: 50 }, (_, at) => view.length - 1 - at)));
});
await measure("the 50 oldest rows", async () => {
  const view = openView(account!.mail, account!.mail.getMailbox("INBOX").id, { readOnly: true });
  await account!.contents.readSummaries(view.messages(Array.from({ length: 50 }, (_, at) => at)));
});
await measure("a checkpoint", () => account!.upkeep.checkpoint());
await account!.dispose();
const box = dropbox(place, user);
for (let n = 0; n < 50; n++) await box.deliver(new Uint8Array(0), stream(mailText(1000 + n)));
await measure("opening", async () => {
  account = await open(far, ring());
});
await measure("50 notes taken in", async () => {
  await account!.refresh();
  console.log(account!.mail.getMailbox("INBOX").messages.length - messages - TAIL, "came");
});
await account!.dispose();
