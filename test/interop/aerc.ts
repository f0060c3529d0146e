import { existsSync } from "node:fs";
import { copyFile, mkdir, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { connectLmtp, deliver } from "../kit/line-client.ts";
import { DEMO } from "../kit/server.ts";
import { assert, command, type Interop, need, until, withServer } from "./harness.ts";
import { askImap } from "./jmap.ts";

/** Debian 13, whose aerc speaks JMAP; kept, since making it takes two minutes. */
const ROOT = join(process.env.RESTANTE_TEST_CACHE ?? join(homedir(), ".cache", "restante"), "trixie-aerc");
const BUILD_MS = 15 * 60_000;

async function build(): Promise<void> {
  if (existsSync(join(ROOT, "usr/bin/aerc"))) return;
  need({ debootstrap: "/usr/sbin/debootstrap" });
  await mkdir(ROOT, { recursive: true });
  const made = await command("debootstrap", ["--variant=minbase", "--include=aerc", "trixie", ROOT], "", BUILD_MS);
  assert(made.code === 0, made.out.slice(-2000));
}

/**
 * aerc of Debian 13, driven in a terminal. Its library takes an upload's answer with 200 alone, and writes `mailfrom`. After an event
 * it asks for emails without saying which, and is refused: all of a mailbox are more than it wants.
 * It ends when a mail that it moves has no Message-ID.
 */
export const aerc: Interop = async (steps) => {
  need({ tmux: "/usr/bin/tmux" });
  await steps.step("is there", build);
  await withServer(async (server) => {
    const home = `/root/run-${process.pid}`;
    const config = join(ROOT, home, ".config/aerc");
    await mkdir(config, { recursive: true });
    await copyFile(join(server.data, "tls/localhost.pem"), join(ROOT, home, "cert.pem"));
    const source = `jmap://${DEMO.user.replace("@", "%40")}:${DEMO.password}@localhost:${server.ports.https}`;
    const account = `[demo]\nsource = ${source}/.well-known/jmap\noutgoing = jmap://\nfrom = Demo <${DEMO.user}>\ndefault = Inbox\n`;
    await writeFile(join(config, "accounts.conf"), account, { mode: 0o600 });
    await writeFile(
      join(config, "aerc.conf"),
      `[compose]\neditor = ${home}/editor\n[viewer]\npager = cat\n[filters]\ntext/plain = cat\n`,
    );
    await writeFile(join(ROOT, home, "editor"), '#!/bin/sh\necho "Größe von aerc" >> "$1"\n', { mode: 0o755 });
    const socket = `restante-aerc-${process.pid}`;
    const tmux = (...args: string[]): ReturnType<typeof command> => command("tmux", ["-L", socket, ...args]);
    const screen = async (): Promise<string> =>
      Buffer.from((await tmux("capture-pane", "-p")).out, "latin1").toString();
    const shows = (what: RegExp): Promise<void> =>
      until(`${what}`, async () => what.test(await screen())).catch(async (error: unknown) => {
        throw new Error(await screen(), { cause: error });
      });
    const type = (text: string) => tmux("send-keys", text, "Enter");
    // Its terminal for an editor needs devices; they are gone with it.
    const devices = `mount --bind /dev ${ROOT}/dev && mount --bind /dev/pts ${ROOT}/dev/pts`;
    const env = `env HOME=${home} SSL_CERT_FILE=${home}/cert.pem LC_ALL=C.UTF-8 TERM=screen-256color`;
    const program = `unshare --mount sh -c '${devices} && exec ${env} chroot ${ROOT} aerc'`;
    await tmux("-f", "/dev/null", "new-session", "-d", "-x", "140", "-y", "40", program);
    try {
      await steps.step("lists mailboxes and mails", async () => {
        await shows(/Grüße aus Köln/);
        const text = await screen();
        for (const name of ["Archive", "Drafts", "Inbox", "Junk", "Sent", "Trash"]) assert(text.includes(name), text);
      });
      await steps.step("finds, shows and marks a mail, as IMAP sees it", async () => {
        await type(":filter Köln");
        await until("the others to go", async () => !(await screen()).includes("Welcome"));
        await type(":view");
        await shows(/Schöne Grüße vom Rhein/);
        await until("the flag", async () => /\\Seen/.test(await askImap(server, "SELECT INBOX", "FETCH 2 FLAGS")));
        await type(":close");
        await type(":clear");
        await shows(/Welcome/);
      });
      await steps.step("hears of a delivery", async () => {
        const lmtp = await connectLmtp(server.ports.lmtp!);
        await deliver(
          lmtp,
          [DEMO.user],
          "Message-ID: <a@b>\r\nFrom: Ada <ada@example.org>\r\nSubject: just now\r\n\r\nhello\r\n",
        );
        lmtp.end();
        await shows(/just now/);
      });
      await steps.step("moves a mail, as IMAP sees it", async () => {
        await type(":filter just");
        await until("the others to go", async () => !(await screen()).includes("Welcome"));
        await type(":move Archive");
        await until("it", async () => /^\* 1 EXISTS/m.test(await askImap(server, "SELECT Archive")));
        assert((await askImap(server, "SELECT Archive", "FETCH 1 BODY.PEEK[]")).includes("just now"), "another");
      });
      await steps.step("writes and sends; the copy is in Sent and no draft is left", async () => {
        await type(`:compose -H "To: ${DEMO.user}" -H "Subject: by aerc"`);
        await shows(/Send this email/);
        await tmux("send-keys", "y");
        await until("it", async () => /by aerc/.test(await askImap(server, "SELECT INBOX", "FETCH * BODY.PEEK[]")));
        assert(/by aerc/.test(await askImap(server, "SELECT Sent", "FETCH 1 BODY.PEEK[]")), "Sent has it not");
        assert(/^\* 0 EXISTS/m.test(await askImap(server, "SELECT Drafts")), "a draft is left");
      });
    } finally {
      await tmux("kill-server");
      await rm(join(ROOT, home), { recursive: true });
    }
  });
};
