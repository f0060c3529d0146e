import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, TomlError } from "smol-toml";
import { ConfigError } from "./config-error.ts";
import { parseListenAddress } from "./listen-address.ts";

// A flag beats the environment, that the file, that the default. An unknown key or a wrong value is an error that names file,
// line and key; nothing is guessed.

type Kind = "text" | "secret" | "number" | "boolean" | "list" | "addresses" | "table";
interface Setting {
  readonly kind: Kind;
  readonly default: unknown;
  readonly oneOf?: readonly string[];
}
const text = (value: string, oneOf?: readonly string[]): Setting => ({
  kind: "text",
  default: value,
  ...(oneOf ? { oneOf } : {}),
});
const list = (...value: readonly string[]): Setting => ({ kind: "list", default: value });
const listen = (...value: readonly string[]): Setting => ({ kind: "addresses", default: value });
const number = (value: number): Setting => ({ kind: "number", default: value });
const boolean = (value: boolean): Setting => ({ kind: "boolean", default: value });
const secret: Setting = { kind: "secret", default: "" };
/** An S3 bucket. */
const s3 = {
  endpoint: text(""),
  region: text("us-east-1"),
  bucket: text(""),
  prefix: text(""),
  path_style: boolean(true),
  access_key: text(""),
  secret_key: secret,
};

const STORE_KINDS = ["embedded", "s3", "memory"] as const;

/** Every setting, by section: the reference for docs/operating.md. */
const SETTINGS: Readonly<Record<string, Readonly<Record<string, Setting>>>> = {
  server: {
    data: text("./data"),
    // Empty: localhost and the true port, by https:// unless https.tls is off.
    origin: text(""),
    domains: list(),
    key_file: text(""),
    share_ports: boolean(false),
  },
  storage: {
    kind: text("embedded", STORE_KINDS),
    // Empty: the log lies where the rest does.
    log_kind: text("", ["", ...STORE_KINDS]),
    path: text(""),
    free_min: number(256 * 2 ** 20),
    reserve_size: number(64 * 2 ** 20),
    // Of what lies in a bucket, kept near; 0: nothing.
    cache_bytes: number(2 ** 30),
  },
  s3,
  s3log: s3,
  login: {
    kind: text("static", ["static", "ldap"]),
    users_dir: text(""),
    pepper_file: text(""),
    trusted_hosts: list(),
  },
  ldap: {
    url: text(""),
    start_tls: { kind: "boolean", default: false },
    ca_file: text(""),
    bind_dn: text(""),
    bind_password_file: text(""),
    base_dn: text(""),
    filter: text("(objectClass=person)"),
    address_attribute: text("mail"),
    login_attribute: text("uid"),
    key_attribute: text("restantePublicKey"),
    // Empty: all accounts share the bucket of [s3].
    bucket_attribute: text(""),
    access_key_attribute: text(""),
    secret_key_attribute: text(""),
    // Empty: the limits of [quota] are everybody's.
    quota_bytes_attribute: text(""),
    quota_messages_attribute: text(""),
  },
  tls: {
    cert: text(""),
    key: text(""),
    min_version: text("TLSv1.2", ["TLSv1.2", "TLSv1.3"]),
    old_suites: boolean(false),
    // A contact: certificates are had and renewed by themselves.
    acme: text(""),
    acme_names: list(),
    acme_directory: text("https://acme-v02.api.letsencrypt.org/directory"),
    acme_ca_file: text(""),
    acme_http: listen("[::]:80"),
  },
  lmtp: {
    listen: listen("127.0.0.1:1024"),
    size_max: number(150 * 2 ** 20),
    recipient_delimiter: text("+"),
    aliases: { kind: "table", default: {} },
    catch_all: text(""),
    postmaster: text(""),
    key_file: text(""),
  },
  imap: {
    listen: listen("127.0.0.1:1143"),
    plain_login: text("loopback", ["loopback", "never"]),
    literals: text("any", ["any", "short"]),
    // 0: any number.
    message_limit: number(0),
    hide: list(),
    // By address: names with spaces between.
    hide_for: { kind: "table", default: {} },
  },
  imaps: { listen: listen("127.0.0.1:1993") },
  https: {
    listen: listen("127.0.0.1:1443"),
    tls: text("on", ["on", "off"]),
    trusted_proxies: list(),
    compress: boolean(false),
  },
  submission: { listen: listen("127.0.0.1:1587") },
  submissions: { listen: listen("127.0.0.1:1465") },
  activesync: {
    // Seconds that a phone may wait for news; a proxy's idle limit lies above that.
    heartbeat_max: number(3540),
    // Admits Outlook, which hands passwords and mail to its maker's servers.
    outlook: boolean(false),
    password_length: number(0),
    lock_after: number(0),
    wrong_passwords: number(0),
    encryption: boolean(false),
    camera: boolean(true),
  },
  outbound: {
    // Empty: mail goes to those who live here, and nowhere else.
    smarthost: text(""),
    password: secret,
    ca_file: text(""),
    give_up: number(5 * 24 * 60 * 60),
    undo_seconds: number(0),
    size_max: number(50 * 2 ** 20),
    recipients_max: number(100),
    recipients_per_day: number(1_000),
  },
  quota: {
    // Of each account: octets, and messages; 0: no limit.
    bytes: number(0),
    messages: number(0),
    on_full: text("452", ["452", "552"]),
  },
  push: {
    // Names, addresses and networks inside the house that devices may be woken by.
    allow: list(),
    ca_file: text(""),
    // The operator's contact for push services: mailto: or https:.
    contact: text(""),
  },
  metrics: { listen: listen() },
  log: { level: text("info", ["debug", "info", "warn", "error"]) },
};

