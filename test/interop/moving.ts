import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { corpusMails } from "../kit/corpus.ts";
import type { LineClient } from "../kit/line-client.ts";
import { makeDataFolder, removeDataFolder, restante } from "../kit/server.ts";
import { type Dovecot, withDovecot } from "./dovecot-server.ts";
import { assert, command, type Interop, need, sha256 } from "./harness.ts";

const PASSWORD = "a-long-enough-password";
const MAILBOXES = ["INBOX", "INBOX.Archiv.2026", "INBOX.Entw&APw-rfe", "INBOX.Gesendet"];
const NAMESPACE = `separator = .
  prefix = INBOX.
  mailbox Gesendet {
    special_use = \\Sent
    auto = subscribe
  }`;

/** Mail moves out of Debian's Dovecot and into it, by IMAP and by Maildir: the same octets, flags, dates and folders. */
export const moving: Interop = async (steps) => {
  need({ "dovecot-imapd": "/usr/lib/dovecot/imap", openssl: "/usr/bin/openssl", python3: "/usr/bin/python3" });
  const data = await makeDataFolder();
  const run = async (args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> => {
    const { code, out, err } = await restante(data, args, "", { RESTANTE_PASSWORD: PASSWORD, ...env });
    assert(code === 0, `${args.join(" ")}: ${out}${err}`);
    return out;
  };
  const exported = async (address: string): Promise<string[]> => {
    await run(["export", address, `eml:eml-${address}`]);
    return readExport(join(data, `eml-${address}`));
  };
  const makeAccount = async (name: string): Promise<string> => {
    await run(["account", "add", `${name}@example.org`]);
    return `${name}@example.org`;
  };
  try {
    await withDovecot(
      async (connect, dovecot) => {
        const client = await connect();
        const count = await fill(client);
        const wanted = await readByImap(client, MAILBOXES, "INBOX.");
        const env = { NODE_EXTRA_CA_CERTS: dovecot.certificate, RESTANTE_SOURCE_PASSWORD: "secret" };
        const source = `imaps://someone@localhost:${dovecot.tlsPort}`;
        const byImap = await makeAccount("imap");
        await steps.step(`imaps: brings ${count} mails, each once`, async () => {
          const out = await run(["import", source, byImap], env);
          assert(out.startsWith(`${count} messages imported`), out);
          same(await exported(byImap), wanted);
        });
        await steps.step("imaps: again brings what is new alone", async () => {
          assert(/^0 messages .*, 0 were there/.test(await run(["import", source, byImap], env)), "not nothing");
          await client.command("APPEND INBOX {14+}\r\nSubject: x\r\n\r\n");
          assert((await run(["import", source, byImap], env)).startsWith("1 messages"), "not one");
        });
        await steps.step("maildir: what Dovecot keeps on its disk is the same", async () => {
          await cp(dovecot.mail, join(data, "maildir"), { recursive: true, preserveTimestamps: true });
          const byMaildir = await makeAccount("maildir");
          await run(["import", "maildir:maildir", byMaildir]);
          const named = await readByImap(client, MAILBOXES, "INBOX.", (path) => path);
          same(await exported(byMaildir), named);
        });
        client.end();
      },
      { location: "maildir:MAIL", namespace: NAMESPACE, tls: true },
    );
    await steps.step("export maildir: Dovecot reads the same", async () => {
      const address = "maildir@example.org";
      await run(["export", address, "maildir:out"]);
      await withDovecot(
        async (connect, { mail }: Dovecot) => {
          await cp(join(data, "out"), mail, { recursive: true, preserveTimestamps: true });
          await command("chown", ["-R", "5000:5000", mail]);
          const client = await connect();
          const names = ["INBOX", "Archiv.2026", "Entw&APw-rfe", "Gesendet"];
          same(await readByImap(client, names, "", (path) => path), await readExport(join(data, `eml-${address}`)));
          client.end();
        },
        { location: "maildir:MAIL", namespace: "separator = ." },
      );
    });
    await steps.step("export maildir nested: Dovecot's fs layout comes in as well", async () => {
      await withDovecot(
        async (connect, { mail }: Dovecot) => {
          const client = await connect();
          for (const name of ["Archiv/2026", "Entw&APw-rfe.x"]) await client.command(`CREATE "${name}"`);
          await client.command('SUBSCRIBE "Archiv/2026"');
          await client.command('APPEND "Archiv/2026" {14+}\r\nSubject: x\r\n\r\n');
          client.end();
          await cp(mail, join(data, "nested"), { recursive: true, preserveTimestamps: true });
        },
        { location: "maildir:MAIL:LAYOUT=fs", namespace: "separator = /" },
      );
      const address = await makeAccount("nested");
      await run(["import", "maildir:nested", address]);
      await run(["export", address, "eml:nested-out"]);
      const paths = await readdir(join(data, "nested-out"));
      assert(paths.includes("Entwürfe.x") && paths.includes("Archiv"), paths.join(" "));
      const subscribed = (await readFile(join(data, "nested-out/.subscriptions"), "utf8")).split("\n");
      assert(subscribed.includes("Archiv/2026") && !subscribed.includes("Entwürfe.x"), subscribed.join(" "));
    });
    await steps.step("mbox: what Python's mailbox writes comes in, and it reads what is exported", async () => {
      const texts = corpusMails().map(({ text }) => text);
      const folder = join(data, "python");
      await mkdir(folder);
      for (const [at, text] of texts.entries()) await writeFile(join(folder, `${at}.eml`), text, "latin1");
      const { code, err } = await command("python3", ["-c", WRITE_MBOX, folder, join(data, "python.mbox")]);
      assert(code === 0, err);
      const address = await makeAccount("python");
      await run(["import", "mboxo:python.mbox", address]);
      await run(["export", address, "mboxo:python-out"]);
      const read = await command("python3", [
        "-c",
        READ_MBOX,
        join(data, "python.mbox"),
        join(data, "python-out/INBOX"),
      ]);
      assert(read.code === 0, read.err);
      assert(read.out.trim() === `${texts.length} alike`, read.out);
    });
  } finally {
    await removeDataFolder(data);
  }
};

const WRITE_MBOX = `
import glob, mailbox, os, sys
box = mailbox.mbox(sys.argv[2])
for name in sorted(glob.glob(sys.argv[1] + "/*.eml"), key=lambda name: int(os.path.basename(name)[:-4])):
    box.add(open(name, "rb").read())
box.flush()
`;
/** Both files hold the same messages, but for what an export says of flags. */
const READ_MBOX = `
import mailbox, sys
def lines(path):
    own = (b"Status:", b"X-Status:", b"X-Keywords:")
    box = mailbox.mbox(path)
    return [[line for line in box.get_bytes(key).replace(b"\\r\\n", b"\\n").split(b"\\n") if not line.startswith(own)] for key in box.keys()]
here, there = lines(sys.argv[1]), lines(sys.argv[2])
assert here == there, [pair for pair in zip(here, there) if pair[0] != pair[1]][:1]
print(len(here), "alike")
`;

async function fill(client: LineClient): Promise<number> {
  for (const name of MAILBOXES.slice(1)) await client.command(`CREATE ${name}`);
  const flags = ["", "\\Seen", "\\Flagged \\Answered", "$Forwarded todo", "\\Draft \\Deleted"];
  const mails = corpusMails();
  for (const [at, { text }] of mails.entries()) {
    const date = `"${String((at % 28) + 1).padStart(2, " ")}-Jan-2026 10:30:00 +0${at % 10}00"`;
    const mailbox = MAILBOXES[at % MAILBOXES.length]!;
    const answer = await client.command(
      `APPEND ${mailbox} (${flags[at % flags.length]}) ${date} {${Buffer.byteLength(text, "latin1")}+}\r\n${text}`,
    );
    assert(/^t\d+ OK/m.test(answer), answer);
  }
  return mails.length;
}

/** Each mail of Dovecot's as {@link readExport} tells it. */
async function readByImap(
  client: LineClient,
  names: readonly string[],
  prefix: string,
  rename = (path: string): string => (path === "Gesendet" ? "Sent" : path),
): Promise<string[]> {
  const mails: string[] = [];
  for (const name of names) {
    const bare = name === "INBOX" ? name : name.slice(prefix.length);
    const path = rename(bare.replaceAll(".", "/").replace("&APw-", "ü"));
    await client.command(`EXAMINE ${name}`);
    const answer = await client.command("FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])");
    const start = /^\* \d+ FETCH \(FLAGS \(([^)]*)\) INTERNALDATE "([^"]*)" BODY\[\] \{(\d+)\}\r\n/gm;
    for (let found = start.exec(answer); found; found = start.exec(answer)) {
      const [, flags = "", date = "", octets = ""] = found;
      const text = answer.slice(start.lastIndex, start.lastIndex + Number(octets));
      start.lastIndex += Number(octets);
      mails.push(factsOf(path, Date.parse(date), flags.split(" "), text));
    }
  }
  return mails.sort();
}

