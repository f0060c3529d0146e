import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { connectImap, type LineClient } from "../kit/line-client.ts";
import { DEMO } from "../kit/server.ts";
import { assert, type Interop, sha256, temporaryFolder, withServer } from "./harness.ts";
import { needScreen, onScreen } from "./screen.ts";

/** The newest mail: the one that is selected when it starts. */
const NEWEST = "Subject: geary archives this";
const TEXT = `From: a@example.org\r\n${NEWEST}\r\nMessage-ID: <newest@example.org>\r\nDate: ${new Date().toUTCString().replace("GMT", "+0000")}\r\n\r\nx\r\n`;

/** Bodies that it fetches at least: it takes mails without a Message-ID for one if size and time are. */
const FETCHED_MIN = 40;

/** Geary on a screen that nobody sees: it fetches all of INBOX into its database, and archives a mail by its key. */
export const geary: Interop = async (steps) => {
  needScreen({
    geary: "/usr/bin/geary",
    "gnome-keyring": "/usr/bin/gnome-keyring-daemon",
    "libsecret-tools": "/usr/bin/secret-tool",
  });
  const home = await temporaryFolder("geary");
  await withServer(
    async ({ ports }) => {
      const client = await connectImap(ports.imap!, DEMO.user, DEMO.password);
      await client.command(`APPEND INBOX {${TEXT.length}+}\r\n${TEXT}`);
      const total = Number(/^\* (\d+) EXISTS/m.exec(await client.command("SELECT INBOX"))![1]);
      const bodies = await readBodies(client, total);
      await writeSettings(home, ports.imap!, ports.submissions!);
      const secret = `xdg:schema org.gnome.Geary proto IMAP host 127.0.0.1 login ${DEMO.user}`;
      const script = `
        echo x | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1
        printf ${DEMO.password} | secret-tool store --label=geary ${secret}
        export LIBGL_ALWAYS_SOFTWARE=1
        geary --debug --log-imap >${home}/log 2>&1 &
        for n in $(seq 60); do sleep 1; xdotool search --onlyvisible --name Inbox >/dev/null && break; done
        # It fetches bodies behind its list, and waits when it has them all.
        for n in $(seq 20); do sleep 2; a=$(grep -c SEND: ${home}/log); sleep 2; [ $a = $(grep -c SEND: ${home}/log) ] && break; done
        xdotool windowfocus $(xdotool search --onlyvisible --name Inbox | tail -1)
        xdotool key ctrl+k
        for n in $(seq 20); do sleep 1; grep -q "uid expunge" ${home}/log && break; done
        sleep 2
        geary --quit
        wait`;
      const { out, err } = await onScreen(home, script);
      const log = await readFile(join(home, "log"), "latin1").catch(() => `${out}${err}`);
      await steps.step("no command of it was refused", () => {
        assert(log.includes("OK IDLE completed") || log.includes("SEND:"), log.slice(-2000));
        const refused = log.match(/^.*RECV: a\d+ (?:BAD|NO).*$/gm);
        assert(refused === null, String(refused));
      });
      using place = openDatabase(join(home, ".local/share/geary/account_01/geary.db"));
      const { database } = place;
      await steps.step("its database has every mail of INBOX", () => {
        const found = database
          .prepare(
            "SELECT count(*) AS count FROM MessageLocationTable JOIN FolderTable ON folder_id = FolderTable.id WHERE name = 'INBOX'",
          )
          .get() as { readonly count: number };
        assert(found.count === total - 1, `${found.count} of ${total}`);
      });
      await steps.step("each body that it fetched is what the server tells others", () => {
        const rows = database.prepare("SELECT subject, body FROM MessageTable WHERE body IS NOT NULL").all() as {
          readonly subject: string | null;
          readonly body: Uint8Array | string;
        }[];
        const held = rows.map(({ subject, body }) => ({ subject, hash: hashOf(Buffer.from(body).toString("latin1")) }));
        const others = held.filter(({ hash }) => !bodies.has(hash)).map(({ subject }) => subject);
        assert(others.length === 0 && held.length > FETCHED_MIN, `${held.length} bodies, of others: ${others}`);
      });
      await steps.step("another program sees what it archived", async () => {
        await client.command("NOOP");
        assert(
          /^\* SEARCH\r$/m.test(await client.command(`SEARCH ${NEWEST.replace(": ", ' "')}"`)),
          "it is still there",
        );
        const archive = await client.command("SELECT Archive");
        assert(archive.includes("* 1 EXISTS"), archive);
      });
      client.end();
    },
    { filled: true },
  );
};

/** The hashes of all bodies of the selected mailbox. */
async function readBodies(client: LineClient, total: number): Promise<Set<string>> {
  const bodies = new Set<string>();
  for (let n = 1; n <= total; n++) {
    const answer = await client.command(`FETCH ${n} BODY.PEEK[TEXT]`);
    const literal = /\{(\d+)\}\r\n/.exec(answer);
    const start = literal === null ? 0 : literal.index + literal[0].length;
    const body = literal === null ? "" : answer.slice(start, start + Number(literal[1]));
    bodies.add(hashOf(body));
  }
  return bodies;
}

/** It writes U+FFFD, three octets, for the 0x80 that stands where a mail has NUL. */
function hashOf(body: string): string {
  return sha256(body.replaceAll("\u00ef\u00bf\u00bd", "\u0080"));
}

function openDatabase(path: string): Disposable & { readonly database: DatabaseSync } {
  const database = new DatabaseSync(path, { readOnly: true });
  return { database, [Symbol.dispose]: () => database.close() };
}

async function writeSettings(home: string, imap: number, submission: number): Promise<void> {
  const folder = join(home, ".config/geary/account_01");
  for (const one of [folder, join(home, ".local/share"), join(home, ".cache")]) await mkdir(one, { recursive: true });
  const sections = {
    Metadata: { version: 1, status: "enabled" },
    Account: {
      ordinal: 1,
      label: "demo",
      // All of it.
      prefetch_days: -1,
      save_drafts: true,
      save_sent: true,
      use_signature: false,
      signature: "",
      sender_mailboxes: `Demo <${DEMO.user}>;`,
      service_provider: "other",
    },
    Incoming: {
      login: DEMO.user,
      remember_password: true,
      host: "127.0.0.1",
      port: imap,
      transport_security: "none",
      credentials: "custom",
    },
    Outgoing: {
      host: "127.0.0.1",
      port: submission,
      transport_security: "transport",
      credentials: "use-incoming",
      remember_password: true,
    },
  };
  const text = Object.entries(sections).map(
    ([name, values]) =>
      `[${name}]\n${Object.entries(values)
        .map(([key, value]) => `${key}=${value}\n`)
        .join("")}`,
  );
  await writeFile(join(folder, "geary.ini"), text.join("\n"));
}
