import { type Plan, PORTS, type StorePlan } from "./plan.ts";

/** restante.toml for a plan, with comments. */
export function configFile({ domain, host, sender, data, store }: Plan): string {
  return `# Restante for ${domain}. docs/operating.md has every setting; restante config check looks at all that serve needs.

[server]
# Mail, keys and certificates lie here. keys/pepper is needed with every password: keep a copy apart from the rest.
data = ${quoted(data)}
# The address by which everybody reaches the server.
origin = ${quoted(`https://${host}`)}
domains = [${quoted(domain)}]

${storage(store)}
[tls]
# A certificate for ${host}, as PEM: the chain, the server's own first, and its key. Read again on SIGHUP.
# cert = "/etc/ssl/${host}.pem"
# key = "/etc/ssl/${host}.key"

[lmtp]
# Postfix hands mail over here. It asks nobody who they are: loopback or a unix socket alone.
listen = ["127.0.0.1:1024"]

[imap]
# IMAP that begins in clear: off.
listen = []

[imaps]
listen = ["[::]:${PORTS.imaps}"]

[https]
listen = ["[::]:${PORTS.https}"]

[submissions]
# Mail programs send by it.
listen = ["[::]:${PORTS.submissions}"]

[submission]
listen = []

[outbound]
# Who mail is handed to: Postfix on this machine, or another server with outbound.password.
${smarthost(host, sender)}

[metrics]
# Prometheus, /healthz and /readyz. It asks nobody who they are.
# listen = ["127.0.0.1:9090"]
`;
}

function smarthost(host: string, sender = host): string {
  const text = sender === host ? "smtp://127.0.0.1:25" : `smtp+starttls://USER@${sender}:587`;
  return `${sender === host ? "" : "# "}smarthost = ${quoted(text)}`;
}

function storage(store: StorePlan): string {
  if (store.kind === "embedded")
    return `[storage]
# On this machine's disk, below server.data; not on a network file system.
kind = "embedded"
`;
  return `[storage]
kind = "s3"

[s3]
endpoint = ${quoted(store.endpoint)}
bucket = ${quoted(store.bucket)}
# The key that may read, write, list and delete there; or RESTANTE_S3_ACCESS_KEY and RESTANTE_S3_SECRET_KEY_FILE.
# access_key = ""
# secret_key = ""
`;
}

/** A TOML basic string is a JSON string. */
function quoted(text: string): string {
  return JSON.stringify(text);
}
