import { type Body, formatEmailId, parseEmailId, SubmitRefusal } from "@restante/engine";
import {
  type ComposeOptions,
  compose,
  decodeUnstructured,
  type HeaderBlock,
  look,
  type NewField,
  type NewPart,
  parseAddresses,
  parseMessageIds,
} from "@restante/mime";
import { MDN } from "../core/capabilities.ts";
import {
  invalidArguments,
  invalidProperties,
  methodErrorOf,
  type SetError,
  SetRefusal,
  setErrorOf,
} from "../core/errors.ts";
import { type Context, checkObjects, type Method, type MethodAnswer, method, resolveId } from "../core/method.ts";
import { BOOLEAN, ID, isObject, mapOf, OBJECT, optional, required, TEXT } from "../core/types.ts";
import { emailSet } from "../email/set.ts";
import { findIdentity, type Identity } from "../submission/identity.ts";

type Given = Readonly<Record<string, unknown>>;

/** Octets of a message that is sent back whole, and characters of each text that a client may say. */
const ORIGINAL_BYTES_MAX: number = 2 ** 20;
const TEXT_CHARS_MAX = 64 * 1024;
const FIELD_CHARS_MAX = 500;
const EXTENSIONS_MAX = 20;

/** RFC 9007 §2.1. */
export const mdnSend: Method = method(
  "MDN/send",
  MDN,
  {
    accountId: required(ID),
    identityId: required(ID),
    send: required(mapOf(OBJECT)),
    onSuccessUpdateEmail: optional(mapOf(OBJECT)),
  },
  async (args, context) => {
    checkObjects(args.send.size);
    const identity = await findIdentity(context.session, resolveId(args.identityId, context));
    if (!identity) throw invalidArguments("there is no such identity");
    const sent = new Map<string, Given>();
    const notSent = new Map<string, SetError>();
    /** The emails that something was told of, by creation ids. */
    const emails = new Map<string, string>();
    for (const [creationId, given] of args.send)
      try {
        const one = await send(given, identity, context);
        emails.set(creationId, one.email);
        sent.set(creationId, one.unsaid);
      } catch (error) {
        notSent.set(creationId, errorOf(error));
      }
    const result = {
      accountId: args.accountId,
      sent: sent.size > 0 ? Object.fromEntries(sent) : null,
      notSent: notSent.size > 0 ? Object.fromEntries(notSent) : null,
    };
    return { result, implied: await onSuccess(args, emails, context) };
  },
);

/** Resolves with what its client did not say. Throws SetRefusal, SubmitRefusal. */
async function send(
  given: Given,
  identity: Identity,
  context: Context,
): Promise<{ readonly email: string; readonly unsaid: Given }> {
  const { session } = context;
  const asked = readMdn(given);
  const id = parseEmailId(resolveId(asked.forEmailId, context));
  const [email] = id ? await session.findEmails([id], context) : [];
  if (!id || !email) throw new SetRefusal({ type: "notFound" });
  const [header] = await session.readHeaders([email.message]);
  const to = header && notifiedBy(header);
  // A mail without Disposition-Notification-To gets no MDN: RFC 8098 §2.1.
  if (!header || to === undefined) throw new SetRefusal({ type: "notFound" });
  if (session.state.flagNames(email.message.row).some((flag) => flag.toLowerCase() === "$mdnsent"))
    throw new SetRefusal({ type: "mdnAlreadySent" });
  const own = asked.finalRecipient === undefined ? identity.email : addressOf(asked.finalRecipient);
  if (own === undefined || !(await session.isOwnAddress(own))) throw new SetRefusal({ type: "forbiddenFrom" });
  const original = asked.includeOriginalMessage ? await session.openBody(email.message) : undefined;
  if (original && original.size > ORIGINAL_BYTES_MAX)
    throw new SetRefusal({ type: "tooLarge", maxSize: ORIGINAL_BYTES_MAX });
  const made = madeOf(header, own);
  await submit(asked, { identity, to, header, original, made }, context);
  const unsaid = Object.entries(made).filter(([name, value]) => given[name] !== value);
  return { email: formatEmailId(id), unsaid: Object.fromEntries(unsaid) };
}

/** Properties of the MDN that the server sets: RFC 9007 §2. */
function madeOf(header: HeaderBlock, own: string) {
  const [original = null] = header.values("original-recipient");
  const [messageId] = parseMessageIds(header.values("message-id")[0] ?? "");
  return {
    finalRecipient: typed(own),
    originalRecipient: original,
    originalMessageId: messageId === undefined ? null : `<${messageId}>`,
    mdnGateway: null,
    error: null,
  };
}

/** `address-type; address`: RFC 3464 §2.1.2, RFC 6533 §3. */
export function typed(address: string): string {
  return `${/[^\x00-\x7f]/.test(address) ? "utf-8" : "rfc822"}; ${address}`;
}