export type StoreKind = (typeof STORE_KINDS)[number];

export interface S3Config {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly prefix: string;
  readonly path_style: boolean;
  readonly access_key: string;
  readonly secret_key: string;
}

export interface Config {
  readonly server: {
    readonly data: string;
    readonly origin: string;
    readonly domains: readonly string[];
    readonly key_file: string;
    readonly share_ports: boolean;
  };
  readonly storage: {
    readonly kind: StoreKind;
    readonly log_kind: StoreKind | "";
    readonly path: string;
    readonly free_min: number;
    readonly reserve_size: number;
    readonly cache_bytes: number;
  };
  readonly s3: S3Config;
  readonly s3log: S3Config;
  readonly login: {
    readonly kind: "static" | "ldap";
    readonly users_dir: string;
    readonly pepper_file: string;
    readonly trusted_hosts: readonly string[];
  };
  readonly ldap: {
    readonly url: string;
    readonly start_tls: boolean;
    readonly ca_file: string;
    readonly bind_dn: string;
    readonly bind_password_file: string;
    readonly base_dn: string;
    readonly filter: string;
    readonly address_attribute: string;
    readonly login_attribute: string;
    readonly key_attribute: string;
    readonly bucket_attribute: string;
    readonly access_key_attribute: string;
    readonly secret_key_attribute: string;
    readonly quota_bytes_attribute: string;
    readonly quota_messages_attribute: string;
  };
  readonly tls: {
    readonly cert: string;
    readonly key: string;
    readonly min_version: "TLSv1.2" | "TLSv1.3";
    readonly old_suites: boolean;
    readonly acme: string;
    readonly acme_names: readonly string[];
    readonly acme_directory: string;
    readonly acme_ca_file: string;
    readonly acme_http: readonly string[];
  };
  readonly lmtp: {
    readonly listen: readonly string[];
    readonly size_max: number;
    readonly recipient_delimiter: string;
    readonly aliases: Readonly<Record<string, string>>;
    readonly catch_all: string;
    readonly postmaster: string;
    readonly key_file: string;
  };
  readonly imap: {
    readonly listen: readonly string[];
    readonly plain_login: "loopback" | "never";
    readonly literals: "any" | "short";
    readonly message_limit: number;
    readonly hide: readonly string[];
    readonly hide_for: Readonly<Record<string, string>>;
  };
  readonly imaps: { readonly listen: readonly string[] };
  readonly https: {
    readonly listen: readonly string[];
    readonly tls: "on" | "off";
    readonly trusted_proxies: readonly string[];
    readonly compress: boolean;
  };
  readonly submission: { readonly listen: readonly string[] };
  readonly submissions: { readonly listen: readonly string[] };
  readonly activesync: {
    readonly heartbeat_max: number;
    readonly outlook: boolean;
    readonly password_length: number;
    readonly lock_after: number;
    readonly wrong_passwords: number;
    readonly encryption: boolean;
    readonly camera: boolean;
  };
  readonly outbound: {
    readonly smarthost: string;
    readonly password: string;
    readonly ca_file: string;
    /** Seconds. */
    readonly give_up: number;
    readonly undo_seconds: number;
    readonly size_max: number;
    readonly recipients_max: number;
    readonly recipients_per_day: number;
  };
  readonly quota: { readonly bytes: number; readonly messages: number; readonly on_full: "452" | "552" };
  readonly push: { readonly allow: readonly string[]; readonly ca_file: string; readonly contact: string };
  readonly metrics: { readonly listen: readonly string[] };
  readonly log: { readonly level: "debug" | "info" | "warn" | "error" };
  /** The file that was read, if any. */
  readonly file: string | undefined;
}

