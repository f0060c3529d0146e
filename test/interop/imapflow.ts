import { ImapFlow } from "imapflow";
import { connectLmtp, deliver } from "../kit/line-client.ts";
import { DEMO } from "../kit/server.ts";
import { assert, type Interop, withServer } from "./harness.ts";

/** imapflow idles and sees a delivery; then does what a mail program does. */
export const idle: Interop = async (steps) => {
  await withServer(async ({ ports }) => {
    const options = {
      host: "127.0.0.1",
      port: ports.imaps!,
      secure: true,
      tls: { rejectUnauthorized: false },
      auth: { user: DEMO.user, pass: DEMO.password },
      logger: false,
    } as const;
    const client = new ImapFlow(options);
    await client.connect();
    await client.mailboxOpen("INBOX");
    await steps.step("sees a delivery while it idles", async () => {
      const told = new Promise<number>((resolve) =>
        client.once("exists", ({ count }: { count: number }) => resolve(count)),
      );
      void client.idle();
      await new Promise((resolve) => setTimeout(resolve, 300));
      const lmtp = await connectLmtp(ports.lmtp!);
      await deliver(lmtp, [DEMO.user], "Subject: ping\r\n\r\nhello\r\n");
      lmtp.end();
      const count = await Promise.race([told, new Promise<number>((resolve) => setTimeout(() => resolve(-1), 5000))]);
      assert(count === 4, `told of ${count}`);
    });
    await steps.step("lists with special use", async () => {
      const folders = await client.list();
      const uses = folders
        .map((folder) => folder.specialUse)
        .filter(Boolean)
        .sort();
      assert(uses.join(" ") === "\\Archive \\Drafts \\Inbox \\Junk \\Sent \\Trash", uses.join(" "));
    });
    await steps.step("flags, moves, copies, appends, searches and deletes", async () => {
      await client.messageFlagsAdd("1", ["\\Flagged", "Important"]);
      const flagged = await client.search({ flagged: true });
      assert(flagged && flagged.length === 1, `flagged: ${JSON.stringify(flagged)}`);
      const moved = await client.messageMove("2", "Archive");
      assert(moved && moved.uidMap?.size === 1, "no COPYUID for a move");
      await client.mailboxCreate("Projects/Größe");
      const copied = await client.messageCopy("1:2", "Projects/Größe");
      assert(copied && copied.uidMap?.size === 2, "no COPYUID for a copy");
      const appended = await client.append("Drafts", "Subject: draft\r\n\r\ntext\r\n", ["\\Draft"]);
      assert(appended && appended.uid === 1, "no APPENDUID");
      await client.messageDelete("1:*");
      assert(client.mailbox && client.mailbox.exists === 0, "messages are left");
      const status = await client.status("Projects/Größe", { messages: true, unseen: true, uidNext: true });
      assert(status && status.messages === 2 && status.uidNext === 3, JSON.stringify(status));
      await client.mailboxRename("Projects/Größe", "Done");
      await client.mailboxDelete("Done");
    });
    await steps.step("compresses, and comes back by QRESYNC", async () => {
      await client.append("Junk", "Subject: a\r\n\r\ntext\r\n");
      await client.append("Junk", "Subject: b\r\n\r\ntext\r\n");
      await client.mailboxOpen("Junk");
      const { mailbox } = client;
      assert(mailbox && mailbox.highestModseq !== undefined, "no HIGHESTMODSEQ");
      const since = mailbox.highestModseq!;
      const lines: string[] = [];
      const other = new ImapFlow({ ...options, qresync: true, emitLogs: true });
      other.on("log", (entry: { readonly msg?: string }) => lines.push(entry.msg ?? ""));
      await other.connect();
      assert(
        lines.some((line) => /COMPRESS DEFLATE/.test(line)),
        "COMPRESS was not asked for",
      );
      assert(other.enabled.has("QRESYNC"), "QRESYNC is not enabled");
      await client.messageDelete("1", { uid: true });
      await client.messageFlagsAdd("2", ["\\Flagged"], { uid: true });
      const vanished: number[] = [];
      other.on("expunge", (event: { readonly uid?: number; readonly vanished: boolean }) => {
        if (event.vanished && event.uid !== undefined) vanished.push(event.uid);
      });
      await other.mailboxOpen("INBOX");
      await other.mailboxOpen("Junk", { changedSince: since, uidValidity: mailbox.uidValidity } as never);
      const changed = await other.fetchAll("1:*", { uid: true, flags: true }, { uid: true, changedSince: since });
      assert(changed.length === 1 && changed[0]!.uid === 2 && changed[0]!.flags!.has("\\Flagged"), "not what changed");
      await client.append("Junk", "Subject: c\r\n\r\ntext\r\n", ["\\Deleted"]);
      await other.noop();
      await client.messageDelete("3", { uid: true });
      await other.noop();
      assert(vanished.includes(3), `vanished: ${vanished.join(" ")}`);
      await other.logout();
    });
    await client.logout();
  });
};
