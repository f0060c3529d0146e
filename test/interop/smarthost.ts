import { spawn, spawnSync } from "node:child_process";
import { chown, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { JmapClient, type Json } from "../kit/jmap-client.ts";
import { connectImap } from "../kit/line-client.ts";
import { DEMO, makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "../kit/server.ts";
import { assert, command, freePort, type Interop, need, type Ran, temporaryFolder, until } from "./harness.ts";
import { startPostfix } from "./postfix.ts";

const ADA = { user: "ada@example.org", password: "correct-horse-battery" } as const;
/** Its user at the smarthost. */
const SMARTHOST_USER = "restante";
const SMARTHOST_PASSWORD = "smarthost/pass@word";
/** A mail that was not taken is tried again after a minute, give or take a tenth. */
const RETRY_MS = 100_000;

/** Postfix's replies for some recipients elsewhere; all others it takes. */
const VERDICTS = [
  "smtpd_recipient_restrictions = check_recipient_access inline:{",
  "  {refused@elsewhere.example = 550 5.7.1 Not wanted here}",
  "  {grey@elsewhere.example = 450 4.7.1 Come again later} }",
  "",
].join("\n");

/** Debian's Postfix as what mail goes out by, and as what it comes back by: both ways through one server of ours. */
export const smarthost: Interop = async (steps) => {
  need({
    postfix: "/usr/sbin/postfix",
    swaks: "/usr/bin/swaks",
    "libnet-ssleay-perl": "/usr/lib/x86_64-linux-gnu/perl5/5.36/Net/SSLeay.pm",
    "sasl2-bin": "/usr/sbin/saslpasswd2",
    openssl: "/usr/bin/openssl",
    opendkim: "/usr/sbin/opendkim",
    "python3-pip": "/usr/bin/pip3",
  });
  await steps.step("mail goes out by Postfix, and comes back by it", () => bothWays(steps.step.bind(steps)));
  await steps.step("what OpenDKIM signs on the way is still as it was signed when it is read", signed);
  await steps.step("a Postfix that wants a password, by STARTTLS", () => signedIn(steps.step.bind(steps)));
};

type Step = (name: string, run: () => Promise<unknown>) => Promise<void>;

interface Place {
  readonly server: RunningServer;
  readonly demo: JmapClient;
  readonly ada: JmapClient;
}

/** A server with two accounts that sends by the smarthost that `env` names. */
async function withAccounts(
  env: Readonly<Record<string, string>>,
  run: (place: Place) => Promise<void>,
): Promise<void> {
  const data = await makeDataFolder();
  const server = await startServer(data, { env: { RESTANTE_HTTPS_TLS: "off", ...env } });
  try {
    const added = await restante(data, ["account", "add", ADA.user, "--password-stdin"], `${ADA.password}\n`);
    assert(added.code === 0, added.err);
    const port = server.ports.https!;
    const [demo, ada] = [await JmapClient.connect(port), await JmapClient.connect(port, ADA.user, ADA.password)];
    await run({ server, demo, ada });
  } finally {
    await server.stop();
    await removeDataFolder(data);
  }
}

async function bothWays(step: Step): Promise<void> {
  const [mtaPort, lmtpPort] = [await freePort(), await freePort()];
  const start = (): ReturnType<typeof startPostfix> => startPostfix(lmtpPort, { settings: VERDICTS, port: mtaPort });
  let mta = await start();
  const env = {
    RESTANTE_OUTBOUND_SMARTHOST: `smtp://127.0.0.1:${mtaPort}`,
    RESTANTE_LMTP_LISTEN: `127.0.0.1:${lmtpPort}`,
  };
  try {
    await withAccounts(env, async ({ server, demo, ada }) => {
      await step(
        "what JMAP sends is in the other's INBOX by LMTP, as IMAP shows it, and says what was meant",
        async () => {
          const set = await demo.send({
            to: [ADA.user],
            subject: "Grüße nach draußen",
            text: "Größe: 1\r\n.\r\n..zwei",
          });
          await untilSubject(server, ADA, "Grüße nach draußen");
          const mail = await newest(server, ADA);
          assert(/^Return-Path: <demo@example\.org>\r\n/m.test(mail), mail);
          assert(/^Received: from .* \(Postfix\)/m.test(mail.replaceAll(/\r\n[ \t]+/g, " ")), mail);
          const [{ bodyValues, subject }] = await emailsOf(ada, "Grüße nach draußen");
          assert(subject === "Grüße nach draußen", subject);
          const { value } = Object.values(bodyValues)[0] as Json;
          assert(value.trimEnd() === "Größe: 1\n.\n..zwei", JSON.stringify(value));
          const status = await settled(demo, set.created.sent.id);
          const { smtpReply, delivered } = status.deliveryStatus[ADA.user];
          assert(/^250 2\.0\.0 Ok: queued as \w+$/.test(smtpReply) && delivered === "unknown", JSON.stringify(status));
        },
      );
      await step("a mail to oneself is there twice: what was sent, and what came", async () => {
        await demo.send({ to: [DEMO.user], subject: "to myself" });
        await until("both", async () => (await emailsOf(demo, "to myself")).length === 2);
        const places = (await emailsOf(demo, "to myself")).map(({ mailboxIds }: Json) => Object.keys(mailboxIds)[0]);
        const [inbox, sent] = [await demo.mailbox("inbox"), await demo.mailbox("sent")];
        assert(places.sort().join() === [inbox, sent].sort().join(), places.join());
      });
      await step(
        "what Postfix refuses is told in its words, by a report, and by a mail; the others get theirs",
        async () => {
          const to = ["refused@elsewhere.example", ADA.user];
          const set = await demo.send({ to, subject: "to two" });
          await untilSubject(server, ADA, "to two");
          const { deliveryStatus } = await settled(demo, set.created.sent.id);
          const [refused, taken] = to.map((address) => deliveryStatus[address]);
          assert(/^550 5\.7\.1 .*Not wanted here$/.test(refused.smtpReply), JSON.stringify(refused));
          assert(refused.delivered === "no" && taken.delivered === "unknown", JSON.stringify(deliveryStatus));
          await untilSubject(server, DEMO, "Undelivered mail");
          const mail = await newest(server, DEMO);
          assert(/^Status: 5\.7\.1\r$/m.test(mail) && /^Final-Recipient: rfc822; refused@/m.test(mail), mail);
        },
      );
      await step(
        "what Postfix took and could not deliver comes back by it, and counts for the mail that it names",
        async () => {
          const set = await demo.send({ to: ["nobody@example.org"], subject: "to nobody here" });
          const { id } = set.created.sent;
          const status = async (): Promise<Json> => {
            const { deliveryStatus, dsnBlobIds, undoStatus } = await demo.submission(id);
            return { ...deliveryStatus["nobody@example.org"], undoStatus, blobIds: dsnBlobIds };
          };
          await until("Postfix to take it", async () => /^250 2\.0\.0 /.test((await status()).smtpReply));
          await untilSubject(server, DEMO, "Undelivered Mail Returned to Sender");
          await until("what became of it", async () => (await status()).delivered === "no");
          const { smtpReply, blobIds, undoStatus } = await status();
          assert(/^550 5\.1\.1 /.test(smtpReply) && undoStatus === "final", `${smtpReply} ${undoStatus}`);
          const report = await (await demo.download(blobIds[0])).text();
          assert(blobIds.length === 1 && /^Original-Envelope-Id: \w+\r$/m.test(report), report);
        },
      );
      await step("what is put off is tried again, and told so meanwhile", async () => {
        const set = await demo.send({ to: ["grey@elsewhere.example"], subject: "to a grey one" });
        let status: Json;
        await until("the first word", async () => {
          status = await demo.submission(set.created.sent.id);
          return /^450 4\.7\.1 .*Come again later$/.test(status.deliveryStatus["grey@elsewhere.example"].smtpReply);
        });
        assert(status.undoStatus === "pending", JSON.stringify(status));
        assert(status.deliveryStatus["grey@elsewhere.example"].delivered === "queued", JSON.stringify(status));
      });
      await step("swaks sends by 465 and by 587, and what is refused is refused in SMTP's words", () =>
        useSwaks(server),
      );
      await step("while Postfix is down mail waits; once it is back it goes", async () => {
        await mta.stop();
        const set = await demo.send({ to: [ADA.user], subject: "meanwhile" });
        await until("the first try", async () => server.logs().includes("a mail was not taken"));
        assert((await demo.submission(set.created.sent.id)).undoStatus === "pending", "it is final");
        const late = await demo.send({ to: [ADA.user], subject: "taken back" });
        mta = await start();
        const id = late.created.sent.id;
        const undone = await demo.request(
          [["EmailSubmission/set", { update: { [id]: { undoStatus: "canceled" } } }, "0"]],
          ["urn:ietf:params:jmap:submission"],
        );
        assert(id in undone.methodResponses[0][1].updated, JSON.stringify(undone));
        await untilSubject(server, ADA, "meanwhile", RETRY_MS);
        assert((await settled(demo, set.created.sent.id)).undoStatus === "final", "it is not final");
        assert((await emailsOf(ada, "taken back")).length === 0, "what was taken back came");
      });
    });
  } finally {
    await mta.stop();
  }
}

async function useSwaks(server: RunningServer): Promise<void> {
  const ways = [
    [server.ports.submissions!, "--tls-on-connect"],
    [server.ports.submission!, "--tls"],
  ] as const;
  for (const [port, tls] of ways) {
    const swaks = (more: Readonly<Record<string, string>>): Promise<Ran> => {
      const given = {
        "--server": `127.0.0.1:${port}`,
        "--auth": "LOGIN",
        "--auth-user": ADA.user,
        "--auth-password": ADA.password,
        "--from": ADA.user,
        "--to": DEMO.user,
        "--h-Subject": `swaks ${tls}`,
        "--body": "by swaks",
        ...more,
      };
      return command("swaks", [tls, ...Object.entries(given).flat()]);
    };
    const sent = await swaks({});
    assert(sent.code === 0 && /<~ {2}250 2\.0\.0 Queued [0-9a-f]{32}/.test(sent.out), sent.out);
    await untilSubject(server, DEMO, `swaks ${tls}`);
    for (const [more, reply] of [
      [{ "--auth-password": "wrong" }, /<~\* 535 5\.7\.8 /],
      [{ "--from": "eve@example.org" }, /<~\* 550 5\.7\.1 The sender's address is not yours/],
      [{ "--h-From": "eve@example.org" }, /<~\* 550 5\.7\.1 The address in From is not yours/],
      [{ "--to": "no address" }, /<~\* 5\d\d /],
    ] as const) {
      const refused = await swaks(more);
      assert(refused.code !== 0 && reply.test(refused.out), `${JSON.stringify(more)}: ${refused.out}`);
    }
  }
}

const DKIMPY = "dkimpy==1.1.8";
const INSTALL_MS = 300_000;
/** Its arguments: where its libraries are, and the file of the public key. */
const VERIFY = `
import base64, sys
sys.path.insert(0, sys.argv[1])
import dkim
from subprocess import check_output
key = base64.b64encode(check_output(["openssl", "rsa", "-in", sys.argv[2], "-pubout", "-outform", "DER"]))
message = sys.stdin.buffer.read()
assert message.count(b"DKIM-Signature:") == 1, message
def verify(octets):
    return dkim.verify(octets, dnsfunc=lambda name, timeout=5: b"v=DKIM1; k=rsa; p=" + key)
assert verify(message), message
assert not verify(message + b"x\\r\\n")
print("verified")
`;

/** Mail of several kinds, signed by a milter of Postfix, read by JMAP as it lies. */
async function signed(): Promise<void> {
  const [mtaPort, lmtpPort, milterPort] = [await freePort(), await freePort(), await freePort()];
  const folder = await temporaryFolder("dkim");
  const [key, config, python] = ["key.pem", "opendkim.conf", "python"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const made = await command("openssl", ["genrsa", "-traditional", "-out", key, "2048"]);
  assert(made.code === 0, made.err);
  const pip = await command("/usr/bin/pip3", ["install", "--quiet", "--target", python, DKIMPY], "", INSTALL_MS);
  assert(pip.code === 0, pip.err);
  const lines = [
    ...["Mode s", "Domain example.org", "Selector s1", `KeyFile ${key}`, `Socket inet:${milterPort}@127.0.0.1`],
    ...["Canonicalization relaxed/simple", "InternalHosts 127.0.0.1", "Syslog no", "RequireSafeKeys no", ""],
  ];
  await writeFile(config, lines.join("\n"));
  const milter = spawn("/usr/sbin/opendkim", ["-f", "-x", config], { stdio: ["ignore", "ignore", "inherit"] });
  const settings = `smtpd_milters = inet:127.0.0.1:${milterPort}\nmilter_default_action = tempfail\n`;
  const mta = await startPostfix(lmtpPort, { settings, port: mtaPort });
  const env = {
    RESTANTE_OUTBOUND_SMARTHOST: `smtp://127.0.0.1:${mtaPort}`,
    RESTANTE_LMTP_LISTEN: `127.0.0.1:${lmtpPort}`,
  };
  try {
    await withAccounts(env, async ({ server, demo, ada }) => {
      const texts = ["plain\r\n", "Größe\r\n.\r\nFrom here\r\n \r\n\r\n\r\n", `${"long ".repeat(500)}\r\n`];
      for (const [at, text] of texts.entries()) {
        const subject = `signed (${at}) ${"ä".repeat(at * 60)}`;
        await demo.send({ to: [ADA.user, "ada+x@example.org"], subject, text });
        await untilSubject(server, ADA, `signed (${at})`);
        const { ids } = await ada.call("Email/query", { filter: { subject: `"signed (${at})"` } });
        const [{ blobId }] = (await ada.call("Email/get", { ids, properties: ["blobId"] })).list;
        const octets = Buffer.from(await (await ada.download(blobId)).arrayBuffer()).toString("latin1");
        const { code, err } = await command("/usr/bin/python3", ["-c", VERIFY, python, key], octets);
        assert(code === 0, err);
      }
    });
  } finally {
    await mta.stop();
    milter.kill();
  }
}

async function signedIn(step: Step): Promise<void> {
  const [mtaPort, lmtpPort] = [await freePort(), await freePort()];
  const { settings, sasl, certificate } = await passwordSettings();
  const mta = await startPostfix(lmtpPort, { settings, sasl, port: mtaPort });
  const smarthost = (user: string): string => `smtp+starttls://${user}@localhost:${mtaPort}`;
  const env = {
    RESTANTE_OUTBOUND_SMARTHOST: smarthost(SMARTHOST_USER),
    RESTANTE_OUTBOUND_CA_FILE: certificate,
    RESTANTE_OUTBOUND_PASSWORD: SMARTHOST_PASSWORD,
    RESTANTE_LMTP_LISTEN: `127.0.0.1:${lmtpPort}`,
  };
  try {
    await withAccounts(env, async ({ server, demo }) => {
      await step("with the password mail goes", async () => {
        await demo.send({ to: [ADA.user], subject: "with a password" });
        await untilSubject(server, ADA, "with a password");
        assert(/sasl_username=restante/.test(await mta.log()), await mta.log());
      });
    });
    await withAccounts({ ...env, RESTANTE_OUTBOUND_PASSWORD: "wrong" }, async ({ server, demo }) => {
      await step(
        "with a wrong one it is kept, and the log calls for the operator; nobody hears of a bounce",
        async () => {
          const set = await demo.send({ to: [ADA.user], subject: "with a wrong password" });
          await until("the log", async () => /"level":"error".*a mail was not taken.*\b535\b/.test(server.logs()));
          const { undoStatus, deliveryStatus } = await demo.submission(set.created.sent.id);
          const { smtpReply, delivered } = deliveryStatus[ADA.user];
          assert(undoStatus === "pending" && delivered === "queued", `${undoStatus} ${delivered}`);
          assert(!smtpReply.includes("535"), smtpReply);
          assert((await emailsOf(demo, "Undelivered mail")).length === 0, "it bounced");
        },
      );
    });
    await withAccounts({ ...env, RESTANTE_OUTBOUND_CA_FILE: "" }, async ({ server, demo }) => {
      await step("to one whose certificate nobody vouches for nothing is said", async () => {
        await demo.send({ to: [ADA.user], subject: "to a stranger" });
        await until("the log", async () => server.logs().includes("a mail was not taken"));
        assert(/certificate/i.test(server.logs()), server.logs());
      });
    });
  } finally {
    await mta.stop();
  }
}

/** Postfix takes mail from its own user alone, by a password that goes over TLS alone. */
async function passwordSettings(): Promise<Record<"settings" | "sasl" | "certificate", string>> {
  const folder = await temporaryFolder("sasl");
  await command("chmod", ["755", folder]);
  const [key, certificate, passwords] = ["key.pem", "cert.pem", "passwords"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const kind = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", certificate];
  const made = await command("openssl", [...kind, ...names]);
  assert(made.code === 0, made.err);
  const user = ["-p", "-c", "-f", passwords, "-u", "mta.example.org", SMARTHOST_USER];
  const set = await command("saslpasswd2", user, SMARTHOST_PASSWORD);
  assert(set.code === 0, set.err);
  const uid = Number(spawnSync("id", ["-u", "postfix"], { encoding: "utf8" }).stdout);
  await chown(passwords, uid, uid);
  const sasl = `pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: ${passwords}\nmech_list: PLAIN LOGIN\n`;
  const settings = [
    "smtpd_sasl_auth_enable = yes",
    "smtpd_sasl_local_domain = mta.example.org",
    "smtpd_relay_restrictions = permit_sasl_authenticated, reject",
    "smtpd_recipient_restrictions = permit_sasl_authenticated, reject",
    "smtpd_tls_security_level = encrypt",
    "smtpd_tls_auth_only = yes",
    `smtpd_tls_cert_file = ${certificate}`,
    `smtpd_tls_key_file = ${key}`,
    "",
  ].join("\n");
  return { settings, sasl, certificate };
}

interface Person {
  readonly user: string;
  readonly password: string;
}

async function emailsOf(client: JmapClient, subject: string): Promise<Json[]> {
  const { ids } = await client.call("Email/query", { filter: { subject } });
  const properties = ["subject", "mailboxIds", "bodyValues", "textBody"];
  return (await client.call("Email/get", { ids, properties, fetchTextBodyValues: true })).list;
}

/** A submission once all is said of it. */
async function settled(client: JmapClient, id: string): Promise<Json> {
  let last: Json;
  await until("the end of a submission", async () => {
    last = await client.submission(id);
    return Object.values(last.deliveryStatus).every((one: Json) => one.delivered !== "queued");
  });
  return last;
}

/** IMAP's view of the last mail in INBOX. */
async function newest({ ports }: RunningServer, { user, password }: Person): Promise<string> {
  const client = await connectImap(ports.imap!, user, password);
  await client.command("SELECT INBOX");
  const answer = await client.command("FETCH * BODY.PEEK[]");
  client.end();
  return answer;
}

/** Waits until IMAP finds a mail of this subject in INBOX. */
async function untilSubject(
  { ports }: RunningServer,
  { user, password }: Person,
  subject: string,
  timeoutMs?: number,
): Promise<void> {
  const client = await connectImap(ports.imap!, user, password);
  await client.command("SELECT INBOX");
  const octets = Buffer.from(subject, "utf8");
  await until(
    `a mail "${subject}"`,
    async () => {
      client.send(`s SEARCH CHARSET UTF-8 SUBJECT {${octets.length}+}\r\n${octets.toString("latin1")}\r\n`);
      return /^\* SEARCH \d/m.test(await client.until(/^s (?:OK|NO|BAD) .*\r\n/m));
    },
    timeoutMs,
  );
  client.end();
}
