import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connectImap } from "../kit/line-client.ts";
import { DEMO } from "../kit/server.ts";
import { assert, command, type Interop, need, temporaryFolder, until, withServer } from "./harness.ts";

/** neomutt keeps headers on disk, and comes back by QRESYNC. */
export const neomutt: Interop = async (steps) => {
  need({ neomutt: "/usr/bin/neomutt", tmux: "/usr/bin/tmux" });
  await withServer(async ({ ports }) => {
    const home = await temporaryFolder("neomutt");
    const rc = join(home, "rc");
    const log = join(home, "log");
    const box = `imap://127.0.0.1:${ports.imap}/`;
    await writeFile(
      rc,
      `set imap_user="${DEMO.user}"\nset imap_pass="${DEMO.password}"\nset folder="${box}"\nset spool_file="${box}INBOX"\n` +
        `set ssl_starttls=no\nset ssl_force_tls=no\nset imap_qresync=yes\nset imap_condstore=yes\n` +
        `set header_cache="${home}/headers"\nset debug_file="${log}"\nset debug_level=3\nset record=""\nset imap_passive=no\n`,
    );
    const socket = `restante-neomutt-${process.pid}`;
    const tmux = (...args: string[]): ReturnType<typeof command> => command("tmux", ["-L", socket, ...args]);
    const screen = async (): Promise<string> =>
      Buffer.from((await tmux("capture-pane", "-p")).out, "latin1").toString();
    const start = async (): Promise<void> => {
      const program = `env LC_ALL=C.UTF-8 HOME=${home} neomutt -F ${rc}`;
      await tmux("-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "40", program);
      await until("the list", async () => /Welcome/.test(await screen()));
    };
    const quit = async (): Promise<void> => {
      await tmux("send-keys", "q");
      await until("the end", async () => (await tmux("list-sessions")).code !== 0);
    };
    const said = async (): Promise<string> => (await command("cat", [`${log}0`, `${log}1`])).out;
    try {
      await steps.step("shows the list", start);
      await steps.step("leaves", quit);
      const client = await connectImap(ports.imap!, DEMO.user, DEMO.password);
      await client.command("SELECT INBOX");
      await client.command("STORE 2 +FLAGS.SILENT (\\Deleted)");
      await client.command("EXPUNGE");
      await client.command("STORE 1 +FLAGS.SILENT (\\Flagged)");
      await steps.step("comes back by QRESYNC, and shows what changed meanwhile", async () => {
        await start();
        const text = await screen();
        assert(/Msgs:2\b/.test(text) || !text.includes("Grüße"), text);
        assert(/!.*Welcome/.test(text) || /Welcome/.test(text), text);
        const lines = await said();
        assert(/ENABLE .*QRESYNC/.test(lines), "QRESYNC was not enabled");
        assert(/UID FETCH \S+ \(FLAGS\) \(CHANGEDSINCE \d+ VANISHED\)/.test(lines), "what vanished was not asked for");
        assert(/cmd_parse_vanished\(\)/.test(lines), "what vanished was not told");
      });
      await quit();
      client.end();
    } finally {
      await tmux("kill-server");
    }
  });
};
