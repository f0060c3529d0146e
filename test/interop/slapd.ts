import { spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { assert, command, freePort, need, temporaryFolder, until } from "./harness.ts";

export const BASE: string = "dc=example,dc=org";
export const SERVICE: { readonly dn: string; readonly password: string } = {
  dn: `cn=restante,${BASE}`,
  password: "service-secret",
};

/** The attributes of docs/operating.md. The number is of the arc for experiments; a site takes one of its own. */
const SCHEMA = `attributetype ( 1.3.6.1.4.1.4203.666.1.900 NAME 'restantePublicKey'
  EQUALITY caseExactIA5Match SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 SINGLE-VALUE )
${["restanteBucket", "restanteAccessKey", "restanteSecretKey"].map(attribute).join("")}objectclass (
  1.3.6.1.4.1.4203.666.3.900 NAME 'restanteAccount' SUP top AUXILIARY
  MAY ( restantePublicKey $ restanteBucket $ restanteAccessKey $ restanteSecretKey ) )
`;

function attribute(name: string, at: number): string {
  return `attributetype ( 1.3.6.1.4.1.4203.666.1.${901 + at} NAME '${name}'
  EQUALITY caseExactIA5Match SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 SINGLE-VALUE )
`;
}

export interface Slapd {
  readonly url: string;
  /** By TLS; the certificate is for localhost. */
  readonly secureUrl: string;
  readonly ca: string;
  readonly passwordFile: string;
  stop(): Promise<void>;
  start(): Promise<void>;
  setPassword(uid: string, password: string): Promise<void>;
  read(filter: string): Promise<string>;
}

export interface Entry {
  readonly uid: string;
  readonly mails: readonly string[];
  readonly password: string;
  /** Attributes besides. */
  readonly more?: Readonly<Record<string, string>>;
}

/** A real slapd of its own, with these people in it. */
export async function startSlapd(people: readonly Entry[]): Promise<Slapd> {
  need({ slapd: "/usr/sbin/slapd", "ldap-utils": "/usr/bin/ldapmodify", openssl: "/usr/bin/openssl" });
  const home = await temporaryFolder("slapd");
  const [plain, secure] = [await freePort(), await freePort()];
  const at = (name: string): string => join(home, name);
  await mkdir(at("db"));
  const made = await command("openssl", [
    ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost".split(" "),
    ...["-addext", "subjectAltName=DNS:localhost", "-keyout", at("key.pem"), "-out", at("cert.pem")],
  ]);
  assert(made.code === 0, made.err);
  await writeFile(at("restante.schema"), SCHEMA);
  await writeFile(at("password"), `${SERVICE.password}\n`);
  await writeFile(at("slapd.conf"), configuration(at));
  await writeFile(at("people.ldif"), [ROOT, ...people.map(ldif)].join("\n"));
  const filled = await command("/usr/sbin/slapadd", ["-f", at("slapd.conf"), "-l", at("people.ldif")]);
  assert(filled.code === 0, filled.err);
  const url = `ldap://127.0.0.1:${plain}/`;
  const secureUrl = `ldaps://localhost:${secure}/`;
  const admin = ["-x", "-H", url, "-D", `cn=admin,${BASE}`, "-w", "admin-secret"];
  let child: ReturnType<typeof spawn> | undefined;
  const start = async (): Promise<void> => {
    child = spawn("/usr/sbin/slapd", ["-f", at("slapd.conf"), "-h", `${url} ${secureUrl}`, "-d", "0"], {
      stdio: "ignore",
    });
    await until("slapd to answer", async () => (await command("ldapsearch", [...admin, "-b", BASE])).code === 0);
  };
  await start();
  return {
    url,
    secureUrl,
    ca: at("cert.pem"),
    passwordFile: at("password"),
    start,
    async stop() {
      const running = child;
      if (!running || running.exitCode !== null || running.signalCode !== null) return;
      const ended = new Promise((resolve) => running.once("exit", resolve));
      running.kill("SIGTERM");
      await ended;
    },
    async setPassword(uid, password) {
      const change = `dn: uid=${uid},${BASE}\nchangetype: modify\nreplace: userPassword\nuserPassword: ${password}\n`;
      const ran = await command("ldapmodify", admin, change);
      assert(ran.code === 0, ran.err);
    },
    read: async (filter) =>
      (await command("ldapsearch", [...admin, "-LLL", "-o", "ldif-wrap=no", "-b", BASE, filter])).out,
  };
}

function configuration(at: (name: string) => string): string {
  return `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include ${at("restante.schema")}
modulepath /usr/lib/ldap
moduleload back_mdb
allow bind_anon_dn
pidfile ${at("pid")}
TLSCertificateFile ${at("cert.pem")}
TLSCertificateKeyFile ${at("key.pem")}
database mdb
suffix ${BASE}
rootdn cn=admin,${BASE}
rootpw admin-secret
directory ${at("db")}
access to attrs=userPassword by anonymous auth by * none
access to attrs=restantePublicKey by dn.exact=${SERVICE.dn} write by * none
access to * by dn.exact=${SERVICE.dn} read by * none
`;
}

const ROOT = `dn: ${BASE}
objectClass: domain
dc: example

dn: ${SERVICE.dn}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: restante
userPassword: ${SERVICE.password}
`;

function ldif({ uid, mails, password, more = {} }: Entry): string {
  return `dn: uid=${uid},${BASE}
objectClass: inetOrgPerson
objectClass: restanteAccount
uid: ${uid}
cn: ${uid}
sn: ${uid}
${[...mails.map((mail) => ["mail", mail]), ...Object.entries(more)].map(([name, value]) => `${name}: ${value}\n`).join("")}userPassword: ${password}
`;
}
