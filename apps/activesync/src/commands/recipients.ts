import { type Element, element, integer, many, optional, schema, group as shapeOf, text } from "wbxml";
import type { Context } from "../context.ts";
import { RECIPIENTS_MAX } from "../limits.ts";
import { readDate } from "../protocol/dates.ts";
import { group, leaf } from "../protocol/elements.ts";
import { valuesOf } from "../protocol/read.ts";
import { type Person, peopleBy, readPeople } from "../search/people.ts";

/** Statuses: MS-ASCMD §2.2.3.177.12. */
const OK = 1;
const AMBIGUOUS = 2;
const AMBIGUOUS_CUT = 3;
const NONE = 4;
const PROTOCOL = 5;
const NO_CERTIFICATE = 7;
const NO_FREE_BUSY = 163;
const NO_PICTURE = 173;
/** A recipient out of the owner's own addresses. */
const CONTACT = 2;
const CHOICES_DEFAULT = 19;

const RESOLVE = schema(
  "ResolveRecipients:ResolveRecipients",
  shapeOf({
    to: many("ResolveRecipients:To", text(1024), 10 * RECIPIENTS_MAX),
    options: optional(
      "ResolveRecipients:Options",
      shapeOf({
        certificates: optional("ResolveRecipients:CertificateRetrieval", integer(1, 3)),
        certificatesMax: optional("ResolveRecipients:MaxCertificates", integer(0, 9999)),
        choices: optional("ResolveRecipients:MaxAmbiguousRecipients", integer(0, 9999)),
        availability: optional(
          "ResolveRecipients:Availability",
          shapeOf({
            start: optional("ResolveRecipients:StartTime", text(64)),
            end: optional("ResolveRecipients:EndTime", text(64)),
          }),
        ),
        picture: optional("ResolveRecipients:Picture", element),
      }),
    ),
  }),
);
type Options = ReturnType<(typeof RESOLVE)["shape"]["read"]>["options"];

const HALF_HOUR_MS = 30 * 60_000;
const SPAN_MS_MAX = 42 * 86_400_000;

/** ResolveRecipients: MS-ASCMD §2.2.1.15. People are those whom the owner has written to. */
export async function resolveRecipients(body: Element | undefined, context: Context): Promise<Element> {
  const values = valuesOf(RESOLVE, body);
  if (!values) return answer(PROTOCOL);
  const { to, options } = values;
  if (to.length === 0 || to.length > RECIPIENTS_MAX || !isSpan(options)) return answer(PROTOCOL);
  const responses: Element[] = [];
  // People whom the owner has written to are read once for all recipients.
  const people = await readPeople(context);
  for (const one of to) responses.push(response(one, options, people));
  return answer(OK, ...responses);
}

function answer(status: number, ...children: readonly Element[]): Element {
  return group("ResolveRecipients:ResolveRecipients", leaf("ResolveRecipients:Status", status), ...children);
}

/** Half an hour at least, six weeks at most, and not backwards. */
function isSpan(options: Options): boolean {
  const asked = options?.availability;
  if (!asked) return true;
  const start = asked.start === null ? undefined : readDate(asked.start);
  const end = asked.end === null ? undefined : readDate(asked.end);
  if (start === undefined || (asked.end !== null && end === undefined)) return false;
  const span = (end ?? start + 7 * 86_400_000) - start;
  return span >= HALF_HOUR_MS && span <= SPAN_MS_MAX;
}

function response(to: string, options: Options, known: readonly Person[]): Element {
  const max = options?.choices ?? CHOICES_DEFAULT;
  const found = peopleBy(to, known);
  const exact = found.filter(({ address }) => address.toLowerCase() === to.trim().toLowerCase());
  const isAddress = /^[^\s@]+@[^\s@]+$/.test(to.trim());
  const people = exact.length > 0 ? exact : found.length > 0 || !isAddress ? found : [{ name: "", address: to.trim() }];
  const told = people.slice(0, people.length === 1 ? 1 : max);
  const status =
    people.length === 0 ? NONE : people.length === 1 ? OK : told.length < people.length ? AMBIGUOUS_CUT : AMBIGUOUS;
  return group(
    "ResolveRecipients:Response",
    leaf("ResolveRecipients:To", to),
    leaf("ResolveRecipients:Status", status),
    leaf("ResolveRecipients:RecipientCount", people.length),
    ...told.map((person) => recipient(person, options)),
  );
}

/** Of nobody's calendar, certificates and picture is anything known here. */
function recipient({ name, address }: Person, options: Options): Element {
  const wantsCertificates = options?.certificates === 2 || options?.certificates === 3;
  return group(
    "ResolveRecipients:Recipient",
    leaf("ResolveRecipients:Type", CONTACT),
    leaf("ResolveRecipients:DisplayName", name || address),
    leaf("ResolveRecipients:EmailAddress", address),
    options?.availability
      ? group("ResolveRecipients:Availability", leaf("ResolveRecipients:Status", NO_FREE_BUSY))
      : undefined,
    wantsCertificates
      ? group(
          "ResolveRecipients:Certificates",
          leaf("ResolveRecipients:Status", NO_CERTIFICATE),
          leaf("ResolveRecipients:CertificateCount", 0),
        )
      : undefined,
    options?.picture ? group("ResolveRecipients:Picture", leaf("ResolveRecipients:Status", NO_PICTURE)) : undefined,
  );
}