/** Reads the configuration. `file` is that of `--config`; `env` the environment. Throws ConfigError. */
export function readConfig(file: string | undefined, env: Readonly<Record<string, string | undefined>>): Config {
  const path = file ?? env.RESTANTE_CONFIG ?? (exists("restante.toml") ? "restante.toml" : undefined);
  const { values: fromFile, lineOf } = path === undefined ? NO_FILE : parseFile(path);
  const at = (section: string, key?: string): string => `${path}${lineOf(section, key)}`;
  const config: Record<string, Record<string, unknown>> = {};
  for (const [section, settings] of Object.entries(SETTINGS)) {
    const given = fromFile[section];
    if (given !== undefined && !isTable(given)) throw new ConfigError(`${at(section)}: [${section}] is not a section`);
    for (const key of Object.keys(given ?? {}))
      if (!(key in settings)) throw new ConfigError(`${at(section, key)}: unknown key ${section}.${key}`);
    config[section] = {};
    for (const [key, setting] of Object.entries(settings)) {
      const fromEnv = fromEnvironment(env, section, key, setting);
      const value = fromEnv ?? given?.[key] ?? setting.default;
      const source = fromEnv === undefined ? at(section, key) : `environment: ${variable(section, key)}`;
      config[section][key] = checked(value, setting, `${source}: ${section}.${key}`);
    }
  }
  for (const section of Object.keys(fromFile))
    if (!(section in SETTINGS)) throw new ConfigError(`${at(section)}: unknown section [${section}]`);
  const known = Object.entries(SETTINGS).flatMap(([section, settings]) =>
    Object.entries(settings).flatMap(([key, { kind }]) => {
      const name = variable(section, key);
      return kind === "secret" ? [name, `${name}_FILE`] : [name];
    }),
  );
  for (const name of Object.keys(env))
    if (looksLikeSetting(name) && !known.includes(name)) throw new ConfigError(`environment: unknown setting ${name}`);
  return { ...(config as unknown as Omit<Config, "file">), file: path };
}

function looksLikeSetting(name: string): boolean {
  return Object.keys(SETTINGS).some((section) => name.startsWith(`RESTANTE_${section.toUpperCase()}_`));
}

function variable(section: string, key: string): string {
  return `RESTANTE_${section.toUpperCase()}_${key.toUpperCase()}`;
}

