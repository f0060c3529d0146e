import { once } from "node:events";
import { Dropbox } from "../account/delivery/dropbox.ts";
import { Unsettled } from "../account/delivery/unsettled.ts";
import type { Platform } from "../account/platform.ts";
import { Accounts, KEEP_OPEN_MS } from "../account/sign-in/accounts.ts";
import { ready, signingKeyPair } from "../crypto/index.ts";
import { nodePlatform } from "../node/crypto-platform.ts";
import { openEmbeddedStore } from "../node/embedded/store.ts";
import { UsersFolder } from "../node/users-folder.ts";

/**
 * A process of its own, for the test of what is left in memory: its owner signs in, reads all mail, writes and leaves;
 * a mail is delivered; the grace passes. It says so on stdout, and lives until its standard input ends.
 */
const [store = "", users = "", address = "", kind = "", mask = ""] = process.argv.slice(2);
const password = process.env.VISIT_PASSWORD ?? "";
delete process.env.VISIT_PASSWORD;

await ready;
const wakes: (() => void)[] = [];
const signer = signingKeyPair(new Uint8Array(32).fill(9));
const platform: Platform = {
  crypto: nodePlatform(),
  now: Date.now,
  monotonic: () => performance.now(),
  // The grace is over when it is said to be.
  delay: (ms) =>
    new Promise((resolve) => {
      // The time that passed since the last use is no part of the grace.
      if (ms > KEEP_OPEN_MS / 2) wakes.push(resolve);
      else setTimeout(resolve, ms).unref();
    }),
  trustedHosts: [signer.publicKey],
  log: () => undefined,
};
const tools = {
  store: await openEmbeddedStore({ folder: store, onFatal: (message) => process.exit(message.length) }),
  users: new UsersFolder(users),
  platform,
};

if (kind === "deliver") {
  const user = (await tools.users.find(address))!;
  const box = new Dropbox({ ...tools, signer, unsettled: new Unsettled(platform) }, user);
  const unsettled = new Unsettled(platform).connect();
  await box.deliver(new Uint8Array(0), chunks(), unsettled);
  unsettled.settle();
} else {
  const accounts = new Accounts({ ...tools, pepper: undefined });
  const session = await accounts.login(address, password, "");
  // The collector moves what is small and young: no key may be left where it was.
  for (let round = 0; round < 3; round++) globalThis.gc?.({ type: "minor" });
  await session.refresh();
  const view = session.openView(session.getMailbox("INBOX").id, { readOnly: false });
  const messages = view.messagesIn(0, view.length);
  await session.readSummaries(messages);
  await session.readHeaders(messages);
  for (const message of messages) {
    const body = await session.openBody(message);
    for await (const piece of body.read(0, body.size)) piece.fill(0);
  }
  await session.create("Visited");
  await session.append(
    session.getMailbox("INBOX").id,
    await session.prepare(chunks(), { mailbox: "INBOX", flags: [] }),
  );
  for (let round = 0; round < 3; round++) globalThis.gc?.({ type: "minor" });
  session.close();
  while (accounts.openCount > 0) {
    for (const wake of wakes.splice(0)) wake();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
for (let round = 0; round < 10; round++) {
  await new Promise((resolve) => setTimeout(resolve, 20));
  globalThis.gc?.();
}
process.stdout.write("left\n");
process.stdin.resume();
await once(process.stdin, "end");
process.exit(0);

/** A mail whose text stands nowhere else in this process: it comes masked, and each piece is wiped when it was read. */
async function* chunks(): AsyncGenerator<Uint8Array> {
  // Text beyond the part that the preview is made of: that part becomes a text of JavaScript, which nobody can wipe.
  yield new TextEncoder().encode(`Subject: a visit\r\n\r\n${"well known\r\n".repeat(2000)}`);
  const text = Uint8Array.from(Buffer.from(mask, "hex"), (byte) => byte ^ 0x5a);
  yield text;
  text.fill(0);
}
