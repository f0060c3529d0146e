import { CONVENIENCE, type HeaderProperty, parseHeaderProperty } from "./header-property.ts";
import { HEADER_PROPERTIES_MAX, PROPERTIES_MAX } from "./limits.ts";
import { InvalidArguments } from "./problems.ts";

/** Properties that Email/get and Email/parse are asked for: RFC 8621 §4.2, §4.9. */
export interface EmailPlan {
  readonly metadata: ReadonlySet<MetadataProperty>;
  readonly header: HeaderPlan;
  readonly body: ReadonlySet<BodyProperty>;
  readonly part: PartPlan;
  readonly values: ValuesPlan;
}

/** Header fields: those that have properties, and whether `headers` tells all. */
export interface HeaderPlan {
  readonly fields: readonly HeaderProperty[];
  readonly isWhole: boolean;
}

export interface PartPlan {
  readonly properties: ReadonlySet<PartProperty>;
  readonly header: HeaderPlan;
}

/** Which text parts' values are told, and how long each may be. */
export interface ValuesPlan {
  readonly text: boolean;
  readonly html: boolean;
  readonly all: boolean;
  /** Octets of UTF-8; 0: any. */
  readonly bytesMax: number;
}

const METADATA = ["id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt"] as const;
const BODY = [
  "bodyStructure",
  "bodyValues",
  "textBody",
  "htmlBody",
  "attachments",
  "hasAttachment",
  "preview",
] as const;
const PART = [
  "partId",
  "blobId",
  "size",
  "name",
  "type",
  "charset",
  "disposition",
  "cid",
  "language",
  "location",
  "subParts",
] as const;
export type MetadataProperty = (typeof METADATA)[number];
export type BodyProperty = (typeof BODY)[number];
export type PartProperty = (typeof PART)[number];

/** The properties of an Email, beside `header:…` (RFC 8621 §4.1.3), and of an EmailBodyPart: RFC 8621 §4.1. */
export const EMAIL_PROPERTIES: readonly string[] = [...METADATA, "headers", ...CONVENIENCE.keys(), ...BODY];
export const PART_PROPERTIES: readonly string[] = [...PART, "headers"];

const PARSE_DEFAULT: readonly string[] = [
  ...["messageId", "inReplyTo", "references", "sender", "from", "to", "cc", "bcc", "replyTo", "subject", "sentAt"],
  ...["hasAttachment", "preview", "bodyValues", "textBody", "htmlBody", "attachments"],
];
const GET_DEFAULT: readonly string[] = [...METADATA, ...PARSE_DEFAULT];
const PART_DEFAULT: readonly string[] = PART.filter((name) => name !== "subParts");

const isMetadata = memberOf(METADATA);
const isBody = memberOf(BODY);
const isPart = memberOf(PART);

/** The arguments that Email/get and Email/parse share, as they came. */
export interface PlanArguments {
  readonly properties?: unknown;
  readonly bodyProperties?: unknown;
  readonly fetchTextBodyValues?: unknown;
  readonly fetchHTMLBodyValues?: unknown;
  readonly fetchAllBodyValues?: unknown;
  readonly maxBodyValueBytes?: unknown;
}

/** Reads them for Email/get (RFC 8621 §4.2): `id` is told always. Throws {@link InvalidArguments}. */
export function planOfGet(given: PlanArguments): EmailPlan {
  return planOf(given, GET_DEFAULT, ["id"]);
}

/** Reads them for Email/parse (RFC 8621 §4.9). Throws {@link InvalidArguments}. */
export function planOfParse(given: PlanArguments): EmailPlan {
  return planOf(given, PARSE_DEFAULT, []);
}

function planOf(given: PlanArguments, ifNone: readonly string[], always: readonly string[]): EmailPlan {
  const names = new Set([...always, ...(namesOf(given.properties, "properties") ?? ifNone)]);
  const partNames = new Set(namesOf(given.bodyProperties, "bodyProperties") ?? PART_DEFAULT);
  const metadata = new Set<MetadataProperty>();
  const body = new Set<BodyProperty>();
  const properties = new Set<PartProperty>();
  const own = headerPlanOf(names, "properties", (name) => {
    if (isMetadata(name)) metadata.add(name);
    else if (isBody(name)) body.add(name);
    else return CONVENIENCE.get(name);
    return "taken";
  });
  const ofParts = headerPlanOf(partNames, "bodyProperties", (name) => {
    if (!isPart(name)) return undefined;
    properties.add(name);
    return "taken";
  });
  return {
    metadata,
    header: own,
    body,
    part: { properties, header: ofParts },
    values: {
      text: flagOf(given.fetchTextBodyValues, "fetchTextBodyValues"),
      html: flagOf(given.fetchHTMLBodyValues, "fetchHTMLBodyValues"),
      all: flagOf(given.fetchAllBodyValues, "fetchAllBodyValues"),
      bytesMax: countOf(given.maxBodyValueBytes, "maxBodyValueBytes"),
    },
  };
}

/** The header fields among the names of a property list. `take` takes a name of another property, or gives the field that a
 * convenience property stands for. A name for which it gives undefined is read as `header:…`. Throws InvalidArguments. */
function headerPlanOf(
  names: ReadonlySet<string>,
  argument: string,
  take: (name: string) => "taken" | HeaderProperty | undefined,
): HeaderPlan {
  const fields: HeaderProperty[] = [];
  let isWhole = false;
  let asked = 0;
  for (const name of names) {
    if (name === "headers") {
      isWhole = true;
      continue;
    }
    const taken = take(name);
    if (taken === "taken") continue;
    const property = taken ?? parseHeaderProperty(name);
    if (!property) throw new InvalidArguments(argument, "no such property, or no such form of it");
    if (!taken && ++asked > HEADER_PROPERTIES_MAX) throw new InvalidArguments(argument, "too many header properties");
    fields.push(property);
  }
  return { fields, isWhole };
}

function namesOf(value: unknown, argument: string): readonly string[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value) || value.length > PROPERTIES_MAX || !value.every((name) => typeof name === "string"))
    throw new InvalidArguments(argument, `not a list of at most ${PROPERTIES_MAX} names`);
  return value;
}

function flagOf(value: unknown, argument: string): boolean {
  if (value === undefined) return false;
  if (typeof value !== "boolean") throw new InvalidArguments(argument, "not a boolean");
  return value;
}

/** An UnsignedInt: RFC 8620 §1.3. */
function countOf(value: unknown, argument: string): number {
  if (value === undefined) return 0;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw new InvalidArguments(argument, "not a number from 0 up");
  return value;
}

function memberOf<const T extends readonly string[]>(names: T): (name: string) => name is T[number] {
  const all = new Set<string>(names);
  return (name): name is T[number] => all.has(name);
}
