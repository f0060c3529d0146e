import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { corpusMails } from "../kit/corpus.ts";
import { connectImap } from "../kit/line-client.ts";
import { DEMO } from "../kit/server.ts";
import { assert, command, type Interop, need, temporaryFolder, withServer } from "./harness.ts";

const RUN_MAX_MS = 150_000;

/** Steps that Thunderbird plays by its own modules, with its own IMAP. Each appends its name, or its error. */
const SCRIPT = String.raw`// The first line is no code.
let IOUtils, setTimeout;
const told = line => IOUtils.writeUTF8(Services.env.get("PLAY_TOLD"), line + "\n", { mode: "appendOrCreate" });
const listening = start => new Promise((resolve, reject) => start({
  OnStartRunningUrl() {}, OnStopRunningUrl(url, status) { status ? reject(new Error("status " + status)) : resolve(); },
  onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() {}, onStopCopy(status) { status ? reject(new Error("status " + status)) : resolve(); },
  QueryInterface: ChromeUtils.generateQI(["nsIUrlListener", "nsIMsgCopyServiceListener"]),
}));
const pause = ms => new Promise(resolve => setTimeout(resolve, ms));
const until = async (what, check) => { for (let n = 0; n < 150; n++) { if (check()) return; await pause(200); } throw new Error("never came: " + what); };
const play = async () => {
  const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
  const [user, password, port] = ["PLAY_USER", "PLAY_PASSWORD", "PLAY_PORT"].map(name => Services.env.get(name));
  const step = async (name, run) => { try { await run(); await told("passed " + name); } catch (error) { await told("failed " + name + ": " + error + " " + error.stack); } };
  let server, inbox;
  const folder = name => server.rootFolder.descendants.find(one => one.name === name);
  const refresh = one => listening(listener => one.updateFolderWithListener ? one.updateFolderWithListener(null, listener) : one.QueryInterface(Ci.nsIMsgImapMailFolder).updateFolderWithListener(null, listener));
  const header = subject => [...inbox.messages].find(one => one.mime2DecodedSubject === subject);
  await step("sets the account up, and lists its mailboxes by their uses", async () => {
    server = MailServices.accounts.createIncomingServer(user, "127.0.0.1", "imap");
    server.port = Number(port); server.socketType = 0; server.authMethod = 3; server.password = password;
    server.QueryInterface(Ci.nsIImapIncomingServer).deleteModel = 1;
    const account = MailServices.accounts.createAccount();
    const identity = MailServices.accounts.createIdentity();
    identity.email = user; account.addIdentity(identity); account.incomingServer = server;
    MailServices.accounts.defaultAccount = account;
    server.performExpand(null);
    await until("mailboxes", () => ["INBOX", "Inbox", "Archive"].some(folder) && folder("Archive") && folder("Junk"));
    inbox = server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
    const has = (name, flag) => folder(name).getFlag(Ci.nsMsgFolderFlags[flag]);
    if (!inbox || !has("Sent", "SentMail") || !has("Trash", "Trash") || !has("Drafts", "Drafts") || !has("Archive", "Archive") || !has("Junk", "Junk")) throw new Error("uses are missing");
  });
  await step("shows every mail", async () => {
    await refresh(inbox);
    await until("mails", () => inbox.getTotalMessages(false) === Number(Services.env.get("PLAY_MAILS")) && [...inbox.messages].length === inbox.getTotalMessages(false));
  });
  await step("reads one whole", async () => {
    const uri = inbox.getUriForMsg(header("Grüße aus Köln"));
    const text = await new Promise((resolve, reject) => {
      let text = "";
      MailServices.messageServiceFromURI(uri).streamMessage(uri, {
        onStartRequest() {}, onStopRequest(request, status) { status ? reject(new Error("status " + status)) : resolve(text); },
        onDataAvailable(request, stream, offset, count) { const reader = Cc["@mozilla.org/binaryinputstream;1"].createInstance(Ci.nsIBinaryInputStream); reader.setInputStream(stream); text += reader.readBytes(count); },
        QueryInterface: ChromeUtils.generateQI(["nsIStreamListener", "nsIRequestObserver"]),
      }, null, null, false, "");
    });
    if (!text.includes("Subject: ")) throw new Error(text.slice(0, 200));
  });
  await step("finds by a search of the server", async () => {
    const session = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession);
    const hits = [];
    await new Promise((resolve, reject) => {
      session.registerListener({ onNewSearch() {}, onSearchHit(found) { hits.push(found.mime2DecodedSubject); }, onSearchDone(status) { status ? reject(new Error("status " + status)) : resolve(); }, QueryInterface: ChromeUtils.generateQI(["nsIMsgSearchNotify"]) });
      const term = session.createTerm(); const value = term.value;
      value.attrib = Ci.nsMsgSearchAttrib.Body; value.str = Services.env.get("PLAY_WORD"); term.value = value;
      term.attrib = Ci.nsMsgSearchAttrib.Body; term.op = Ci.nsMsgSearchOp.Contains; term.booleanAnd = false;
      session.appendTerm(term); session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, inbox); session.search(null);
    });
    if (!hits.includes("Grüße aus Köln")) throw new Error("found " + hits);
  });
  await step("flags one, moves one and deletes one", async () => {
    inbox.markMessagesFlagged([header("Grüße aus Köln")], true);
    await listening(listener => MailServices.copy.copyMessages(inbox, [header("play move")], folder("Archive"), true, listener, null, false));
    await listening(listener => inbox.deleteMessages([header("play delete")], null, false, true, listener, false));
    await pause(2000);
    await refresh(inbox);
    await until("both gone", () => !header("play move") && !header("play delete"));
  });
  await step("makes a mailbox, and renames it", async () => {
    server.rootFolder.createSubfolder("Grüße & Küsse", null);
    await until("the mailbox", () => folder("Grüße & Küsse"));
    folder("Grüße & Küsse").rename("Küsse", null);
    await until("its new name", () => folder("Küsse"));
  });
  await told("done");
  Services.startup.quit(Ci.nsIAppStartup.eForceQuit);
};
Services.obs.addObserver(() => {
  ({ IOUtils, setTimeout } = Services.wm.getMostRecentWindow("mail:3pane"));
  play().catch(async error => { await told("failed " + error); Services.startup.quit(Ci.nsIAppStartup.eForceQuit); });
}, "mail-tabs-session-restored");
`;

