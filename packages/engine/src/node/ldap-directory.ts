import type { connect, Socket } from "node:net";
import type { Client, Entry, Filter } from "ldapts";
import type { LogEvent } from "../account/platform.ts";
import {
  accountOf,
  accountPrefix,
  normalizeAddress,
  type OwnBucket,
  type PasswordDirectory,
  type Person,
  replaces,
  type User,
} from "../account/sign-in/users.ts";
import { decodeRecipientRecord, encodeRecipientRecord, type RecipientRecord } from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import { addressForms } from "./address-forms.ts";
import { type LdapPlace, openLdapSocket } from "./ldap-socket.ts";
import { Turns } from "./turns.ts";

/** The longest that a sign-in or a lookup waits for a directory: for a connection with its TLS, and for each answer. */
const CONNECT_TIMEOUT_MS = 5_000;
const ANSWER_TIMEOUT_MS = 10_000;
/** Connections at once, and lookups that wait for one: strangers make both. */
const CONNECTIONS_MAX = 16;
const WAITING_MAX = 256;
/** Two are enough to know that a name is not unique. */
const MATCHES_MAX = 2;

/** Results of a bind that say "not with this password": RFC 4511 Appendix A. Locked and disabled entries are refused so
 * by some servers (constraintViolation, unwillingToPerform). All others are the directory's own trouble. */
const INVALID_CREDENTIALS = 49;
const REFUSALS: ReadonlySet<number> = new Set([19, 32, 48, INVALID_CREDENTIALS, 53]);
/** constraintViolation and attributeOrValueExists: somebody else put the key there first. */
const TAKEN: ReadonlySet<number> = new Set([19, 20]);
/** noSuchAttribute: the value that was to be replaced is another one by now. */
const CHANGED = 16;
const UPDATES_MAX = 5;
const SIZE_LIMIT_EXCEEDED = 4;

export interface LdapOptions extends LdapPlace {
  /** The entry that looks others up and writes public keys; "" to bind as nobody. */
  readonly bindDn: string;
  readonly bindPassword: string;
  readonly base: string;
  /** A filter that entries must match besides (RFC 4515). */
  readonly filter: string;
  readonly addressAttribute: string;
  readonly loginAttribute: string;
  /** Holds the recipient record in base64. Single-valued, so that of two first sign-ins one wins. */
  readonly keyAttribute: string;
  /** Attributes of a person's own bucket, and of its keys; "" where all share one. */
  readonly bucketAttribute: string;
  readonly accessKeyAttribute: string;
  readonly secretKeyAttribute: string;
  /** Attributes of the octets and messages that a person's account may hold, 0 for any number; "" where the quota is the same
   * for all. */
  readonly quotaBytesAttribute: string;
  readonly quotaMessagesAttribute: string;
  /** Told what an account may hold, each time its owner is looked up; undefined for what all may. */
  readonly limit: (account: string, limits: Partial<Record<"bytes" | "messages", number>>) => void;
  /** Told where an account has a bucket of its own, before anything of it is asked for. */
  readonly place: (account: string, bucket: OwnBucket) => void;
  readonly log: (event: LogEvent) => void;
  readonly connectTimeoutMs?: number;
  readonly answerTimeoutMs?: number;
}

/**
 * The `ldap` login: people and their passwords are a directory's (RFC 4511). Each lookup has a connection of its own, so a
 * restarted directory needs no care. Clients' texts go into filters as values, never as text (RFC 4515 §3). Referrals are
 * not followed: a password goes to no server but the one in the settings.
 */
export class LdapDirectory implements PasswordDirectory {
  readonly #ldap: typeof import("ldapts");
  readonly #options: LdapOptions;
  readonly #filter: Filter;
  readonly #turns = new Turns({ runningMax: CONNECTIONS_MAX, waitingMax: WAITING_MAX });

  private constructor(ldap: typeof import("ldapts"), options: LdapOptions) {
    this.#ldap = ldap;
    this.#options = options;
    this.#filter = ldap.FilterParser.parseString(options.filter);
  }

  /** Does not connect yet. Throws when the filter can't be read. */
  static async open(options: LdapOptions): Promise<LdapDirectory> {
    return new LdapDirectory(await import("ldapts"), options);
  }

  findPerson(name: string): Promise<Person | undefined> {
    const { addressAttribute, loginAttribute } = this.#options;
    return this.#lookUp(name.includes("@") ? addressAttribute : loginAttribute, name);
  }

