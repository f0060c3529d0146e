import { join } from "node:path";
import { connectImap, connectLmtp, deliver, LineClient } from "../kit/line-client.ts";
import { makeDataFolder, removeDataFolder, restante, startServer } from "../kit/server.ts";
import { assert, type Interop } from "./harness.ts";
import { BASE, SERVICE, type Slapd, startSlapd } from "./slapd.ts";

const ADA = { uid: "ada", mails: ["ada@example.org", "countess@example.org"], password: "first-Password-1" } as const;
const BOB = { uid: "bob", mails: ["bob@example.org", "shared@example.org"], password: "first-Password-2" } as const;
const EVE = { uid: "eve", mails: ["eve@example.org", "shared@example.org"], password: "first-Password-3" } as const;
const NEW_PASSWORD = "second-Password-1";

/** Sign-in and delivery by a real OpenLDAP. */
export const ldap: Interop = async (steps) => {
  const slapd = await startSlapd([ADA, BOB, EVE]);
  const data = await makeDataFolder();
  const server = await startServer(data, { env: settings(slapd, slapd.secureUrl) });
  const imap = server.ports.imap!;
  const send = async (to: string, subject: string): Promise<string> => {
    const client = await connectLmtp(server.ports.lmtp!);
    const [reply] = await deliver(client, [to], `Subject: ${subject}\r\n\r\nx\r\n`);
    client.end();
    return reply!;
  };
  const attempt = (args: readonly string[], secrets: readonly string[]): ReturnType<typeof restante> =>
    restante(
      data,
      [...args, ...(secrets.length > 0 ? ["--password-stdin"] : [])],
      `${secrets.join("\n")}\n`,
      settings(slapd, slapd.secureUrl),
    );
  const run = async (args: readonly string[], secrets: readonly string[], more: readonly string[] = []) => {
    const { code, out, err } = await attempt([...args, ...more], secrets);
    assert(code === 0, err);
    return out;
  };
  let recoveryCode = "";
  try {
    await steps.step(
      "LMTP answers 450 4.2.1 until somebody first signs in, 550 for those whom nobody knows",
      async () => {
        const early = await send("ada@example.org", "early");
        assert(/^450 4\.2\.1 /.test(early), early);
        const unknown = await send("nobody@example.org", "lost");
        assert(/^550 5\.1\.1 /.test(unknown), unknown);
      },
    );
    await steps.step("wrong, empty and unknown are refused in the same words, and make no account", async () => {
      const answers = await Promise.all([
        signIn(imap, "bob@example.org", '"not-it"'),
        signIn(imap, "bob@example.org", '""'),
        signIn(imap, "nobody@example.org", '"first-Password-2"'),
      ]);
      for (const answer of answers) assert(/^t1 NO \[AUTHENTICATIONFAILED\] Wrong user/m.test(answer), answer);
      assert(!(await slapd.read("(uid=bob)")).includes("restantePublicKey"), "a key was made");
    });
    await steps.step("what a filter would mean is a name as any other", async () => {
      for (const name of ["*", "ada*", "*)(uid=ada", "ada)(|(uid=*", "\\2a", "*@example.org"]) {
        const answer = await signIn(imap, quoted(name), quoted(ADA.password));
        assert(/^t1 NO \[AUTHENTICATIONFAILED\]/m.test(answer), `${name}: ${answer}`);
      }
    });
    await steps.step(
      "a first sign-in, by two connections at once, makes one account and publishes its key",
      async () => {
        const clients = await Promise.all([ADA.uid, ADA.mails[0]].map((name) => connectImap(imap, name, ADA.password)));
        for (const client of clients) client.end();
        const keys = (await slapd.read("(uid=ada)")).match(/^restantePublicKey:/gm);
        assert(keys?.length === 1, `${keys?.length} keys`);
      },
    );
    await steps.step("mail to each of the person's addresses arrives in one mailbox", async () => {
      for (const to of ADA.mails) {
        const reply = await send(to, `hello ${to}`);
        assert(reply.startsWith("250"), reply);
      }
      await expectMails(imap, ADA.password, ADA.mails.length);
    });
    await steps.step("an app password signs in, and is no password of the directory's", async () => {
      const made = await run(["app-password", "add", ADA.mails[0], "Phone"], [ADA.password], ["--json"]);
      const { appPassword } = JSON.parse(made) as { readonly appPassword: string };
      await expectMails(imap, appPassword, ADA.mails.length);
    });
    await steps.step("the account has no recovery code until `account rotate` shows one", async () => {
      const shown = await run(["account", "rotate", ADA.mails[0]], [ADA.password], ["--json"]);
      recoveryCode = (JSON.parse(shown) as { readonly recoveryCode: string }).recoveryCode;
      const keys = (await slapd.read("(uid=ada)")).match(/^restantePublicKey:/gm);
      assert(keys?.length === 1, `${keys?.length} keys`);
      const reply = await send(ADA.mails[0], "for the new keys");
      assert(reply.startsWith("250"), reply);
      await expectMails(imap, ADA.password, ADA.mails.length + 1);
    });
    await steps.step("a password changed in the directory: the mail is locked, the former one unlocks it", async () => {
      await slapd.setPassword(ADA.uid, NEW_PASSWORD);
      const old = await signIn(imap, "ada", ADA.password);
      assert(/^t1 NO \[AUTHENTICATIONFAILED\]/m.test(old), old);
      const locked = await signIn(imap, "ada", NEW_PASSWORD);
      assert(/^t1 NO \[CONTACTADMIN\].*former/m.test(locked), locked);
      const recover = ["account", "recover", ADA.mails[0]];
      const other = await attempt(recover, [ADA.password, "not-the-directory's"]);
      assert(other.code === 1 && /directory/.test(other.err), `${other.code} ${other.err}`);
      await run(recover, [ADA.password, NEW_PASSWORD]);
      await expectMails(imap, NEW_PASSWORD, ADA.mails.length + 1);
    });
    await steps.step("and so does the recovery code", async () => {
      await slapd.setPassword(ADA.uid, ADA.password);
      await run(["account", "recover", ADA.mails[0]], [recoveryCode, ADA.password]);
      await expectMails(imap, ADA.password, ADA.mails.length + 1);
    });
    await steps.step("a backup knows the directory's accounts, so a restore marks them", async () => {
      const [copy, fresh] = [await makeDataFolder(), await makeDataFolder()];
      await run(["backup", join(copy, "backup")], []);
      const restored = await restante(
        fresh,
        ["restore", join(copy, "backup"), "--json"],
        "",
        settings(slapd, slapd.secureUrl),
      );
      assert(/"accounts":1/.test(restored.out), `${restored.out} ${restored.err}`);
      for (const folder of [copy, fresh]) await removeDataFolder(folder);
    });
    await steps.step("of an address that two people have, nobody is the owner", async () => {
      const answers = [
        await signIn(imap, "shared@example.org", quoted(BOB.password)),
        await signIn(imap, "shared@example.org", quoted(EVE.password)),
      ];
      for (const answer of answers) assert(/^t1 NO \[AUTHENTICATIONFAILED\]/m.test(answer), answer);
      const reply = await send("shared@example.org", "whose?");
      assert(/^550 5\.1\.1 /.test(reply), reply);
    });
    await steps.step("a directory that is down is a temporary failure, and comes back by itself", async () => {
      await slapd.stop();
      const answer = await signIn(imap, "ada", ADA.password);
      assert(/^t1 NO \[UNAVAILABLE\]/m.test(answer), answer);
      const reply = await send("ada@example.org", "away");
      assert(reply.startsWith("451"), reply);
      await slapd.start();
      await expectMails(imap, ADA.password, ADA.mails.length + 1);
    });
    await steps.step("STARTTLS works, and a certificate that nobody vouches for is refused", async () => {
      // The certificate is localhost's, so the name must be too.
      const named = slapd.url.replace("127.0.0.1", "localhost");
      const env = { ...settings(slapd, named), RESTANTE_LDAP_START_TLS: "true" };
      const listed = await restante(data, ["account", "list"], "", env);
      assert(listed.out.trim() === ADA.mails[0], `${listed.out} ${listed.err}`);
      for (const url of [slapd.url, slapd.secureUrl.replace("localhost", "127.0.0.1")]) {
        const startTls = String(url.startsWith("ldap:"));
        const numbered = { ...settings(slapd, url), RESTANTE_LDAP_START_TLS: startTls };
        const refused = await restante(data, ["account", "list"], "", numbered);
        assert(refused.code === 3 && /does not match certificate/.test(refused.err), `${refused.code} ${refused.err}`);
      }
      for (const untrusting of [env, settings(slapd, slapd.secureUrl)]) {
        const refused = await restante(data, ["account", "list"], "", { ...untrusting, RESTANTE_LDAP_CA_FILE: "" });
        assert(refused.code === 3 && /certificate/.test(refused.err), `${refused.code} ${refused.err}`);
      }
    });
    await steps.step("passwords never go in the clear to another host", async () => {
      const refused = await restante(data, ["account", "list"], "", settings(slapd, "ldap://directory.example"));
      assert(refused.code !== 0 && /in the clear/.test(refused.err), refused.err);
    });
  } finally {
    await server.stop();
    await slapd.stop();
    await removeDataFolder(data);
  }
};

/** Environment of a `restante` whose people are in this directory. */
export function settings(slapd: Slapd, url: string): Record<string, string> {
  return {
    RESTANTE_LOGIN_KIND: "ldap",
    RESTANTE_LDAP_URL: url,
    RESTANTE_LDAP_CA_FILE: slapd.ca,
    RESTANTE_LDAP_BASE_DN: BASE,
    RESTANTE_LDAP_BIND_DN: SERVICE.dn,
    RESTANTE_LDAP_BIND_PASSWORD_FILE: slapd.passwordFile,
  };
}

function quoted(text: string): string {
  return `"${text.replace(/[\\"]/g, "\\$&")}"`;
}

async function signIn(port: number, user: string, password: string): Promise<string> {
  const client = await LineClient.connect(port);
  await client.until(/^\* OK .*\r\n/m);
  const answer = await client.command(`LOGIN ${user} ${password}`);
  client.end();
  return answer;
}

async function expectMails(port: number, password: string, count: number): Promise<void> {
  const client = await connectImap(port, ADA.uid, password);
  const answer = await client.command("SELECT INBOX");
  client.end();
  assert(answer.includes(`* ${count} EXISTS`), answer);
}