/** Thunderbird, without a screen: a copy of it plays a script of ours. */
export const thunderbird: Interop = async (steps) => {
  need({ thunderbird: "/usr/bin/thunderbird" });
  const place = await temporaryFolder("thunderbird");
  const program = join(place, "program");
  const copied = await command("cp", ["-aL", "/usr/lib/thunderbird", program]);
  assert(copied.code === 0, copied.err);
  await writeFile(join(program, "play.cfg"), SCRIPT);
  await mkdir(join(program, "defaults/pref"), { recursive: true });
  await writeFile(
    join(program, "defaults/pref/play.js"),
    `pref("general.config.filename", "play.cfg");\npref("general.config.obscure_value", 0);\npref("general.config.sandbox_enabled", false);\n`,
  );
  const profile = join(place, "profile");
  await mkdir(profile);
  await writeFile(
    join(profile, "user.js"),
    `user_pref("mail.provider.suppress_dialog_on_startup", true);\nuser_pref("app.donation.eoy.version.viewed", 999);\nuser_pref("datareporting.policy.dataSubmissionEnabled", false);\nuser_pref("mail.spotlight.firstRunDone", true);\nuser_pref("network.proxy.type", 0);\n`,
  );
  await withServer(
    async ({ ports }) => {
      const client = await connectImap(ports.imap!, DEMO.user, DEMO.password);
      for (const subject of ["play move", "play delete"]) {
        const text = `From: a@example.org\r\nSubject: ${subject}\r\nDate: Mon, 5 Jan 2026 10:00:00 +0000\r\n\r\nx\r\n`;
        await client.command(`APPEND INBOX {${text.length}+}\r\n${text}`);
      }
      const told = join(place, "told");
      const env = {
        ...process.env,
        HOME: place,
        PLAY_TOLD: told,
        PLAY_USER: DEMO.user,
        PLAY_PASSWORD: DEMO.password,
        PLAY_WORD: "Schöne Grüße vom Rhein",
        PLAY_PORT: String(ports.imap),
        PLAY_MAILS: String(corpusMails().length + 5),
      };
      const child = spawn(join(program, "thunderbird"), ["--headless", "--no-remote", "--profile", profile], {
        env,
        stdio: "ignore",
        timeout: RUN_MAX_MS,
      });
      await once(child, "close");
      const lines = (await readFile(told, "utf8").catch(() => "")).trim().split("\n");
      for (const line of lines.filter((one) => /^(passed|failed) /.test(one)))
        await steps.step(line.slice(7), () => assert(line.startsWith("passed"), line));
      await steps.step("plays to its end", () => assert(lines.at(-1) === "done", lines.join("\n")));
      await steps.step("another program sees what it did", async () => {
        await client.command("SELECT INBOX");
        assert(/^\* SEARCH \d+\r\n/m.test(await client.command("SEARCH FLAGGED UNDELETED")), "the flag");
        for (const mailbox of ["Archive", "Trash"]) {
          await client.command(`SELECT ${mailbox}`);
          assert(/^\* SEARCH \d+\r\n/m.test(await client.command("SEARCH SUBJECT play")), mailbox);
        }
        assert((await client.command('LIST "" "K*"')).includes("K&APw-sse"), "the mailbox");
      });
      client.end();
    },
    { filled: true },
  );
};