function addressOf(text: string): string | undefined {
  return /^\s*(?:rfc822|utf-8)\s*;\s*([^\s;]+)\s*$/i.exec(text)?.[1];
}

/** The one address of Disposition-Notification-To: RFC 8098 §2.1. Undefined for none, and for several, some of whom may be
 * strangers. */
function notifiedBy(header: HeaderBlock): string | undefined {
  const asked = header.values("disposition-notification-to").flatMap((value) => parseAddresses(value));
  const [one, ...more] = asked;
  if (one?.kind !== "mailbox" || more.length > 0) return undefined;
  return `${one.local}@${one.domain}`;
}

interface Asked {
  readonly forEmailId: string;
  readonly subject: string | undefined;
  readonly textBody: string | undefined;
  readonly includeOriginalMessage: boolean;
  readonly reportingUA: string | undefined;
  readonly disposition: { readonly actionMode: string; readonly sendingMode: string; readonly type: string };
  readonly finalRecipient: string | undefined;
  readonly extensionFields: ReadonlyMap<string, string>;
}

const MODES: Readonly<Record<"actionMode" | "sendingMode" | "type", readonly string[]>> = {
  actionMode: ["manual-action", "automatic-action"],
  sendingMode: ["mdn-sent-manually", "mdn-sent-automatically"],
  type: ["deleted", "dispatched", "displayed", "processed"],
};

/** Throws SetRefusal `invalidProperties`. */
function readMdn(given: Given): Asked {
  const wrong: string[] = [];
  const read = <T>(
    name: string,
    value: T | undefined,
    isMissing = given[name] === undefined || given[name] === null,
  ) => {
    if (!isMissing && value === undefined) wrong.push(name);
    return isMissing ? undefined : value;
  };
  const line = (name: string): string | undefined => {
    const text = TEXT.read(given[name]);
    return read(name, text !== undefined && isLine(text) ? text : undefined);
  };
  const forEmailId = read("forEmailId", TEXT.read(given.forEmailId), false) ?? "";
  const textBody = read("textBody", TEXT.read(given.textBody));
  if (textBody !== undefined && textBody.length > TEXT_CHARS_MAX) wrong.push("textBody");
  const disposition = isDisposition(given.disposition) ? given.disposition : undefined;
  if (!disposition) wrong.push("disposition");
  const extensionFields = read("extensionFields", readExtensions(given.extensionFields)) ?? new Map<string, string>();
  const asked = {
    subject: line("subject"),
    reportingUA: line("reportingUA"),
    finalRecipient: line("finalRecipient"),
    includeOriginalMessage: read("includeOriginalMessage", BOOLEAN.read(given.includeOriginalMessage)) ?? false,
  };
  for (const name of Object.keys(given)) if (!PROPERTIES.has(name)) wrong.push(name);
  for (const name of SERVER_SET) if (given[name] !== undefined && given[name] !== null) wrong.push(name);
  if (!disposition || wrong.length > 0) throw invalidProperties(...new Set(wrong));
  return { forEmailId, textBody, disposition, extensionFields, ...asked };
}

const SERVER_SET = ["mdnGateway", "originalRecipient", "originalMessageId", "error"];
const PROPERTIES: ReadonlySet<string> = new Set([
  ...["forEmailId", "subject", "textBody", "includeOriginalMessage", "reportingUA", "disposition", "finalRecipient"],
  ...["extensionFields", ...SERVER_SET],
]);

function isDisposition(value: unknown): value is Asked["disposition"] {
  if (!isObject(value)) return false;
  return Object.entries(MODES).every(([name, words]) => words.includes(value[name] as string));
}

/** Undefined for what is none: names of fields that mean nothing to programs, and lines. */
function readExtensions(value: unknown): ReadonlyMap<string, string> | undefined {
  const fields = mapOf(TEXT).read(value);
  if (!fields || fields.size > EXTENSIONS_MAX) return undefined;
  const isRight = [...fields].every(([name, text]) => /^X-[\w-]{1,60}$/i.test(name) && isLine(text));
  return isRight ? fields : undefined;
}

function isLine(text: string): boolean {
  return text.length <= FIELD_CHARS_MAX && !/\p{Cc}/u.test(text) && text.isWellFormed();
}

interface Parts {
  readonly identity: Identity;
  readonly to: string;
  readonly header: HeaderBlock;
  readonly original: Body | undefined;
  readonly made: ReturnType<typeof madeOf>;
}

