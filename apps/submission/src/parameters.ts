import { parseNotify } from "@restante/engine";

/** Parameters behind MAIL FROM and RCPT TO, as smtp-server reads them: a name without a value is `true`. */
type Given = Readonly<Record<string, string | true>>;

/** Parameters that are passed on or have no effect here: RFC 1870 §3, RFC 6152 §2, RFC 6531 §3.4, RFC 3461 §4.3, RFC 4954 §5. */
const MAIL_PARAMETERS: ReadonlySet<string> = new Set(["SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH"]);

/** Until when a mail is held, in milliseconds since 1970 (RFC 4865 §4); `wrong` for parameters that are none here. */
export function holdOf(given: Given, nowMs: number): number | undefined | "wrong" {
  let until: number | undefined;
  for (const [name, value] of Object.entries(given)) {
    if (MAIL_PARAMETERS.has(name)) continue;
    if (until !== undefined || typeof value !== "string") return "wrong";
    if (name === "HOLDFOR" && /^\d{1,9}$/.test(value)) until = nowMs + Number(value) * 1000;
    else if (name === "HOLDUNTIL" && DATE.test(value) && !Number.isNaN(Date.parse(value))) until = Date.parse(value);
    else return "wrong";
  }
  return until;
}

const DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)$/;

/** Of what a recipient's sender wants to hear (RFC 3461 §4.1); `wrong` for parameters that are none here. */
export function notifyOf(given: Given): string | undefined | "wrong" {
  let notify: string | undefined;
  for (const [name, value] of Object.entries(given)) {
    if (name === "ORCPT") continue;
    notify = name === "NOTIFY" && typeof value === "string" ? parseNotify(value) : undefined;
    if (notify === undefined) return "wrong";
  }
  return notify;
}