function exists(file: string): boolean {
  try {
    readFileSync(file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

interface ConfigFile {
  readonly values: Record<string, unknown>;
  /** `:LINE`, where the section or its key is written; "" if that can't be told. */
  readonly lineOf: (section: string, key?: string) => string;
}
const NO_FILE: ConfigFile = { values: {}, lineOf: () => "" };

function parseFile(path: string): ConfigFile {
  let source: string;
  try {
    source = readFileSync(path, "utf8");
  } catch (error) {
    throw new ConfigError(`${path}: ${(error as Error).message}`);
  }
  try {
    return { values: parse(source), lineOf: (section, key) => findLine(source, section, key) };
  } catch (error) {
    if (error instanceof TomlError) throw new ConfigError(`${path}:${error.line}: ${error.message.split("\n")[0]}`);
    throw error;
  }
}

/** The parser keeps no places: the line is looked for as sections and keys are commonly written, `[imap]` and
 * `listen = …`, or `imap.listen = …`. A key that is not found so gets its section's line. */
function findLine(source: string, section: string, key: string | undefined): string {
  let inside = "";
  let sectionAt = 0;
  for (const [index, text] of source.split("\n").entries()) {
    const header = /^\s*\[+\s*([^\]]+?)\s*\]/.exec(text)?.[1]?.replaceAll(/["']/g, "");
    if (header !== undefined) inside = header;
    const name = header ?? /^\s*([\w"'.-]+)\s*=/.exec(text)?.[1]?.replaceAll(/["']/g, "");
    if (name === undefined) continue;
    const full = header ?? (inside === "" ? name : `${inside}.${name}`);
    if (key !== undefined && (full === `${section}.${key}` || full.startsWith(`${section}.${key}.`)))
      return `:${index + 1}`;
    if (sectionAt === 0 && (full === section || full.startsWith(`${section}.`))) sectionAt = index + 1;
  }
  return sectionAt === 0 ? "" : `:${sectionAt}`;
}

function fromEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  section: string,
  key: string,
  setting: Setting,
): unknown {
  const name = variable(section, key);
  const file = setting.kind === "secret" ? env[`${name}_FILE`] : undefined;
  const value = env[name] ?? (file === undefined ? undefined : readSecret(file, name));
  if (value === undefined) return undefined;
  switch (setting.kind) {
    case "number":
      return value.trim() === "" ? Number.NaN : Number(value);
    case "boolean":
      return value === "true" ? true : value === "false" ? false : value;
    case "list":
    case "addresses":
      return value
        .split(",")
        .map((item) => item.trim())
        .filter((item) => item !== "");
    case "table":
      return Object.fromEntries(value.split(",").map((item) => item.split("=", 2).map((part) => part.trim())));
    case "text":
    case "secret":
      return value;
  }
}

function readSecret(file: string, name: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    throw new ConfigError(`environment: ${name}_FILE: ${(error as Error).message}`);
  }
}

function checked(value: unknown, setting: Setting, where: string): unknown {
  switch (setting.kind) {
    case "text":
    case "secret":
      if (typeof value !== "string") throw new ConfigError(`${where} is not a text`);
      if (setting.oneOf && !setting.oneOf.includes(value))
        throw new ConfigError(`${where} is none of ${setting.oneOf.join(", ")}`);
      return value;
    case "number":
      if (typeof value !== "number" || !Number.isFinite(value) || value < 0)
        throw new ConfigError(`${where} is not a number`);
      return value;
    case "boolean":
      if (typeof value !== "boolean") throw new ConfigError(`${where} is neither true nor false`);
      return value;
    case "list":
    case "addresses": {
      const items = typeof value === "string" ? [value].filter((item) => item !== "") : value;
      if (!Array.isArray(items) || !items.every((item) => typeof item === "string"))
        throw new ConfigError(`${where} is not a list of texts`);
      if (setting.kind === "addresses") for (const item of items) checkAddress(item, where);
      return items;
    }
    case "table":
      if (!isTable(value) || !Object.values(value).every((item) => typeof item === "string"))
        throw new ConfigError(`${where} is not a table of texts`);
      return value;
  }
}

function checkAddress(text: string, where: string): void {
  try {
    parseListenAddress(text);
  } catch (error) {
    throw error instanceof ConfigError ? new ConfigError(`${where}: ${error.message}`) : error;
  }
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Where a server keeps what is its own. */
export function dataPath(config: Config, ...names: readonly string[]): string {
  return join(config.server.data, ...names);
}
