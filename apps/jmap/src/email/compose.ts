import type { Body } from "@restante/engine";
import {
  arrange,
  type ComposedMessage,
  type ComposeOptions,
  type Content,
  compose,
  look,
  type NewField,
  type NewMessage,
  type NewPart,
} from "@restante/mime";
import type { SetError } from "../core/errors.ts";
import { isObject } from "../core/types.ts";
import type { Blobs } from "./blobs.ts";
import { MESSAGE_BYTES_MAX, NEW_TEXT_CHARS_MAX } from "./limits.ts";
import { type FieldsOfProperty, HeaderRoom, headerPropertyOf, Mistakes, needUtf8, newFieldsOf } from "./new-fields.ts";
import { hasMany, type PartReader, type PartSpec, readPart } from "./new-parts.ts";
import { type NewPlace, type PlaceTools, readPlace } from "./new-place.ts";

/** An Email to be created, as Email/set asks for it (RFC 8621 §4.6): checked, and its blobs not yet opened. */
export interface NewEmail {
  readonly place: NewPlace;
  readonly headers: readonly NewField[];
  readonly body: BodySpec;
  /** Blobs that its parts are made of, each once. */
  readonly blobIds: readonly string[];
}

/** Its parts: a whole structure, or the lists of which one is made. */
export type BodySpec =
  | { readonly structure: PartSpec }
  | {
      readonly text: PartSpec | undefined;
      readonly html: PartSpec | undefined;
      readonly attachments: readonly PartSpec[];
    };

/** Properties that are no header fields. All others (id, size, preview, …) are the server's. */
const OWN: ReadonlySet<string> = new Set([
  ...["mailboxIds", "keywords", "receivedAt", "bodyStructure", "bodyValues", "textBody", "htmlBody", "attachments"],
]);
const LISTS = ["textBody", "htmlBody", "attachments"] as const;

/** Reads an Email creation object (RFC 8621 §4.6): all that can be said of it before its blobs are opened. An error names
 * every property that is wrong. */
export function readNewEmail(given: unknown, tools: PlaceTools): NewEmail | SetError {
  if (!isObject(given) || hasMany(given)) return { type: "invalidProperties", properties: [] };
  const mistakes = new Mistakes();
  const room = new HeaderRoom();
  const headers = readHeaders(given, mistakes, room);
  const reader = { values: readValues(given.bodyValues, mistakes), mistakes, room, count: 0, chars: 0 };
  const body = readBody(given, reader);
  const place = readPlace(given, tools, mistakes);
  if ("type" in place) return place;
  const lifted = body && liftHeaders(rootOf(body), headers, mistakes);
  if (!body || !lifted || mistakes.paths.length > 0) return { type: "invalidProperties", properties: mistakes.paths };
  if (reader.chars > NEW_TEXT_CHARS_MAX) return { type: "tooLarge" };
  const blobIds = new Set<string>();
  for (const part of partsOf(body)) if (part.content && "blobId" in part.content) blobIds.add(part.content.blobId);
  return { place, headers: lifted, body, blobIds: [...blobIds] };
}

/** The email's own header fields, by name. */
function readHeaders(
  given: Readonly<Record<string, unknown>>,
  mistakes: Mistakes,
  room: HeaderRoom,
): Map<string, FieldsOfProperty> {
  const headers = new Map<string, FieldsOfProperty>();
  for (const [key, value] of Object.entries(given)) {
    if (OWN.has(key)) continue;
    const property = headerPropertyOf(key, true);
    if (!property || property.field.startsWith("content-")) {
      mistakes.add(key);
      continue;
    }
    // The writer says that itself.
    if (value === null || property.field === "mime-version") continue;
    const made = newFieldsOf(property, value, room);
    // Of two for one field the later one is wrong.
    if (!made || headers.has(property.field)) mistakes.add(key);
    else headers.set(property.field, made);
  }
  return headers;
}

