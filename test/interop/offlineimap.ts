import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { corpusMails } from "../kit/corpus.ts";
import { connectImap } from "../kit/line-client.ts";
import { DEMO } from "../kit/server.ts";
import { assert, bodyOf, command, type Interop, need, sha256, temporaryFolder, withServer } from "./harness.ts";

/** offlineimap keeps a Maildir the same as the account, both ways, over a compressed connection. */
export const offlineimap: Interop = async (steps) => {
  need({ offlineimap3: "/usr/bin/offlineimap" });
  // Python's email package, by which it writes files, writes parts anew.
  const mails = corpusMails(["dxflrs", "rfc"]).filter(
    ({ text }) => !/\0|\r(?!\n)|multipart|message\/rfc822/i.test(text),
  );
  await withServer(
    async ({ ports }) => {
      const home = await temporaryFolder("offlineimap");
      const maildir = join(home, "mail");
      await mkdir(maildir);
      const rc = join(home, "rc");
      await writeFile(
        rc,
        `[general]\naccounts = demo\nmetadata = ${home}/state\nui = basic\n[Account demo]\nlocalrepository = near\nremoterepository = far\n[Repository near]\ntype = Maildir\nlocalfolders = ${maildir}\n[Repository far]\ntype = IMAP\nremotehost = 127.0.0.1\nremoteport = ${ports.imap}\nremoteuser = ${DEMO.user}\nremotepass = ${DEMO.password}\nssl = no\nstarttls = no\nusecompression = yes\n`,
      );
      const sync = async (): Promise<void> => {
        const { code, out, err } = await command("offlineimap", ["-c", rc, "-o", "-1"], "", 120_000);
        assert(code === 0 && !/ERROR/.test(out + err), `${code}: ${out}${err}`);
      };
      const files = async (folder: string): Promise<string[]> =>
        (
          await Promise.all(
            ["cur", "new"].map(async (part) =>
              (await readdir(join(maildir, folder, part))).map((name) => join(maildir, folder, part, name)),
            ),
          )
        )
          .flat()
          .sort();
      const hashOf = (text: string): string => sha256(bodyOf(text.replaceAll(/\r*\n/g, "\r\n")));
      await steps.step("pulls every mail, each whole, and every mailbox", async () => {
        await sync();
        const hashes = new Set(
          (await Promise.all((await files("INBOX")).map((file) => readFile(file, "latin1")))).map(hashOf),
        );
        for (const { name, text } of mails) assert(hashes.has(hashOf(text)), `${name} did not come`);
        for (const mailbox of ["Archive", "Drafts", "Junk", "Sent", "Trash"])
          assert((await readdir(maildir)).includes(mailbox), `${mailbox} is missing`);
      });
      const client = await connectImap(ports.imap!, DEMO.user, DEMO.password);
      await steps.step("pushes a flag, a deletion and a new mail, and pulls what changed meanwhile", async () => {
        const before = await files("INBOX");
        const [first, second] = before as [string, string];
        await rename(first, `${first.replace("/new/", "/cur/").replace(/:2,.*|$/, "")}:2,FS`);
        await rm(second);
        await writeFile(join(maildir, "Drafts/cur/1.mine:2,D"), "Subject: local\n\nwritten here\n");
        await client.command("APPEND Archive (\\Answered) {20+}\r\nSubject: there\r\n\r\nx");
        await sync();
        const inbox = await client.command("SELECT INBOX");
        assert(inbox.includes(`* ${before.length - 1} EXISTS`), inbox);
        assert(/^\* SEARCH \d+\r\n/.test(await client.command("SEARCH FLAGGED SEEN")), "the flag did not come");
        await client.command("SELECT Drafts");
        assert((await client.command("FETCH 1 BODY[TEXT]")).includes("written here"), "the mail did not come");
        const archive = await files("Archive");
        assert(archive.length === 1 && /:2,R/.test(archive[0]!), `${archive}`);
      });
      await steps.step("has nothing left to do", async () => {
        const before = await files("INBOX");
        await sync();
        assert(`${await files("INBOX")}` === `${before}`, "something changed");
      });
      client.end();
    },
    { filled: true },
  );
};
