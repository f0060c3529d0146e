import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DEMO } from "../kit/server.ts";
import { command, type Interop, need, temporaryFolder, until, withServer } from "./harness.ts";

/** mutt, driven in a terminal, shows the list and a mail. */
export const mutt: Interop = async (steps) => {
  need({ mutt: "/usr/bin/mutt", tmux: "/usr/bin/tmux" });
  await withServer(async ({ ports }) => {
    const home = await temporaryFolder("mutt");
    const rc = join(home, "rc");
    await writeFile(
      rc,
      `set imap_user="${DEMO.user}"\nset imap_pass="${DEMO.password}"\nset folder="imap://127.0.0.1:${ports.imap}/"\nset spoolfile="imap://127.0.0.1:${ports.imap}/INBOX"\nset ssl_starttls=no\nset ssl_force_tls=no\nset header_cache=""\nset record=""\nset assumed_charset="utf-8"\n`,
    );
    const socket = `restante-${process.pid}`;
    const tmux = (...args: string[]): ReturnType<typeof command> => command("tmux", ["-L", socket, ...args]);
    const screen = async (): Promise<string> =>
      Buffer.from((await tmux("capture-pane", "-p")).out, "latin1").toString();
    await tmux(
      "-f",
      "/dev/null",
      "new-session",
      "-d",
      "-x",
      "120",
      "-y",
      "40",
      `env LC_ALL=C.UTF-8 HOME=${home} mutt -F ${rc}`,
    );
    try {
      await steps.step("shows the list", () =>
        until("the list", async () => /Welcome[\s\S]*Grüße aus Köln/.test(await screen())),
      );
      await steps.step("shows a mail", async () => {
        await tmux("send-keys", "2", "Enter", "Enter");
        await until("the mail", async () => (await screen()).includes("The list you asked for is attached."));
      });
      await steps.step("deletes one and leaves", async () => {
        await tmux("send-keys", "q");
        await tmux("send-keys", "1", "Enter", "d", "$");
        await until(
          "the question",
          async () =>
            /[Pp]urge|\[yes\]|\(\[yes\]\/no\)/.test(await screen()) || !(await screen()).includes("Welcome   "),
        );
        await tmux("send-keys", "y");
        await until("two left", async () => /Msgs:2|\b2\b.*INBOX|INBOX.*2/.test(await screen()));
        await tmux("send-keys", "q");
      });
    } finally {
      await tmux("kill-server");
    }
  });
};
