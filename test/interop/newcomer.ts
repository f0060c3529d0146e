import { join } from "node:path";
import { createTransport } from "nodemailer";
import { makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "../kit/server.ts";
import { assert, command, freePort, type Interop, need, until } from "./harness.ts";
import { startPostfix } from "./postfix.ts";

const ADA = "ada@example.org";
const PASSWORD = "correct horse battery";
/** Settings that Debian's Postfix has by itself, as far as they matter here. */
const DEBIAN = `compatibility_level = 3.6
myhostname = mail.example.org
mydestination = localhost
mynetworks = 127.0.0.1/32
smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
default_transport = discard:
biff = no
alias_maps =
`;
/** No host of the network above. */
const STRANGER = "127.0.0.3";

/** From nothing, by what `restante setup` writes and prints, to a mail program that shows mail. */
export const newcomer: Interop = async (steps) => {
  need({ postfix: "/usr/sbin/postfix", curl: "/usr/bin/curl" });
  const home = await makeDataFolder();
  const [lmtpPort, smtpPort] = [await freePort(), await freePort()];
  const env = { RESTANTE_LMTP_LISTEN: `127.0.0.1:${lmtpPort}`, RESTANTE_SERVER_DATA: join(home, "data") };
  const flags = ["--domain", "example.org", "--host", "mail.example.org", "--sender", "mail.example.org"];
  const made = await restante(
    home,
    ["setup", ...flags, "--address", "ada", "--store", "embedded", "--password-stdin"],
    `${PASSWORD}\n`,
    env,
  );
  assert(made.code === 0, made.err);
  const lines = /--- Postfix\n([\s\S]*?)\n\n--- /.exec(made.out)?.[1];
  assert(lines?.includes(`lmtp:inet:127.0.0.1:${lmtpPort}`), made.out);
  const mta = await startPostfix(lmtpPort, {
    port: smtpPort,
    image: {
      mainCf: `${DEBIAN}${lines}\n`,
      command: ["/usr/sbin/postfix", "start-fg"],
      env: {},
    },
  });
  const server: RunningServer = await startServer(home, {
    env: { ...env, RESTANTE_OUTBOUND_SMARTHOST: `smtp://127.0.0.1:${smtpPort}` },
  });
  const fromOutside = createTransport({ host: "127.0.0.1", port: smtpPort, localAddress: STRANGER, ignoreTLS: true });
  const program = async (path: string, ...more: string[]): Promise<string> => {
    const url = `imaps://127.0.0.1:${server.ports.imaps}/${path}`;
    return (await command("curl", ["--silent", "--insecure", "--user", `${ADA}:${PASSWORD}`, ...more, url])).out;
  };
  try {
    await steps.step("mail comes in by Postfix, and a mail program shows it", async () => {
      await fromOutside.sendMail({ from: "friend@elsewhere.example", to: ADA, subject: "first of all", text: "hello" });
      await until("the mail", async () =>
        (await program("INBOX;UID=1;SECTION=HEADER.FIELDS%20(SUBJECT)")).includes("first of all"),
      );
    });
    await steps.step("who is unknown is refused while the sender is there, and strangers can't relay", async () => {
      const unknown = { from: "friend@elsewhere.example", to: "nobody@example.org", subject: "x", text: "x" };
      // Postfix asks at the first mail if its recipient is there, and the mail waits meanwhile.
      await until("the refusal", async () => /^550/m.test(await answerTo(fromOutside, unknown)));
      const relay = { ...unknown, to: "somebody@another.example" };
      assert(/^[45]54/m.test(await answerTo(fromOutside, relay)), "a stranger's mail was taken for elsewhere");
    });
    await steps.step("mail goes out by submission and Postfix", async () => {
      const smtp = createTransport({
        host: "127.0.0.1",
        port: server.ports.submissions!,
        secure: true,
        tls: { rejectUnauthorized: false },
        auth: { user: ADA, pass: PASSWORD },
      });
      await smtp.sendMail({ from: ADA, to: "friend@elsewhere.example", subject: "an answer", text: "hello" });
      smtp.close();
      await until("the mail at Postfix", async () =>
        /to=<friend@elsewhere\.example>.*status=sent/.test(await mta.log()),
      );
    });
  } finally {
    fromOutside.close();
    await mta.stop();
    await server.stop();
    await removeDataFolder(home);
  }
};

/** The reply that refused the mail; "" where it was taken. */
async function answerTo(
  transport: ReturnType<typeof createTransport>,
  mail: Parameters<ReturnType<typeof createTransport>["sendMail"]>[0],
): Promise<string> {
  return transport.sendMail(mail).then(
    () => "",
    (error: { readonly response?: string }) => error.response ?? String(error),
  );
}