async function readExport(folder: string): Promise<string[]> {
  const mails: string[] = [];
  for (const file of (await readdir(folder, { recursive: true })).filter((path) => path.endsWith(".jsonl"))) {
    const mailbox = file.slice(0, -"/.restante.jsonl".length);
    for (const line of (await readFile(join(folder, file), "utf8")).trim().split("\n")) {
      const facts = JSON.parse(line) as { file: string; receivedMs: number; flags: string[] };
      const text = await readFile(join(folder, mailbox, facts.file), "latin1");
      mails.push(factsOf(mailbox, facts.receivedMs, facts.flags, text));
    }
  }
  return mails.sort();
}

function factsOf(path: string, timeMs: number, flags: readonly string[], text: string): string {
  const shown = flags.filter((flag) => flag !== "" && flag !== "\\Recent").sort();
  // No literal has NUL (RFC 9051 §4.3): Dovecot shows what stands on its disk otherwise.
  return JSON.stringify([path, Math.floor(timeMs / 1000), shown, sha256(text.replaceAll("\0", "\u0080"))]);
}

function same(found: readonly string[], wanted: readonly string[]): void {
  const missing = wanted.filter((mail) => !found.includes(mail));
  const more = found.filter((mail) => !wanted.includes(mail));
  assert(
    missing.length + more.length === 0 && found.length === wanted.length,
    `${found.length} for ${wanted.length}; missing ${missing.slice(0, 3).join(" ")}; more ${more.slice(0, 3).join(" ")}`,
  );
}