/** The text of each EmailBodyValue, by its partId. */
function readValues(given: unknown, mistakes: Mistakes): Map<string, string> {
  const values = new Map<string, string>();
  if (given === undefined || given === null) return values;
  if (!isObject(given) || hasMany(given)) {
    mistakes.add("bodyValues");
    return values;
  }
  for (const [partId, value] of Object.entries(given)) {
    const { value: text, ...flags } = isObject(value) ? value : {};
    const path = `bodyValues/${escaped(partId)}`;
    if (typeof text !== "string") mistakes.add(path);
    for (const flag of ["isEncodingProblem", "isTruncated"]) if (flags[flag] ?? false) mistakes.add(`${path}/${flag}`);
    // The value exists, whatever is wrong with it.
    values.set(partId, typeof text === "string" ? text : "");
  }
  return values;
}

/** As a segment of a JSON Pointer: RFC 6901 §3. */
function escaped(text: string): string {
  return text.replaceAll("~", "~0").replaceAll("/", "~1");
}

function readBody(given: Readonly<Record<string, unknown>>, reader: PartReader): BodySpec | undefined {
  const { mistakes } = reader;
  const has = (name: string): boolean => given[name] !== undefined && given[name] !== null;
  if (has("bodyStructure")) {
    for (const list of LISTS) if (has(list)) mistakes.add(list);
    const structure = readPart(given.bodyStructure, "bodyStructure", reader);
    return structure && { structure };
  }
  const one = (name: "textBody" | "htmlBody", type: string): PartSpec | undefined => {
    if (!has(name)) return undefined;
    const list = given[name];
    const part = Array.isArray(list) && list.length === 1 ? readPart(list[0], `${name}/0`, reader, type) : undefined;
    if (!Array.isArray(list) || list.length !== 1) mistakes.add(name);
    else if (part && part.type !== type) mistakes.add(`${name}/0/type`);
    return part;
  };
  const [text, html] = [one("textBody", "text/plain"), one("htmlBody", "text/html")];
  const files = has("attachments") ? given.attachments : [];
  if (!Array.isArray(files)) mistakes.add("attachments");
  const attachments: PartSpec[] = [];
  for (const [at, file] of (Array.isArray(files) ? files : []).entries()) {
    const part = readPart(file, `attachments/${at}`, reader);
    if (part) attachments.push(part);
    else if (reader.count > attachments.length + MISTAKES_SEEN) break;
  }
  return { text, html, attachments };
}

/** Attachments with mistakes after which no more are looked at. */
const MISTAKES_SEEN = 100;

/** The part whose header is the message's; undefined where it is one that is made. */
function rootOf(body: BodySpec): PartSpec | undefined {
  if ("structure" in body) return body.structure;
  const parts = [body.text, body.html, ...body.attachments].filter((part) => part !== undefined);
  return parts.length === 1 && body.attachments.length === 0 ? parts[0] : undefined;
}

/** The message's header fields, with those that its outermost part was given: none may stand twice (RFC 8621 §4.6). */
function liftHeaders(
  root: PartSpec | undefined,
  own: ReadonlyMap<string, FieldsOfProperty>,
  mistakes: Mistakes,
): NewField[] {
  const fields = [...own.values()].flatMap((made) => made.fields);
  for (const made of root?.headers ?? []) {
    if (own.has(made.property.field)) mistakes.add(`${root!.path}/${made.property.key}`);
    if (!made.property.field.startsWith("content-")) fields.push(...made.fields);
  }
  return fields;
}

function* partsOf(body: BodySpec): Generator<PartSpec> {
  const roots = "structure" in body ? [body.structure] : [body.text, body.html, ...body.attachments];
  for (const root of roots) if (root) yield* within(root);
}

/** As deep as parts are read. */
function* within(part: PartSpec): Generator<PartSpec> {
  yield part;
  for (const sub of part.subParts) yield* within(sub);
}

/** Octets of a text's blob that are looked at, so that it may stay readable. */
const TEXT_BLOB_BYTES_MAX: number = 64 * 1024;

/**
 * Makes the message: its octets as `compose` of mime writes them. Date and Message-ID are made if they are missing (RFC 8621
 * §4.6). Resolves with `blobNotFound` where blobs are missing, with `invalidProperties` for what no message can say, and with
 * `tooLarge`.
 * Errors: `unavailable`, `corrupt`.
 */
