import { VERSIONS, type Version } from "../protocol/version.ts";

/** The query of a request, in either of its two forms: MS-ASHTTP §2.2.1.1.1. */
export interface Query {
  readonly command: string;
  /** A device has one id, whichever form it uses. */
  readonly deviceId: string;
  readonly deviceType: string;
  /** Undefined where the headers say it. */
  readonly version: Version | "unknown" | undefined;
  readonly policyKey: number | undefined;
  readonly parameters: Parameters;
}

export interface Parameters {
  readonly attachmentName?: string | undefined;
  readonly collectionId?: string | undefined;
  readonly itemId?: string | undefined;
  readonly longId?: string | undefined;
  readonly occurrence?: string | undefined;
  readonly savesInSent?: boolean;
  readonly acceptsMultipart?: boolean;
}

/** MS-ASHTTP §2.2.1.1.1.1.2. */
const COMMANDS: readonly string[] = [
  ...["Sync", "SendMail", "SmartForward", "SmartReply", "GetAttachment", "GetHierarchy", "CreateCollection"],
  ...["DeleteCollection", "MoveCollection", "FolderSync", "FolderCreate", "FolderDelete", "FolderUpdate", "MoveItems"],
  ...["GetItemEstimate", "MeetingResponse", "Search", "Settings", "Ping", "ItemOperations", "Provision"],
  ...["ResolveRecipients", "ValidateCert", "Find"],
];
const SAVE_IN_SENT = 1;
const ACCEPT_MULTIPART = 2;
/** Characters of an id or type that is looked at. */
const NAME_CHARS_MAX = 128;

/** `raw`: the query, as it came. Undefined where it is of neither form. */
export function readQuery(raw: string): Query | undefined {
  return isPlain(raw) ? readPlain(raw) : readBinary(raw);
}

/** The names of the plain form are followed by "="; in base64 that stands at the end alone. */
function isPlain(raw: string): boolean {
  return /[^=]=[^=]/.test(raw) || raw.includes("&");
}

function readPlain(raw: string): Query | undefined {
  const values = new Map([...new URLSearchParams(raw)].map(([name, value]) => [name.toLowerCase(), value]));
  const command = values.get("cmd");
  if (command === undefined) return undefined;
  return {
    command,
    deviceId: nameOf(values.get("deviceid")),
    deviceType: nameOf(values.get("devicetype")),
    version: undefined,
    policyKey: undefined,
    parameters: {
      attachmentName: values.get("attachmentname"),
      collectionId: values.get("collectionid"),
      itemId: values.get("itemid"),
      longId: values.get("longid"),
      occurrence: values.get("occurrence"),
      savesInSent: values.get("saveinsent") === "T",
    },
  };
}

function readBinary(raw: string): Query | undefined {
  const text = decodePercent(raw)?.replaceAll(" ", "+");
  if (text === undefined || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64");
  try {
    return readFields(new Fields(bytes));
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function readFields(fields: Fields): Query {
  const version = fields.byte();
  const code = fields.byte();
  fields.take(2);
  const deviceId = fields.take(fields.byte());
  const key = fields.take(fields.byte());
  const deviceType = fields.take(fields.byte());
  const found = new Map<number, Uint8Array>();
  while (!fields.isAtEnd) found.set(fields.byte(), fields.take(fields.byte()));
  const textAt = (tag: number): string | undefined => {
    const value = found.get(tag);
    return value && Buffer.from(value).toString("utf8");
  };
  const options = found.get(7)?.[0] ?? 0;
  return {
    command: COMMANDS[code] ?? `#${code}`,
    deviceId: nameOf(deviceName(deviceId)),
    deviceType: nameOf(Buffer.from(deviceType).toString("utf8")),
    version: VERSIONS.get((version / 10).toFixed(1)) ?? "unknown",
    policyKey: key.length === 4 ? new DataView(key.buffer, key.byteOffset).getUint32(0, true) : undefined,
    parameters: {
      attachmentName: textAt(0),
      collectionId: textAt(1),
      itemId: textAt(3),
      longId: textAt(4),
      occurrence: textAt(6),
      savesInSent: (options & SAVE_IN_SENT) !== 0,
      acceptsMultipart: (options & ACCEPT_MULTIPART) !== 0,
    },
  };
}

/** A device that uses both forms is one: what is text is taken as that. */
function deviceName(bytes: Uint8Array): string {
  const isText = bytes.every((octet) => octet > 0x20 && octet < 0x7f);
  return Buffer.from(bytes).toString(isText ? "latin1" : "hex");
}

/** Empty: none that may be used. */
function nameOf(text = ""): string {
  return /^[\x21-\x7e]+$/.test(text) && text.length <= NAME_CHARS_MAX ? text : "";
}

function decodePercent(raw: string): string | undefined {
  try {
    return decodeURIComponent(raw);
  } catch {
    return undefined;
  }
}

class Fields {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }
  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }
  byte(): number {
    return this.take(1)[0]!;
  }
  /** Throws RangeError. */
  take(count: number): Uint8Array {
    const taken = this.#bytes.slice(this.#at, this.#at + count);
    if (taken.length < count) throw new RangeError("the query ends early");
    this.#at += count;
    return taken;
  }
}
