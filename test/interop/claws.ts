import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { corpusMails } from "../kit/corpus.ts";
import { connectImap } from "../kit/line-client.ts";
import { DEMO } from "../kit/server.ts";
import { assert, type Interop, temporaryFolder, withServer } from "./harness.ts";
import { needScreen, onScreen } from "./screen.ts";

/** Mails that it opens one after the other. */
const OPENED = 8;
const FOLDER = "#imap/demo/INBOX";

/** Claws Mail on a screen that nobody sees: it lists INBOX, opens mails, flags one and deletes one, by its keys. */
export const claws: Interop = async (steps) => {
  needScreen({ "claws-mail": "/usr/bin/claws-mail" });
  const home = await temporaryFolder("claws");
  const settings = join(home, "cfg");
  await withServer(
    async ({ ports }) => {
      const client = await connectImap(ports.imap!, DEMO.user, DEMO.password);
      const total = Number(/^\* (\d+) EXISTS/m.exec(await client.command("SELECT INBOX"))![1]);
      const uids = await uidsOf(client.command("UID SEARCH ALL"));
      await writeSettings(home, ports.imap!);
      const [flagged, deleted] = [uids.at(-1)!, uids.at(-2)!];
      const opened = uids.slice(0, OPENED);
      const script = `
        claws() { claws-mail --alternate-config-dir ${settings} "$@"; }
        look() { claws --select "${FOLDER}/$1"; sleep 2; xdotool windowfocus $(xdotool search --onlyvisible --name "Claws Mail" | tail -1); }
        claws --debug >${home}/log 2>&1 &
        for n in $(seq 60); do sleep 0.5; claws --status >/dev/null 2>&1 && break; done
        claws --receive-all
        for n in $(seq 60); do sleep 0.5; claws --status "${FOLDER}" | grep -q " ${total}$" && break; done
        echo "listed $(claws --status "${FOLDER}")"
        for uid in ${opened.join(" ")}; do look $uid; done
        look ${flagged}; xdotool key asterisk; sleep 2
        look ${deleted}; xdotool key ctrl+d; sleep 2
        claws --quit
        wait`;
      const { out } = await onScreen(home, script);
      const log = await readFile(join(home, "log"), "latin1");
      await steps.step("lists every mail", () => assert(new RegExp(`^listed .* ${total}$`, "m").test(out), out));
      await steps.step("no command of it was refused", () => {
        const refused = log.match(/^.*IMAP< \d+ (?:BAD|NO).*$/gm);
        assert(refused === null, String(refused));
      });
      await steps.step("what it opened lies on its disk, octet by octet", async () => {
        const folder = join(settings, "imapcache/127.0.0.1", DEMO.user, "INBOX");
        const held = await readdir(folder);
        for (const uid of opened) {
          assert(held.includes(uid), `${uid} is not among ${held}`);
          const text = await readFile(join(folder, uid), "latin1");
          const { 1: size } = /RFC822\.SIZE (\d+)/.exec(await client.command(`UID FETCH ${uid} (RFC822.SIZE)`))!;
          const answer = await client.command(`UID FETCH ${uid} BODY.PEEK[]`);
          const sent = answer.slice(answer.indexOf("}\r\n") + 3).slice(0, Number(size));
          assert(onlyLf(text) === onlyLf(sent), `${uid} has ${text.length} octets instead of ${sent.length}`);
        }
      });
      await steps.step("another program sees what it read, flagged and deleted", async () => {
        await client.command("NOOP");
        const seen = await uidsOf(client.command("UID SEARCH SEEN"));
        for (const uid of opened) assert(seen.includes(uid), `${uid} is not read`);
        const isFlagged = await uidsOf(client.command("UID SEARCH FLAGGED"));
        assert(isFlagged.join() === flagged, `flagged: ${isFlagged}`);
        assert((await uidsOf(client.command("UID SEARCH ALL"))).length === total - 1, "none went");
        assert((await client.command("SELECT Trash")).includes("* 1 EXISTS"), "the Trash is empty");
      });
      client.end();
    },
    { filled: true },
  );
  assert(corpusMails().length > OPENED, "mails");
};

async function uidsOf(answer: Promise<string>): Promise<string[]> {
  return /^\* SEARCH(.*)\r$/m
    .exec(await answer)![1]!
    .trim()
    .split(" ")
    .filter(Boolean);
}

/** Claws writes mails with the line ends of its system. */
function onlyLf(text: string): string {
  return text.replace(/\r+\n/g, "\n");
}

async function writeSettings(home: string, port: number): Promise<void> {
  const settings = join(home, "cfg");
  for (const name of ["inbox", "sent", "draft", "queue", "trash"])
    await mkdir(join(home, "mail", name), { recursive: true });
  await mkdir(settings);
  const account = {
    account_name: "demo",
    is_default: 1,
    name: "Demo",
    address: DEMO.user,
    // IMAP4.
    protocol: 3,
    receive_server: "127.0.0.1",
    user_id: DEMO.user,
    ssl_imap: 0,
    set_imapport: 1,
    imap_port: port,
    smtp_server: "127.0.0.1",
  };
  const lines = Object.entries(account).map(([name, value]) => `${name}=${value}`);
  await writeFile(join(settings, "accountrc"), `[Account: 1]\n${lines.join("\n")}\n`);
  await writeFile(join(settings, "passwordstorerc"), `[account:1]\nrecv ${DEMO.password}\n`);
  await writeFile(
    join(settings, "folderlist.xml"),
    `<?xml version="1.0" encoding="UTF-8"?>\n<folderlist>\n<folder type="mh" name="Mailbox" path="${home}/mail"/>\n` +
      `<folder type="imap" name="demo" account_id="1">\n<folderitem type="inbox" name="INBOX" path="INBOX"/>\n` +
      `<folderitem type="trash" name="Trash" path="Trash"/>\n</folder>\n</folderlist>\n`,
  );
}
