import { spawn } from "node:child_process";
import { chmod, chown, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connectImap, type LineClient } from "../kit/line-client.ts";
import { assert, command, freePort, temporaryFolder, until } from "./harness.ts";

/** Nobody's: Dovecot does not serve mail as root. */
const UID = 5_000;

export interface DovecotOptions {
  /** `mail_location`; `MAIL` in it is a folder of Dovecot's own. */
  readonly location?: string;
  /** Lines of the namespace that holds INBOX. */
  readonly namespace?: string;
  /** Listens with TLS, too, as `localhost`. */
  readonly tls?: boolean;
}

export interface Dovecot {
  readonly connect: () => Promise<LineClient>;
  /** Its folder of mail. */
  readonly mail: string;
  readonly tlsPort: number;
  /** The certificate, as PEM. */
  readonly certificate: string;
}

/** Debian's Dovecot, on a port of its own, for one user: `someone`, `secret`. */
export async function withDovecot(
  run: (connect: () => Promise<LineClient>, dovecot: Dovecot) => Promise<void>,
  { location = "sdbox:MAIL", namespace = "separator = /", tls = false }: DovecotOptions = {},
): Promise<void> {
  const folder = await temporaryFolder("dovecot");
  await chmod(folder, 0o755);
  const mail = join(folder, "mail");
  await mkdir(mail);
  await chown(mail, UID, UID);
  const port = await freePort();
  const tlsPort = tls ? await freePort() : 0;
  const certificate = join(folder, "cert.pem");
  const key = join(folder, "key.pem");
  if (tls) {
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
    const args = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", certificate];
    const { code, err } = await command("openssl", [...args, ...subject]);
    assert(code === 0, err);
  }
  const config = join(folder, "dovecot.conf");
  await writeFile(
    config,
    `base_dir = ${folder}/run
state_dir = ${folder}/state
log_path = ${folder}/log
protocols = imap
listen = 127.0.0.1
${tls ? `ssl = yes\nssl_cert = <${certificate}\nssl_key = <${key}` : "ssl = no"}
disable_plaintext_auth = no
first_valid_uid = 1
mail_uid = ${UID}
mail_gid = ${UID}
mail_location = ${location.replaceAll("MAIL", mail)}
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=${UID} gid=${UID} home=${mail} allow_all_users=yes
}
namespace inbox {
  inbox = yes
  ${namespace}
}
service imap-login {
  inet_listener imap {
    port = ${port}
  }
  inet_listener imaps {
    port = ${tlsPort}
    ssl = yes
  }
}
`,
  );
  const child = spawn("/usr/sbin/dovecot", ["-F", "-c", config], { stdio: "ignore" });
  try {
    const connect = (): Promise<LineClient> => connectImap(port, "someone", "secret");
    await until("Dovecot", async () => {
      const client = await connect().catch(() => undefined);
      client?.end();
      return client !== undefined;
    });
    await run(connect, { connect, mail, tlsPort, certificate });
  } finally {
    child.kill("SIGTERM");
    await new Promise((resolve) => child.once("close", resolve));
  }
}
