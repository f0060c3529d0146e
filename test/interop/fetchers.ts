import { chmod, chown, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { corpusMails } from "../kit/corpus.ts";
import { connectImap } from "../kit/line-client.ts";
import { DEMO } from "../kit/server.ts";
import { assert, bodyOf, command, type Interop, need, sha256, temporaryFolder, withServer } from "./harness.ts";

/** Mails that a program stores as they are: Python's email package writes parts anew. */
const MAILS = corpusMails(["dxflrs", "rfc"]).filter(({ text }) => !/\0|\r(?!\n)|multipart|message\/rfc822/i.test(text));

/** Line ends are the program's own. */
function hashOf(text: string): string {
  return sha256(bodyOf(text.replaceAll(/\r*\n/g, "\r\n")).trimEnd());
}

function assertAllCame(came: readonly string[]): void {
  const hashes = new Set(came.map(hashOf));
  for (const { name, text } of MAILS) assert(hashes.has(hashOf(text)), `${name} did not come`);
}

/** fetchmail takes all mail to a program of its own, marks it read, and finds nothing new then. */
export const fetchmail: Interop = async (steps) => {
  need({ fetchmail: "/usr/bin/fetchmail" });
  await withServer(
    async ({ ports }) => {
      const home = await temporaryFolder("fetchmail");
      const take = join(home, "take");
      await writeFile(take, `#!/bin/sh\nexec cat > "$(mktemp ${home}/mail-XXXXXX)"\n`, { mode: 0o755 });
      const rc = join(home, "rc");
      await writeFile(
        rc,
        `poll 127.0.0.1 service ${ports.imap} protocol imap auth password\n  user "${DEMO.user}" password "${DEMO.password}" sslproto "" keep\n  mda "${take}"\n`,
      );
      await chmod(rc, 0o600);
      const fetch = () =>
        command("fetchmail", ["-f", rc, "--nosyslog", "-i", join(home, "ids"), "--pidfile", join(home, "pid")]);
      await steps.step("takes all, each whole, and marks it read", async () => {
        const { code, out, err } = await fetch();
        assert(code === 0, `${code}: ${out}${err}`);
        const files = (await readdir(home)).filter((name) => name.startsWith("mail-"));
        assertAllCame(await Promise.all(files.map((name) => readFile(join(home, name), "latin1"))));
        const client = await connectImap(ports.imap!, DEMO.user, DEMO.password);
        await client.command("EXAMINE INBOX");
        assert((await client.command("SEARCH UNSEEN")).startsWith("* SEARCH\r\n"), "some are unread");
        client.end();
      });
      await steps.step("finds nothing new then", async () => {
        const { code, out } = await fetch();
        assert(code === 1, `${code}: ${out}`);
      });
    },
    { filled: true },
  );
};

/** getmail takes all mail into a Maildir, and deletes what it took. */
export const getmail: Interop = async (steps) => {
  need({ getmail6: "/usr/bin/getmail" });
  await withServer(
    async ({ ports }) => {
      const home = await temporaryFolder("getmail");
      await chmod(home, 0o755);
      const maildir = join(home, "mail");
      for (const folder of ["cur", "new", "tmp"]) await mkdir(join(maildir, folder), { recursive: true });
      // It delivers as nobody in particular.
      const { out: uid } = await command("id", ["-u", "nobody"]);
      for (const folder of ["", "cur", "new", "tmp"]) await chown(join(maildir, folder), Number(uid), Number(uid));
      await writeFile(
        join(home, "rc"),
        `[retriever]\ntype = SimpleIMAPRetriever\nserver = 127.0.0.1\nport = ${ports.imap}\nusername = ${DEMO.user}\npassword = ${DEMO.password}\nmailboxes = ("INBOX",)\n[destination]\ntype = Maildir\npath = ${maildir}/\nuser = nobody\n[options]\ndelete = true\nread_all = true\ndelivered_to = false\nreceived = false\n`,
      );
      const client = await connectImap(ports.imap!, DEMO.user, DEMO.password);
      const told = await client.command("STATUS INBOX (MESSAGES)");
      const messages = Number(/MESSAGES (\d+)/.exec(told)![1]);
      await steps.step("takes all, each whole", async () => {
        const { code, out, err } = await command("getmail", ["--getmaildir", home, "--rcfile", join(home, "rc")]);
        assert(code === 0, `${code}: ${out}${err}`);
        const files = await readdir(join(maildir, "new"));
        assert(files.length === messages, `${files.length} of ${messages}`);
        assertAllCame(await Promise.all(files.map((name) => readFile(join(maildir, "new", name), "latin1"))));
      });
      await steps.step("deletes what it took", async () => {
        const left = await client.command("STATUS INBOX (MESSAGES)");
        assert(left.includes("(MESSAGES 0)"), left);
      });
      client.end();
    },
    { filled: true },
  );
};

/** imapfilter searches, marks, copies and moves. */
export const imapfilter: Interop = async (steps) => {
  need({ imapfilter: "/usr/bin/imapfilter" });
  await withServer(async ({ ports }) => {
    const home = await temporaryFolder("imapfilter");
    const run = async (script: string): Promise<string> => {
      const config = join(home, "config.lua");
      const account = `server = "127.0.0.1", port = ${ports.imap}, username = "${DEMO.user}", password = "${DEMO.password}"`;
      await writeFile(
        config,
        `options.create = true\noptions.starttls = false\naccount = IMAP { ${account} }\n${script}\n`,
      );
      const { code, out, err } = await command("env", [`HOME=${home}`, "imapfilter", "-c", config]);
      assert(code === 0, `${code}: ${out}${err}`);
      return out;
    };
    const client = await connectImap(ports.imap!, DEMO.user, DEMO.password);
    const text = "From: ada@example.org\r\nSubject: lunch\r\n\r\nat noon\r\n";
    await client.command(`APPEND INBOX {${text.length}+}\r\n${text}`);
    await steps.step("lists and finds", async () => {
      const out = await run(
        `boxes = account:list_all()\nfor _, name in ipairs(boxes) do print(name) end\nfound = account.INBOX:contain_subject("lunch") * account.INBOX:is_unseen()\nprint("found " .. #found)`,
      );
      assert(out.includes("Archive") && out.includes("found 1"), out);
    });
    await steps.step("marks, copies to a new mailbox and moves", async () => {
      await run(
        `found = account.INBOX:contain_from("ada")\nfound:mark_flagged()\nfound:add_flags({ "work" })\nfound:copy_messages(account["Lunch/Copies"])\nfound:move_messages(account.Archive)`,
      );
      for (const mailbox of ["Archive", "Lunch/Copies"]) {
        await client.command(`EXAMINE ${mailbox}`);
        const found = await client.command("SEARCH SUBJECT lunch FLAGGED KEYWORD work");
        assert(/^\* SEARCH \d+\r\n/m.test(found), `${mailbox}: ${found}`);
      }
      await client.command("EXAMINE INBOX");
      assert((await client.command("SEARCH SUBJECT lunch")).startsWith("* SEARCH\r\n"), "it is there still");
    });
    client.end();
  });
};
