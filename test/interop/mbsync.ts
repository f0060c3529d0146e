import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { corpusMails } from "../kit/corpus.ts";
import { connectImap } from "../kit/line-client.ts";
import { DEMO } from "../kit/server.ts";
import { assert, bodyOf, command, type Interop, need, sha256, temporaryFolder, withServer } from "./harness.ts";

/** mbsync pulls all, byte for byte; then pushes a flag, a deletion and a new mail. */
export const mbsync: Interop = async (steps) => {
  need({ isync: "/usr/bin/mbsync" });
  const mails = corpusMails();
  await withServer(
    async ({ ports }) => {
      const home = await temporaryFolder("mbsync");
      const maildir = join(home, "mail");
      await mkdir(maildir);
      const rc = join(home, "rc");
      await writeFile(
        rc,
        `IMAPAccount demo\nHost 127.0.0.1\nPort ${ports.imap}\nUser ${DEMO.user}\nPass ${DEMO.password}\nSSLType None\nAuthMechs LOGIN\n\nIMAPStore far\nAccount demo\n\nMaildirStore near\nSubFolders Verbatim\nPath ${maildir}/\nInbox ${maildir}/INBOX\n\nChannel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n`,
      );
      const sync = async (): Promise<void> => {
        const { code, out, err } = await command("mbsync", ["-c", rc, "-a"]);
        assert(code === 0, `${out}${err}`);
      };
      const files = async (folder: string): Promise<string[]> =>
        (
          await Promise.all(
            ["cur", "new"].map(async (part) =>
              (await readdir(join(maildir, folder, part))).map((name) => join(maildir, folder, part, name)),
            ),
          )
        ).flat();
      await steps.step("pulls every mail; each body's SHA-256 is what was sent", async () => {
        await sync();
        const pulled = await Promise.all(
          (await files("INBOX")).map(async (file) => (await readFile(file, "latin1")).replace(/\r*\n/g, "\r\n")),
        );
        // mbsync writes its own X-TUID into headers; bodies are its to keep.
        const hashes = new Set(pulled.map((text) => sha256(bodyOf(text))));
        for (const { name, text } of mails) assert(hashes.has(sha256(bodyOf(text))), `${name} did not come`);
        assert(pulled.length === mails.length + 3, `${pulled.length} mails`);
      });
      await steps.step("pushes a flag, a deletion and a new mail", async () => {
        const [first, second] = (await files("INBOX")).sort();
        const flagged = join(maildir, "INBOX/cur", `${first!.split("/").at(-1)!.replace(/:2,.*/, "")}:2,FS`);
        await rename(first!, flagged);
        await rename(second!, join(maildir, "INBOX/cur", `${second!.split("/").at(-1)!.replace(/:2,.*/, "")}:2,T`));
        await writeFile(join(maildir, "Drafts/cur/1.mine:2,D"), "Subject: local\n\nwritten here\n");
        await sync();
        const client = await connectImap(ports.imap!, DEMO.user, DEMO.password);
        const inbox = await client.command("SELECT INBOX");
        assert(inbox.includes(`* ${mails.length + 2} EXISTS`), inbox);
        assert(/^\* SEARCH \d+\r\n/.test(await client.command("SEARCH FLAGGED SEEN")), "the flag did not come");
        await client.command("SELECT Drafts");
        assert((await client.command("FETCH 1 (FLAGS BODY[TEXT])")).includes("written here"), "the mail did not come");
        client.end();
      });
      await steps.step("has nothing left to do", sync);
    },
    { filled: true },
  );
};