  async isPassword({ entry }: Person, password: string): Promise<boolean> {
    // RFC 4513 §5.1.2: a bind without a password succeeds and proves nothing.
    if (password === "") return false;
    return this.#connected(async (client) => {
      try {
        await client.bind(entry, password);
        return true;
      } catch (error) {
        const code = codeOf(error);
        if (!REFUSALS.has(code)) throw error;
        if (code !== INVALID_CREDENTIALS)
          this.#options.log({ level: "warn", event: "directory refused a sign-in", code });
        return false;
      }
    });
  }

  async find(address: string): Promise<User | undefined> {
    return userOf(await this.#lookUp(this.#options.addressAttribute, address));
  }

  async findLocal(local: string): Promise<User | undefined> {
    return userOf(await this.#lookUp(this.#options.loginAttribute, local));
  }

  async isExpected(address: string): Promise<boolean> {
    const person = await this.#lookUp(this.#options.addressAttribute, address);
    return person !== undefined && person.record === undefined;
  }

  list(): Promise<readonly User[]> {
    const { base, keyAttribute } = this.#options;
    return this.#asService(async (client) => {
      const filter = this.#and(new this.#ldap.PresenceFilter({ attribute: keyAttribute }));
      const { searchEntries } = await client.search(base, { filter, attributes: this.#attributes(), paged: true });
      return searchEntries.map((entry) => userOf(this.#person(entry))).filter((user) => user !== undefined);
    });
  }

  prepare({ address, record }: User): Promise<void> {
    return this.#asService(async (client) => {
      const entry = await this.#findEntry(client, this.#options.addressAttribute, address);
      if (entry) this.#place(entry, record);
    });
  }

  add({ address, record }: User): Promise<void> {
    return this.#asService(async (client) => {
      const entry = await this.#findEntry(client, this.#options.addressAttribute, address);
      if (!entry) throw new EngineError("not-found", "the directory has nobody of that address");
      if (this.#person(entry)?.record) throw exists();
      try {
        await client.modify(entry.dn, this.#change("add", [encode(record)]));
      } catch (error) {
        if (TAKEN.has(codeOf(error))) throw exists();
        throw error;
      }
    });
  }

  update({ address, record }: User): Promise<void> {
    return this.#asService(async (client) => {
      for (let tries = 0; tries < UPDATES_MAX; tries++) {
        const entry = await this.#findEntry(client, this.#options.addressAttribute, address);
        const known = entry && this.#person(entry)?.record;
        if (!known || !replaces(record, known)) return;
        const old = values(entry, this.#options.keyAttribute);
        try {
          // One request, so one change: RFC 4511 §4.6. The old value is named, so it replaces no other.
          return await client.modify(entry.dn, [this.#change("delete", old), this.#change("add", [encode(record)])]);
        } catch (error) {
          // Somebody else came first.
          if (codeOf(error) !== CHANGED) throw error;
        }
      }
      throw new EngineError("unavailable", "the directory shows another key than the one that it has, try again");
    });
  }

  /** Takes the public key away; the entry is the directory's own. */
  remove(address: string): Promise<void> {
    return this.#asService(async (client) => {
      const entry = await this.#findEntry(client, this.#options.addressAttribute, normalizeAddress(address));
      if (entry && values(entry, this.#options.keyAttribute).length > 0)
        await client.modify(entry.dn, this.#change("delete", []));
    });
  }

  /** The person whose entry has this value; each form of an address is looked for. */
  #lookUp(attribute: string, value: string): Promise<Person | undefined> {
    return this.#asService(async (client) => {
      for (const form of addressForms(value)) {
        const entry = await this.#findEntry(client, attribute, form);
        if (entry) return this.#person(entry);
      }
      return undefined;
    });
  }

  /** The one entry of this value; none if several have it. */
  async #findEntry(client: Client, attribute: string, value: string): Promise<Entry | undefined> {
    const filter = this.#and(new this.#ldap.EqualityFilter({ attribute, value }));
    const options = { filter, attributes: this.#attributes(), sizeLimit: MATCHES_MAX };
    try {
      const { searchEntries } = await client.search(this.#options.base, options);
      return searchEntries.length === 1 ? searchEntries[0] : undefined;
    } catch (error) {
      if (codeOf(error) === SIZE_LIMIT_EXCEEDED) return undefined;
      throw error;
    }
  }

  #and(filter: Filter): Filter {
    return new this.#ldap.AndFilter({ filters: [this.#filter, filter] });
  }

  #attributes(): string[] {
    const { addressAttribute, keyAttribute, bucketAttribute, accessKeyAttribute, secretKeyAttribute } = this.#options;
    const { quotaBytesAttribute, quotaMessagesAttribute } = this.#options;
    const own = [bucketAttribute, accessKeyAttribute, secretKeyAttribute, quotaBytesAttribute, quotaMessagesAttribute];
    const all = [addressAttribute, keyAttribute, ...own];
    return all.filter((attribute) => attribute !== "");
  }

  #change(operation: "add" | "delete", keys: string[]) {
    const modification = new this.#ldap.Attribute({ type: this.#options.keyAttribute, values: keys });
    return new this.#ldap.Change({ operation, modification });
  }

  /** An entry without an address is nobody here. */
  #person(entry: Entry): Person | undefined {
    const [address] = values(entry, this.#options.addressAttribute);
    const [key, ...more] = values(entry, this.#options.keyAttribute);
    if (address === undefined) return undefined;
    if (more.length > 0) throw new EngineError("corrupt", "the directory holds several public keys for one person");
    const record = key === undefined ? undefined : decode(key);
    if (record) this.#place(entry, record);
    if (record) this.#limit(entry, record);
    return { entry: entry.dn, address: normalizeAddress(address), record };
  }

  #place(entry: Entry, record: RecipientRecord): void {
    const { bucketAttribute, accessKeyAttribute, secretKeyAttribute, place } = this.#options;
    const [bucket] = values(entry, bucketAttribute);
    if (bucket === undefined) return;
    const [[accessKey], [secretKey]] = [values(entry, accessKeyAttribute), values(entry, secretKeyAttribute)];
    place(accountOf(accountPrefix(record)), { bucket, accessKey, secretKey });
  }

  #limit(entry: Entry, record: RecipientRecord): void {
    const { quotaBytesAttribute, quotaMessagesAttribute, limit } = this.#options;
    const [bytes, messages] = [quotaBytesAttribute, quotaMessagesAttribute].map((name) => this.#number(entry, name));
    limit(accountOf(accountPrefix(record)), {
      ...(bytes === undefined ? {} : { bytes }),
      ...(messages === undefined ? {} : { messages }),
    });
  }

  /** The attribute's number. A value that is no number is logged and does not count. */
  #number(entry: Entry, attribute: string): number | undefined {
    const [text, ...more] = attribute === "" ? [] : values(entry, attribute);
    if (text === undefined) return undefined;
    if (more.length === 0 && /^\d{1,15}$/.test(text)) return Number(text);
    this.#options.log({ level: "warn", event: "a quota in the directory is no number", attribute });
    return undefined;
  }

  /** Runs with a connection that the service account has opened. */
  #asService<Result>(work: (client: Client) => Promise<Result>): Promise<Result> {
    const { bindDn, bindPassword } = this.#options;
    return this.#connected(async (client) => {
      if (bindDn !== "") await client.bind(bindDn, bindPassword);
      return work(client);
    });
  }

  /** Runs with a connection that is nobody's yet. Whatever fails there that we did not foresee is the directory's trouble:
   * "not now", never "wrong password". */
  #connected<Result>(work: (client: Client) => Promise<Result>): Promise<Result> {
    const { log, connectTimeoutMs = CONNECT_TIMEOUT_MS } = this.#options;
    return this.#turns.take(async () => {
      try {
        const client = this.#client(await openLdapSocket(this.#options, AbortSignal.timeout(connectTimeoutMs)));
        try {
          return await work(client);
        } finally {
          // The answer is there already, and how the connection ends changes nothing.
          client.unbind().catch((error: unknown) => log({ level: "debug", event: "directory hung up", error }));
        }
      } catch (error) {
        if (error instanceof EngineError) throw error;
        log({ level: "error", event: "directory failed", error });
        throw new EngineError("unavailable", "the directory can't be asked now, try again", { cause: error });
      }
    });
  }

  /** LDAP over a socket that is open, and in TLS if it is to be: the URL that the library insists on opens nothing. */
  #client(socket: Socket): Client {
    const { answerTimeoutMs = ANSWER_TIMEOUT_MS } = this.#options;
    const createConnection = (() => socket) as unknown as typeof connect;
    return new this.#ldap.Client({ url: "ldap://opened.invalid", timeout: answerTimeoutMs, createConnection });
  }
}

function codeOf(error: unknown): number {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "number" ? code : -1;
}

function exists(): EngineError {
  return new EngineError("already-exists", "an account of that address exists");
}

function userOf(person: Person | undefined): User | undefined {
  return person?.record && { address: person.address, record: person.record };
}

/** Attribute descriptions are compared without case: RFC 4512 §2.5. */
function values(entry: Entry, attribute: string): string[] {
  const found = Object.entries(entry).find(([name]) => name.toLowerCase() === attribute.toLowerCase())?.[1];
  return (Array.isArray(found) ? found : found === undefined ? [] : [found]).map((value) => value.toString());
}

function encode(record: RecipientRecord): string {
  return Buffer.from(encodeRecipientRecord(record)).toString("base64");
}

function decode(key: string): RecipientRecord {
  try {
    return decodeRecipientRecord(new Uint8Array(Buffer.from(key, "base64")));
  } catch (cause) {
    throw new EngineError("corrupt", "the directory holds a public key that can't be read", { cause });
  }
}