/** RFC 8098 §3: a report from nobody, so that nothing is ever sent back. */
async function submit(asked: Asked, parts: Parts, { session, now, random }: Context): Promise<void> {
  const { identity, to, header, original, made } = parts;
  const [messageId] = parseMessageIds(header.values("message-id")[0] ?? "").filter((id) =>
    /^[!-;=?-~]{1,400}$/.test(id),
  );
  const about = decodeUnstructured(header.values("subject")[0] ?? "").replaceAll(/\p{Cc}+/gu, " ");
  const headers: NewField[] = [
    { name: "From", form: "addresses", value: [{ name: identity.name, email: identity.email }] },
    { name: "To", form: "addresses", value: [{ email: to }] },
    {
      name: "Subject",
      form: "text",
      value: asked.subject ?? `Read: ${about.slice(0, FIELD_CHARS_MAX).toWellFormed()}`,
    },
    { name: "Auto-Submitted", form: "text", value: "auto-replied" },
  ];
  if (messageId !== undefined) headers.push({ name: "In-Reply-To", form: "messageIds", value: [messageId] });
  const content = new TextEncoder().encode(fieldsOf(asked, made));
  const text =
    asked.textBody ?? `The message "${about.slice(0, 200).toWellFormed()}" was ${asked.disposition.type}.\r\n`;
  const reported: NewPart[] = [
    { kind: "text", text },
    { kind: "message", subtype: "disposition-notification", content },
  ];
  if (original) {
    const streamed = { length: original.size, read: () => original.read(0, original.size) };
    reported.push({ kind: "message", content: { ...streamed, facts: await look(streamed) } });
  }
  const options: ComposeOptions = {
    now: () => ({ timeMs: now(), zoneMinutes: 0 }),
    random,
    domain: session.address.slice(session.address.lastIndexOf("@") + 1),
    utf8: /[^\x00-\x7f]/.test(to + identity.email),
  };
  const parameters = { "report-type": "disposition-notification" };
  const body: NewPart = { kind: "multipart", subtype: "report", parameters, parts: reported };
  const message = await wholeOf(composed({ headers, body }, options).read());
  await session.submit({
    identity: identity.id,
    envelope: { mailFrom: "", recipients: [{ address: to, notify: "NEVER" }] },
    message,
    isNotice: true,
  });
}

/** Throws SetRefusal `notFound` where who wants to be told has no address that a mail can go to. */
function composed(...message: Parameters<typeof compose>): ReturnType<typeof compose> {
  try {
    return compose(...message);
  } catch (error) {
    if (error instanceof RangeError) throw new SetRefusal({ type: "notFound" });
    throw error;
  }
}

function fieldsOf({ reportingUA, disposition, extensionFields }: Asked, made: ReturnType<typeof madeOf>): string {
  const { actionMode, sendingMode, type } = disposition;
  const fields: (readonly [string, string | null | undefined])[] = [
    ["Reporting-UA", reportingUA],
    ["Original-Recipient", made.originalRecipient?.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, FIELD_CHARS_MAX)],
    ["Final-Recipient", made.finalRecipient],
    ["Original-Message-ID", made.originalMessageId?.replaceAll(/[^\x21-\x7e]/g, "?").slice(0, FIELD_CHARS_MAX)],
    ["Disposition", `${actionMode}/${sendingMode}; ${type}`],
    ...extensionFields,
  ];
  return fields.map(([name, value]) => (value ? `${name}: ${value}\r\n` : "")).join("");
}

async function wholeOf(pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Body> {
  const parts: Uint8Array[] = [];
  for await (const piece of pieces) parts.push(piece.slice());
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return {
    size: bytes.length,
    async *read(start, end) {
      yield bytes.subarray(start, end);
    },
  };
}

/** RFC 9007 §2.1. */
function errorOf(error: unknown): SetError {
  if (!(error instanceof SubmitRefusal)) return setErrorOf(error);
  const { reason, max } = error;
  switch (reason) {
    case "forbiddenToSend":
      return { type: "rateLimit" };
    case "tooLarge":
      return { type: reason, maxSize: max! };
    case "forbiddenFrom":
    case "forbiddenMailFrom":
      return { type: "forbiddenFrom" };
    default:
      // To whom it would go is none of this server's, or no address.
      return { type: "notFound" };
  }
}

/** One call of Email/set, answered with this one. */
async function onSuccess(
  { accountId, onSuccessUpdateEmail = new Map() }: OnSuccess,
  emails: ReadonlyMap<string, string>,
  context: Context,
): Promise<NonNullable<MethodAnswer["implied"]>> {
  const update = [...onSuccessUpdateEmail].flatMap(([id, patch]) => {
    const email = emails.get(id.replace(/^#/, ""));
    return email === undefined ? [] : [[email, patch] as const];
  });
  if (update.length === 0) return [];
  try {
    const { result } = await emailSet.call({ accountId, update: Object.fromEntries(update) }, context);
    return [["Email/set", result]];
  } catch (error) {
    const foreseen = methodErrorOf(error);
    if (!foreseen) throw error;
    return [["error", foreseen.answer]];
  }
}
interface OnSuccess {
  readonly accountId: string;
  readonly onSuccessUpdateEmail: ReadonlyMap<string, Given> | undefined;
}
