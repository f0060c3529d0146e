import { type Envelope, parseNotify } from "@restante/engine";
import { type HeaderBlock, parseAddresses } from "@restante/mime";
import { invalidProperties } from "../core/errors.ts";
import { isObject, UTC_DATE } from "../core/types.ts";

/** An Envelope as its client wrote it: RFC 8621 §7. */
export interface AskedEnvelope {
  readonly envelope: Envelope;
  /** Milliseconds since 1970: FUTURERELEASE, RFC 4865. */
  readonly holdUntilMs: number | undefined;
  /** The text of the client, to be told again; "" where the envelope was made here. */
  readonly said: string;
}

/** Values of ENVID and ORCPT in xtext, within the bounds of RFC 3461 §4.2 and §4.4. */
const ENVID = /^(?=.{1,100}$)(?:[!-*,-<>-~]|\+[0-9A-F]{2})+$/;
const ORCPT = /^(?=.{1,500}$)[A-Za-z0-9-]+;(?:[!-*,-<>-~]|\+[0-9A-F]{2})+$/;
const ADDRESS_CHARS_MAX = 500;

/** Reads an Envelope. One without mailFrom is from the identity, `from`: aerc writes it `mailfrom`. Throws SetRefusal. */
export function readEnvelope(given: unknown, from: string, nowMs: number): AskedEnvelope {
  const wrong = (): Error => invalidProperties("envelope");
  if (!isObject(given)) throw wrong();
  const { mailFrom = { email: from } } = given;
  if (!isAddress(mailFrom) || !Array.isArray(given.rcptTo)) throw wrong();
  if (!given.rcptTo.every(isAddress)) throw wrong();
  const holdUntilMs = holdOf(mailFrom.parameters ?? {}, nowMs);
  if (holdUntilMs === "wrong") throw wrong();
  const recipients = given.rcptTo.map(({ email, parameters }) => {
    const notify = notifyOf(parameters ?? {});
    if (notify === "wrong") throw wrong();
    return { address: email, notify };
  });
  const said = {
    mailFrom: { email: mailFrom.email, parameters: mailFrom.parameters ?? null },
    rcptTo: given.rcptTo.map(({ email, parameters = null }) => ({ email, parameters })),
  };
  return { envelope: { mailFrom: mailFrom.email, recipients }, holdUntilMs, said: JSON.stringify(said) };
}

type Parameters = Readonly<Record<string, unknown>>;

function isAddress(value: unknown): value is { readonly email: string; readonly parameters?: Parameters | null } {
  if (!isObject(value)) return false;
  const { email, parameters = null } = value;
  return (
    typeof email === "string" &&
    email.length <= ADDRESS_CHARS_MAX &&
    email.isWellFormed() &&
    (parameters === null || isObject(parameters))
  );
}

/** HOLDFOR, HOLDUNTIL: RFC 4865 §4. DSN's parameters for the whole mail (RFC 3461 §4.3, §4.4) may be there, and are ours to
 * set. */
function holdOf(parameters: Parameters, nowMs: number): number | undefined | "wrong" {
  let until: number | undefined;
  for (const [name, value] of Object.entries(parameters)) {
    const upper = name.toUpperCase();
    if (upper === "RET" && typeof value === "string" && /^(?:FULL|HDRS)$/i.test(value)) continue;
    if (upper === "ENVID" && typeof value === "string" && ENVID.test(value)) continue;
    if (until !== undefined || typeof value !== "string") return "wrong";
    if (upper === "HOLDFOR" && /^\d{1,9}$/.test(value)) until = nowMs + Number(value) * 1000;
    else if (upper === "HOLDUNTIL" && UTC_DATE.read(value) !== undefined) until = UTC_DATE.read(value);
    else return "wrong";
  }
  return until;
}

/** NOTIFY: RFC 3461 §4.1. ORCPT may be said (§4.2), and goes no further. */
function notifyOf(parameters: Parameters): string | undefined | "wrong" {
  let notify: string | undefined;
  for (const [name, value] of Object.entries(parameters)) {
    if (name.toUpperCase() === "ORCPT" && typeof value === "string" && ORCPT.test(value)) continue;
    notify = name.toUpperCase() === "NOTIFY" && typeof value === "string" ? parseNotify(value) : undefined;
    if (notify === undefined) return "wrong";
  }
  return notify;
}

/** The envelope of a mail whose client said none: from the identity, to everybody that its header names. */
export function envelopeOf(header: HeaderBlock, mailFrom: string): AskedEnvelope {
  const addresses = ["to", "cc", "bcc"].flatMap((field) =>
    header
      .values(field)
      .flatMap((value) => parseAddresses(value).flatMap((one) => (one.kind === "group" ? one.members : [one]))),
  );
  const recipients = addresses.map(({ local, domain }) => ({ address: `${local}@${domain}`, notify: undefined }));
  return { envelope: { mailFrom, recipients }, holdUntilMs: undefined, said: "" };
}
