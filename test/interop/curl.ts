import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { corpusMails } from "../kit/corpus.ts";
import { DEMO } from "../kit/server.ts";
import {
  assert,
  bodyOf,
  command,
  type Interop,
  need,
  type Steps,
  sha256,
  temporaryFolder,
  withServer,
} from "./harness.ts";

/** curl lists and fetches, in clear on loopback, with STARTTLS and over TLS. */
export const curl: Interop = (steps) => mailByCurl(steps, {});

/** The corpus comes in by LMTP and goes out by curl, from a server with this environment. */
export async function mailByCurl(steps: Steps, env: Readonly<Record<string, string>>, where = ""): Promise<void> {
  need({ curl: "/usr/bin/curl" });
  const mails = corpusMails();
  await withServer(
    async ({ ports }) => {
      const login = ["-s", "-S", "--max-time", "20", "--user", `${DEMO.user}:${DEMO.password}`];
      const plain = `imap://127.0.0.1:${ports.imap}`;
      await steps.step(`lists the folders${where}`, async () => {
        const { out, code } = await command("curl", [...login, `${plain}/`]);
        assert(
          code === 0 && ["INBOX", "Drafts", "Sent", "Trash", "Junk", "Archive"].every((name) => out.includes(name)),
          out,
        );
      });
      for (const [way, url, more] of [
        ["in clear", plain, []],
        ["with STARTTLS", plain, ["--ssl-reqd", "-k"]],
        ["over TLS", `imaps://127.0.0.1:${ports.imaps}`, ["-k"]],
      ] as const)
        await steps.step(`fetches every mail ${way}${where}`, async () => {
          for (const [index, mail] of mails.entries()) {
            const { out, err } = await command("curl", [...login, ...more, `${url}/INBOX;UID=${index + 4}`]);
            assert(sha256(bodyOf(out)) === sha256(bodyOf(mail.text)), `${mail.name} differs ${err}`);
          }
        });
      await steps.step(`searches and appends${where}`, async () => {
        const file = join(await temporaryFolder("curl"), "mail");
        await writeFile(file, "Subject: from curl\r\n\r\nhello\r\n");
        const append = await command("curl", [...login, `${plain}/Sent`, "-T", file]);
        assert(append.code === 0, append.err);
        const { out } = await command("curl", [...login, `${plain}/Sent?SUBJECT%20curl`]);
        assert(out.trim() === "* SEARCH 1", out);
      });
      await steps.step(`is told a wrong password${where}`, async () => {
        const { code } = await command("curl", ["-s", "--user", `${DEMO.user}:wrong`, `${plain}/`]);
        assert(code === 67, `curl ended with ${code}`);
      });
    },
    { filled: true, env },
  );
}
