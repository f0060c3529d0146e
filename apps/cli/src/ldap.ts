import { readFile } from "node:fs/promises";
import { LdapDirectory } from "@restante/engine/node";
import { type Config, ConfigError, isLoopbackAddress, type Log } from "@restante/host";

/** The directory of `login.kind = "ldap"`, made from the configuration. It is asked only when somebody comes. `place` is
 * told of accounts with a bucket of their own, `limit` of what each may hold. */
export async function openLdap(
  { ldap, storage }: Config,
  log: Log,
  {
    place = () => undefined,
    limit = () => undefined,
  }: Partial<Pick<Parameters<typeof LdapDirectory.open>[0], "place" | "limit">> = {},
): Promise<LdapDirectory> {
  for (const key of ["url", "base_dn", "key_attribute", "address_attribute", "login_attribute"] as const)
    if (ldap[key] === "") throw new ConfigError(`ldap.${key} is missing: login.kind is ldap`);
  if (ldap.bucket_attribute !== "" && storage.kind !== "s3")
    throw new ConfigError('ldap.bucket_attribute names buckets, and storage.kind is not "s3"');
  if (ldap.bucket_attribute === "" && ldap.access_key_attribute + ldap.secret_key_attribute !== "")
    throw new ConfigError("ldap.access_key_attribute and secret_key_attribute need ldap.bucket_attribute");
  if ((ldap.access_key_attribute === "") !== (ldap.secret_key_attribute === ""))
    throw new ConfigError("ldap.access_key_attribute and ldap.secret_key_attribute go together");
  const url = readUrl(ldap.url, ldap.start_tls);
  // RFC 4513 §5.1.2: a name without a password would be taken for nobody's.
  if (ldap.bind_dn !== "" && ldap.bind_password_file === "")
    throw new ConfigError("ldap.bind_dn needs ldap.bind_password_file");
  const bindPassword = (await read("bind_password_file", ldap.bind_password_file))?.replace(/\r?\n$/, "") ?? "";
  if (ldap.bind_dn !== "" && bindPassword === "") throw new ConfigError("ldap.bind_password_file is empty");
  const options = {
    url,
    startTls: ldap.start_tls,
    ca: await read("ca_file", ldap.ca_file),
    bindDn: ldap.bind_dn,
    bindPassword,
    base: ldap.base_dn,
    filter: ldap.filter,
    addressAttribute: ldap.address_attribute,
    loginAttribute: ldap.login_attribute,
    keyAttribute: ldap.key_attribute,
    bucketAttribute: ldap.bucket_attribute,
    accessKeyAttribute: ldap.access_key_attribute,
    secretKeyAttribute: ldap.secret_key_attribute,
    quotaBytesAttribute: ldap.quota_bytes_attribute,
    quotaMessagesAttribute: ldap.quota_messages_attribute,
    place,
    limit,
    log,
  };
  try {
    return await LdapDirectory.open(options);
  } catch (error) {
    throw new ConfigError(`ldap.filter can't be read: ${(error as Error).message}`);
  }
}

/** Passwords go over the wire as they are, so it must be a safe one. */
function readUrl(text: string, startTls: boolean): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !["ldap:", "ldaps:"].includes(url.protocol)) throw new ConfigError("ldap.url is no ldap: or ldaps: URL");
  if (url.protocol === "ldaps:" && startTls) throw new ConfigError("ldap.start_tls does not go with an ldaps: URL");
  if (url.protocol === "ldap:" && !startTls && !isOnLoopback(url))
    throw new ConfigError("ldap.url would send passwords in the clear: use ldaps: or ldap.start_tls");
  return url;
}

/** A URL writes an IPv6 address in brackets. */
function isOnLoopback({ hostname }: URL): boolean {
  return isLoopbackAddress({ kind: "tcp", host: hostname.replace(/^\[|\]$/g, ""), port: 0 });
}

async function read(key: string, file: string): Promise<string | undefined> {
  if (file === "") return undefined;
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new ConfigError(`ldap.${key}: ${(error as Error).message}`);
  }
}
