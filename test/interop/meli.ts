import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { connectLmtp, deliver } from "../kit/line-client.ts";
import { DEMO } from "../kit/server.ts";
import { assert, command, type Interop, need, temporaryFolder, until } from "./harness.ts";
import { askImap, withJmap } from "./jmap.ts";

const VERSION = "0.9.0";
/** Kept, since it is built: two minutes without optimization. */
const FOLDER = join(process.env.RESTANTE_TEST_CACHE ?? join(homedir(), ".cache", "restante"), `meli-${VERSION}`);
const MELI = join(FOLDER, "bin/meli");
const BUILD_MS = 20 * 60_000;

async function build(): Promise<void> {
  if (existsSync(MELI)) return;
  need({ m4: "/usr/bin/m4" });
  await mkdir(FOLDER, { recursive: true });
  const features = ["--no-default-features", "--features", "jmap,http,smtp"];
  const quick = ["CARGO_PROFILE_RELEASE_OPT_LEVEL=0", "CARGO_PROFILE_RELEASE_LTO=off"];
  const install = ["cargo", "install", "meli", "--version", VERSION, "--locked", "--root", FOLDER, ...features];
  const { code, err } = await command("env", [...quick, ...install], "", BUILD_MS);
  assert(code === 0, err.slice(-2000));
}

/**
 * meli of crates.io, driven in a terminal: it lists, reads, hears of what comes, and sends by Email/import and EmailSubmission.
 * It answers each `retry` of an event stream by opening it anew, and says of what it submits that it is final.
 * A state that its own call ended in it takes for what it knows: what came meanwhile it shows when more comes.
 */
export const meli: Interop = async (steps) => {
  need({ tmux: "/usr/bin/tmux" });
  await steps.step("builds", build);
  await withJmap(async ({ server, base }) => {
    const home = await temporaryFolder("meli");
    const [config, editor] = [join(home, "config.toml"), join(home, "editor")];
    await writeFile(editor, EDITOR, { mode: 0o755 });
    await writeFile(config, configOf(base, editor), { mode: 0o600 });
    const socket = `restante-meli-${process.pid}`;
    const tmux = (...args: string[]): ReturnType<typeof command> => command("tmux", ["-L", socket, ...args]);
    const screen = async (): Promise<string> =>
      Buffer.from((await tmux("capture-pane", "-p")).out, "latin1").toString();
    const shows = (what: RegExp): Promise<void> =>
      until(`${what}`, async () => what.test(await screen())).catch(async (error: unknown) => {
        throw new Error(await screen(), { cause: error });
      });
    const program = `env LC_ALL=C.UTF-8 HOME=${home} XDG_CONFIG_HOME=${home} ${MELI} -c ${config}`;
    await tmux("-f", "/dev/null", "new-session", "-d", "-x", "140", "-y", "40", program);
    try {
      await steps.step("lists mailboxes and mails", async () => {
        await shows(/Grüße aus Köln/);
        const text = await screen();
        for (const name of ["Inbox", "Archive", "Drafts", "Junk", "Sent", "Trash", "Welcome"])
          assert(text.includes(name), text);
      });
      await steps.step("shows a mail, and marks it seen, as IMAP sees it", async () => {
        await tmux("send-keys", "Enter");
        await shows(/Message-ID: <\w+@demo\.example\.org>/);
        await until("the flag", async () => /\\Seen/.test(await askImap(server, "SELECT INBOX", "FETCH 1:* FLAGS")));
        await tmux("send-keys", "i");
      });
      await steps.step("hears of a delivery", async () => {
        const lmtp = await connectLmtp(server.ports.lmtp!);
        await deliver(lmtp, [DEMO.user], "From: Ada <ada@example.org>\r\nSubject: just now\r\n\r\nhello\r\n");
        lmtp.end();
        await shows(/just now/);
      });
      await steps.step("writes and sends; the copy is in Sent and no draft is left", async () => {
        await until("the editor's field", async () => {
          // The list may not have the keys yet.
          if (!/COMPOSING MESSAGE/.test(await screen())) await tmux("send-keys", "m");
          return /COMPOSING MESSAGE/.test(await screen());
        });
        await tmux("send-keys", "e");
        await shows(/hello by meli/);
        await tmux("send-keys", "s");
        await shows(/send mail\?/);
        await tmux("send-keys", "j");
        await tmux("send-keys", "Enter");
        await until("it", async () => /by meli/.test(await askImap(server, "SELECT INBOX", "FETCH * BODY.PEEK[]")));
        assert(/by meli/.test(await askImap(server, "SELECT Sent", "FETCH 1 BODY.PEEK[]")), "Sent has it not");
        assert(/^\* 0 EXISTS/m.test(await askImap(server, "SELECT Drafts")), "a draft is left");
      });
    } finally {
      await tmux("kill-server");
    }
  });
};

/** It writes whom a mail is to, and what it says. */
const EDITOR = `#!/bin/sh
sed -i 's/^To:.*/To: ${DEMO.user}/; s/^Subject:.*/Subject: by meli/' "$1"
echo "hello by meli" >> "$1"
`;

function configOf(base: string, editor: string): string {
  return [
    "[accounts.demo]",
    'root_mailbox = "INBOX"',
    'format = "jmap"',
    'send_mail = "server_submission"',
    `server_url = "${base}"`,
    `server_username = "${DEMO.user}"`,
    `server_password = "${DEMO.password}"`,
    'listing.index_style = "plain"',
    `identity = "${DEMO.user}"`,
    "[composing]",
    `editor_command = "${editor}"`,
    "store_sent_mail = false",
    "[notifications]",
    'enable = "none"',
    "",
  ].join("\n");
}
