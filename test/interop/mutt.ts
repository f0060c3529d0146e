import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DEMO } from "../kit/server.ts";
import { assert, command, type Interop, need, temporaryFolder, until, withServer } from "./harness.ts";
import { askImap } from "./jmap.ts";

/** mutt, driven in a terminal, shows the list and a mail; it sends by submission. */
export const mutt: Interop = async (steps) => {
  need({ mutt: "/usr/bin/mutt", tmux: "/usr/bin/tmux" });
  await withServer(async (server) => {
    const { ports } = server;
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
    for (const [scheme, port] of [
      ["smtps", ports.submissions],
      ["smtp", ports.submission],
    ] as const)
      await steps.step(`sends by ${scheme}`, async () => {
        const rc = join(home, scheme);
        const user = DEMO.user.replace("@", "%40");
        const settings = [
          `set smtp_url="${scheme}://${user}@localhost:${port}/"`,
          `set smtp_pass="${DEMO.password}"`,
          `set ssl_ca_certificates_file="${join(server.data, "tls/localhost.pem")}"`,
          `set ssl_starttls=yes`,
          `set from="${DEMO.user}"`,
          `set use_envelope_from=yes`,
          `set record=""`,
          `set send_charset="utf-8"`,
        ];
        await writeFile(rc, `${settings.join("\n")}\n`);
        const args = [
          "LC_ALL=C.UTF-8",
          `HOME=${home}`,
          "mutt",
          "-F",
          rc,
          "-s",
          `Größe (${scheme})`,
          "-b",
          "demo+b@example.org",
        ];
        const { code, out, err } = await command(
          "env",
          [...args, DEMO.user],
          Buffer.from("Grüße\n").toString("latin1"),
        );
        assert(code === 0, out + err);
        const found = async (): Promise<number> => {
          const answer = await askImap(server, "SELECT INBOX", `SEARCH SUBJECT "(${scheme})" FROM "${DEMO.user}"`);
          return /^\* SEARCH((?: \d+)*)/m.exec(answer)![1]!.split(" ").length - 1;
        };
        await until("both", async () => (await found()) === 2);
        const mail = await askImap(server, "SELECT INBOX", "FETCH * BODY.PEEK[]");
        assert(!/^Bcc:/im.test(mail), mail);
      });
  });
};
