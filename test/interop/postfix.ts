import { spawn, spawnSync } from "node:child_process";
import { chmod, chown, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { corpusMails } from "../kit/corpus.ts";
import { connectImap, LineClient } from "../kit/line-client.ts";
import { DEMO, makeDataFolder, type RunningServer, removeDataFolder, startServer } from "../kit/server.ts";
import { assert, bodyOf, command, freePort, type Interop, need, sha256, temporaryFolder, until } from "./harness.ts";

/** A real Postfix with a configuration of its own hands mail over by LMTP; what fails it bounces or keeps. */
export const postfix: Interop = async (steps) => {
  need({ postfix: "/usr/sbin/postfix" });
  const data = await makeDataFolder();
  const lmtpPort = await freePort();
  const env = { RESTANTE_LMTP_LISTEN: `127.0.0.1:${lmtpPort}`, RESTANTE_LMTP_SIZE_MAX: "2000000" };
  let server: RunningServer = await startServer(data, { env });
  const mta = await startPostfix(lmtpPort);
  const inbox = async (): Promise<string[]> => {
    const client = await connectImap(server.ports.imap!, DEMO.user, DEMO.password);
    await client.command("SELECT INBOX");
    const answer = await client.command("FETCH 4:* BODY.PEEK[]");
    client.end();
    return [...answer.matchAll(/BODY\[\] \{(\d+)\}\r\n/g)].map((match) => {
      const start = match.index + match[0].length;
      return answer.slice(start, start + Number(match[1]));
    });
  };
  try {
    // Postfix itself mends what SMTP can't carry (bare CR, NUL, missing headers): mails that are sound stay as they are.
    const mails = corpusMails(["dxflrs", "rfc"]).filter(
      ({ text }) => !/\0|\r(?!\n)/.test(text) && text.includes("\r\n\r\n"),
    );
    await steps.step("hands every mail over; each body's SHA-256 is what was sent", async () => {
      for (const { text } of mails) await send(mta.port, [DEMO.user], text);
      await until("all mails", async () => (await inbox()).length === mails.length);
      const got = new Set((await inbox()).map((text) => sha256(bodyOf(text))));
      for (const { name, text } of mails) assert(got.has(sha256(bodyOf(text))), `${name} differs`);
    });
    await steps.step("is told of an unknown user: 550 5.1.1, and bounces", async () => {
      await send(mta.port, ["nobody@example.org"], "Subject: x\r\n\r\nx\r\n");
      await until("the bounce", async () =>
        /to=<nobody@example.org>.*status=bounced.*550 5\.1\.1/.test(await mta.log()),
      );
    });
    await steps.step("delivers to plus addresses", async () => {
      const before = (await inbox()).length;
      await send(mta.port, ["demo+news@example.org"], "Subject: plus\r\n\r\nx\r\n");
      await until("the mail", async () => (await inbox()).length === before + 1);
    });
    await steps.step("is told that a mail is too large: 552 5.3.4", async () => {
      await send(mta.port, [DEMO.user], `Subject: big\r\n\r\n${`${"x".repeat(70)}\r\n`.repeat(40_000)}`);
      await until("the refusal", async () => /size.*exceeds size limit|552 5\.3\.4/.test(await mta.log()));
    });
    await steps.step("keeps mail while the server is away, and delivers it once it is back", async () => {
      const before = (await inbox()).length;
      await server.stop();
      await send(mta.port, [DEMO.user], "Subject: later\r\n\r\nx\r\n");
      await until("the deferral", async () => /status=deferred/.test(await mta.log()));
      server = await startServer(data, { env });
      mta.flush();
      await until("the mail", async () => (await inbox()).length === before + 1);
    });
  } finally {
    await mta.stop();
    await server.stop();
    await removeDataFolder(data);
  }
};

async function send(port: number, recipients: readonly string[], message: string): Promise<void> {
  const client = await LineClient.connect(port);
  const reply = async (): Promise<string> => (await client.until(/^\d{3} .*\r\n/m)).trim();
  await reply();
  for (const line of [
    "EHLO client.example",
    "MAIL FROM:<sender@example.net> BODY=8BITMIME",
    ...recipients.map((to) => `RCPT TO:<${to}>`),
    "DATA",
  ]) {
    client.send(`${line}\r\n`);
    await reply();
  }
  client.send(`${message.replace(/^\./gm, "..")}.\r\n`);
  const answer = await reply();
  client.end();
  assert(answer.split("\r\n").at(-1)!.startsWith("250"), answer);
}

/** An image's own settings and command, in place of ours. */
interface PostfixImage {
  readonly mainCf: string;
  readonly command: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
}

interface PostfixServer {
  readonly port: number;
  log(): Promise<string>;
  flush(): void;
  stop(): Promise<void>;
}

interface PostfixOptions {
  /** In place of ours. */
  readonly image?: PostfixImage;
  /** Lines of main.cf that count instead of others. */
  readonly settings?: string;
  readonly port?: number;
  /** Of Cyrus SASL, which Debian's Postfix looks for beside main.cf. */
  readonly sasl?: string;
}

/** A Postfix that hands mail over to this port. */
export async function startPostfix(lmtpPort: number, options: PostfixOptions = {}): Promise<PostfixServer> {
  const { image, settings = "" } = options;
  const home = await temporaryFolder("postfix");
  await chmod(home, 0o755);
  const [config, queue, state] = ["etc", "queue", "data"].map((name) => join(home, name)) as [string, string, string];
  for (const folder of [config, queue, state]) await mkdir(folder);
  const uid = Number(spawnSync("id", ["-u", "postfix"], { encoding: "utf8" }).stdout);
  await chown(state, uid, uid);
  const port = options.port ?? (await freePort());
  const log = join(home, "log");
  const ours = `compatibility_level = 3.6\nmyhostname = mta.example.org\nmydestination =\nmynetworks = 127.0.0.0/8\nvirtual_mailbox_domains = example.org\nvirtual_mailbox_maps = static:all\nvirtual_transport = lmtp:inet:127.0.0.1:${lmtpPort}\nrelay_domains =\nsmtpd_relay_restrictions = permit_mynetworks, reject\nmessage_size_limit = 10000000\nalias_maps =\ndefault_transport = discard:\nbiff = no\n`;
  const here = `queue_directory = ${queue}\ndata_directory = ${state}\nmail_owner = postfix\nsetgid_group = postdrop\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmaillog_file = ${log}\nmaillog_file_prefixes = ${home}\nminimal_backoff_time = 1s\nmaximal_backoff_time = 2s\nqueue_run_delay = 2s\n`;
  const kept = (image?.mainCf ?? ours).split("\n").filter((line) => !here.includes(`${line.split(" = ", 1)[0]} = `));
  await writeFile(join(config, "main.cf"), `${kept.join("\n")}\n${here}${settings}`);
  await mkdir(join(config, "sasl"));
  await writeFile(join(config, "sasl/smtpd.conf"), options.sasl ?? "");
  await writeFile(
    join(config, "master.cf"),
    [
      `127.0.0.1:${port} inet n - n - - smtpd`,
      "pickup unix n - n 60 1 pickup",
      "cleanup unix n - n - 0 cleanup",
      "qmgr unix n - n 300 1 qmgr",
      "rewrite unix - - n - - trivial-rewrite",
      "bounce unix - - n - 0 bounce",
      "defer unix - - n - 0 bounce",
      "trace unix - - n - 0 bounce",
      "verify unix - - n - 1 verify",
      "flush unix n - n 1000? 0 flush",
      "proxymap unix - - n - - proxymap",
      "error unix - - n - - error",
      "retry unix - - n - - error",
      "discard unix - - n - - discard",
      "lmtp unix - - n - - lmtp",
      "anvil unix - - n - 1 anvil",
      "scache unix - - n - 1 scache",
      "tlsmgr unix - - n 1000? 1 tlsmgr",
      "postlog unix-dgram n - n - 1 postlogd",
      "",
    ].join("\n"),
  );
  const [program, ...args] = image?.command ?? ["/usr/sbin/postfix", "-c", config, "start-fg"];
  const child = spawn(program, args, {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, ...image?.env, MAIL_CONFIG: config },
  });
  let err = "";
  child.stderr.on("data", (chunk: Buffer) => {
    err += chunk.toString();
  });
  await until(`Postfix to answer ${err}`, async () => {
    try {
      const client = await LineClient.connect(port);
      await client.until(/^220 .*\r\n/m);
      client.end();
      return true;
    } catch {
      // Not listening yet: `until` asks again, and says so when it never does.
      return false;
    }
  });
  return {
    port,
    log: () => readFile(log, "utf8"),
    flush: () => void spawnSync("/usr/sbin/postqueue", ["-c", config, "-f"]),
    async stop() {
      await command("/usr/sbin/postfix", ["-c", config, "stop"]);
      await new Promise<void>((resolve) => (child.exitCode === null ? child.once("exit", () => resolve()) : resolve()));
    },
  };
}