export async function composeEmail(
  email: NewEmail,
  blobs: Blobs,
  options: Pick<ComposeOptions, "now" | "random" | "domain">,
): Promise<ComposedMessage | SetError> {
  const opened = new Map<string, Body>();
  const notFound: string[] = [];
  for (const id of email.blobIds) {
    const body = await blobs.open(id);
    if (body) opened.set(id, body);
    else notFound.push(id);
  }
  if (notFound.length > 0) return { type: "blobNotFound", notFound };
  const message: NewMessage = {
    headers: email.headers,
    body: await new PartMaker(opened, rootOf(email.body)).body(email.body),
  };
  const hasForeignIds = Array.from(partsOf(email.body)).some(({ fields: { id = "" } }) => /[^\x00-\x7f]/.test(id));
  const all = [
    ...email.headers,
    ...Array.from(partsOf(email.body)).flatMap(({ headers }) => headers.flatMap(({ fields }) => fields)),
  ];
  try {
    const composed = compose(message, { ...options, draft: true, utf8: hasForeignIds || needUtf8(all) });
    return composed.length > MESSAGE_BYTES_MAX ? { type: "tooLarge" } : composed;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { type: "invalidProperties", properties: ["structure" in email.body ? "bodyStructure" : "attachments"] };
  }
}

/** From what is asked for to what the writer takes. */
class PartMaker {
  readonly #opened: ReadonlyMap<string, Body>;
  readonly #root: PartSpec | undefined;

  constructor(opened: ReadonlyMap<string, Body>, root: PartSpec | undefined) {
    this.#opened = opened;
    this.#root = root;
  }

  async body(body: BodySpec): Promise<NewPart> {
    if ("structure" in body) return this.#part(body.structure);
    const text = body.text && (await this.#part(body.text));
    const html = body.html && (await this.#part(body.html));
    const related: NewPart[] = [];
    const attachments: NewPart[] = [];
    for (const spec of body.attachments) {
      const isShown = html !== undefined && spec.fields.id !== undefined && spec.fields.disposition !== "attachment";
      const disposition = spec.fields.disposition ?? (spec.fields.id === undefined ? "attachment" : "inline");
      const part = await this.#part({ ...spec, fields: { ...spec.fields, disposition } });
      (isShown ? related : attachments).push(part);
    }
    return arrange({ text, html, related, attachments });
  }

  async #part(spec: PartSpec): Promise<NewPart> {
    // Header fields of the outermost part are the message's.
    const own = spec.headers.filter(({ property }) => spec !== this.#root || property.field.startsWith("content-"));
    const fields = { ...spec.fields, headers: own.flatMap((made) => made.fields) };
    const slash = spec.type.indexOf("/");
    const [type, subtype] = [spec.type.slice(0, slash), spec.type.slice(slash + 1)];
    if (type === "multipart") {
      const parts: NewPart[] = [];
      for (const sub of spec.subParts) parts.push(await this.#part(sub));
      return { ...fields, kind: "multipart", subtype, parts };
    }
    if (spec.content && "text" in spec.content && type === "text")
      return { ...fields, kind: "text", subtype, text: spec.content.text, isExact: true };
    const content = await this.#content(spec, type);
    if (type === "message") return { ...fields, kind: "message", subtype, content };
    return { ...fields, kind: "file", type: spec.type, content };
  }

  async #content({ content }: PartSpec, type: string): Promise<Content> {
    if (content && "text" in content) {
      const text = type === "message" ? content.text.replace(/\r\n|\r|\n/g, "\r\n") : content.text;
      return new TextEncoder().encode(text.toWellFormed());
    }
    const blob = this.#opened.get(content!.blobId)!;
    if (type === "text" && blob.size <= TEXT_BLOB_BYTES_MAX) return collected(blob);
    const streamed = { length: blob.size, read: () => blob.read(0, blob.size) };
    // A message is never encoded, so its octets decide how it may travel.
    return type === "message" ? { ...streamed, facts: await look(streamed) } : streamed;
  }
}

async function collected(blob: Body): Promise<Uint8Array> {
  const bytes = new Uint8Array(blob.size);
  let at = 0;
  for await (const piece of blob.read(0, blob.size)) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
