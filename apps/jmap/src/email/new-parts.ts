import { fileName as fileNameOf, type NewField, type PartFields, parseParameterized, writeField } from "@restante/mime";
import { isObject } from "../core/types.ts";
import { NEW_PROPERTIES_MAX } from "./limits.ts";
import { type FieldsOfProperty, type HeaderRoom, headerPropertyOf, type Mistakes, newFieldsOf } from "./new-fields.ts";

/** A part of a new email as its EmailBodyPart asks for it (RFC 8621 §4.1.4, §4.6), before its blob is opened. */
export interface PartSpec {
  /** In lower case. */
  readonly type: string;
  /** A multipart's parts. */
  readonly subParts: readonly PartSpec[];
  /** A leaf's content: text of a body value, or a blob. */
  readonly content: { readonly text: string } | { readonly blobId: string } | undefined;
  readonly fields: PartFields;
  /** Header fields that are none of those that describe the content, by property. */
  readonly headers: readonly FieldsOfProperty[];
  /** Where it stands in the new email. */
  readonly path: string;
}

/** Values of bodies, and counts of all parts read so far. */
export interface PartReader {
  /** EmailBodyValues by partId. */
  readonly values: ReadonlyMap<string, string>;
  readonly mistakes: Mistakes;
  readonly room: HeaderRoom;
  /** Parts read so far. */
  count: number;
  /** Characters of texts, each counted wherever it stands. */
  chars: number;
}

/** Levels of parts, and parts, as the writer takes them. */
const PARTS_DEPTH_MAX = 99;
const PARTS_MAX = 990;
/** Characters of a blob's id: RFC 8620 §1.2. */
const ID = /^[A-Za-z0-9_-]{1,255}$/;
/** Octets of a file's name, as the writer takes them. */
const NAME_BYTES_MAX = 2048;

const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`{|}~-]+$/;
const MEDIA_TYPE = /^[a-z0-9!#$%&'*+.^_`{|}~-]+\/[a-z0-9!#$%&'*+.^_`{|}~-]+$/;
const LANGUAGE = /^[A-Za-z0-9-]{1,60}$/;

/** Header fields that describe a part's content, and its properties that stand for them: both may not be given (RFC 8621
 * §4.6). */
const NAMES_OF: ReadonlyMap<string, readonly string[]> = new Map([
  ["content-type", ["type", "charset"]],
  ["content-disposition", ["disposition"]],
  ["content-id", ["cid"]],
  ["content-language", ["language"]],
  ["content-location", ["location"]],
  ["content-description", []],
]);
const PROPERTIES: ReadonlySet<string> = new Set([
  ...["partId", "blobId", "size", "name", "type", "charset", "disposition", "cid", "language", "location", "subParts"],
]);

/** Reads an EmailBodyPart; undefined where there is a mistake in it. `ifNone` is the type of one that names none. */
export function readPart(
  value: unknown,
  path: string,
  reader: PartReader,
  ifNone: string | undefined = undefined,
  depth = 0,
): PartSpec | undefined {
  const { mistakes } = reader;
  if (!isObject(value) || depth > PARTS_DEPTH_MAX || ++reader.count > PARTS_MAX || hasMany(value)) {
    mistakes.add(path);
    return undefined;
  }
  const part = new GivenPart(value, path, reader);
  const type = part.type(ifNone);
  const isMultipart = type.startsWith("multipart/");
  const subParts = part
    .subParts(isMultipart)
    .map((sub, at) => readPart(sub, `${path}/subParts/${at}`, reader, undefined, depth + 1));
  const content = part.content(isMultipart, reader.values);
  const fields = part.fields(content !== undefined && "text" in content);
  if (content && "text" in content) reader.chars += content.text.length;
  if (part.isWrong || subParts.includes(undefined)) return undefined;
  return { type, subParts: subParts as PartSpec[], content, fields, headers: part.headers, path };
}

/** True if an object has more properties than are looked at. */
export function hasMany(value: Readonly<Record<string, unknown>>): boolean {
  return Object.keys(value).length > NEW_PROPERTIES_MAX;
}

/** An EmailBodyPart, property by property. Null is as good as nothing: RFC 8621 §4.1.4 has it as the default. */
class GivenPart {
  readonly #given = new Map<string, unknown>();
  readonly #path: string;
  readonly #mistakes: Mistakes;
  readonly #room: HeaderRoom;
  /** Fields that describe the content and came as header fields: their values, by name. */
  readonly #described = new Map<string, { readonly key: string; readonly value: string }>();
  readonly headers: FieldsOfProperty[] = [];
  isWrong = false;

  constructor(value: Readonly<Record<string, unknown>>, path: string, { mistakes, room }: PartReader) {
    this.#path = path;
    this.#mistakes = mistakes;
    this.#room = room;
    const seen = new Set<string>();
    for (const [key, one] of Object.entries(value)) {
      if (one === null) continue;
      if (PROPERTIES.has(key)) this.#given.set(key, one);
      else this.#readHeader(key, one, seen);
    }
    this.#findTwice();
  }

  #readHeader(key: string, value: unknown, seen: Set<string>): void {
    const property = headerPropertyOf(key, false);
    const made = property && newFieldsOf(property, value, this.#room);
    if (!property || !made || seen.has(property.field) || property.field === "content-transfer-encoding") {
      this.#wrong(key);
      return;
    }
    seen.add(property.field);
    // The writer says that itself.
    if (property.field === "mime-version") return;
    if (NAMES_OF.has(property.field)) this.#describe(property.field, key, made);
    else this.headers.push(made);
  }

  #describe(field: string, key: string, { fields }: FieldsOfProperty): void {
    const [one, ...more] = fields;
    if (!one || more.length > 0 || (one.form !== "raw" && one.form !== "text")) this.#wrong(key);
    else this.#described.set(field, { key, value: one.value.replace(/[\r\n]+/g, "").trim() });
  }

  /** Finds properties that come twice: as a header field, and under their own name. */
  #findTwice(): void {
    for (const [field, { key }] of this.#described)
      for (const name of NAMES_OF.get(field) ?? []) {
        if (!this.#isGiven(name)) continue;
        this.#wrong(name);
        this.#wrong(key);
      }
  }

  #isGiven(name: string): boolean {
    return this.#given.has(name);
  }

  #wrong(name: string): void {
    this.isWrong = true;
    this.#mistakes.add(`${this.#path}/${name}`);
  }

  #text(name: string, isRight: (text: string) => boolean = () => true): string | undefined {
    const value = this.#given.get(name);
    if (value === undefined) return undefined;
    if (typeof value === "string" && this.#room.takeText(value.length) && isRight(value)) return value;
    this.#wrong(name);
    return undefined;
  }

  type(ifNone: string | undefined): string {
    const told = this.#described.get("content-type");
    const said = told ? parseParameterized(told.value).value : this.#text("type")?.toLowerCase();
    if (said !== undefined && !MEDIA_TYPE.test(said)) this.#wrong(told?.key ?? "type");
    if (said !== undefined) return said;
    if (ifNone !== undefined) return ifNone;
    if (this.#isGiven("subParts")) return "multipart/mixed";
    return this.#isGiven("partId") ? "text/plain" : "application/octet-stream";
  }

  subParts(isMultipart: boolean): readonly unknown[] {
    const given = this.#given.get("subParts");
    const list = given ?? [];
    if (!Array.isArray(list) || list.length > PARTS_MAX || list.length > 0 !== isMultipart) {
      this.#wrong("subParts");
      return [];
    }
    return list;
  }

  content(isMultipart: boolean, values: ReadonlyMap<string, string>): PartSpec["content"] {
    const partId = this.#text("partId");
    const blobId = this.#text("blobId", (id) => ID.test(id));
    const size = this.#given.get("size");
    if (size !== undefined && (partId !== undefined || !Number.isSafeInteger(size) || (size as number) < 0))
      this.#wrong("size");
    if (partId !== undefined && this.#isGiven("charset")) this.#wrong("charset");
    if (isMultipart) {
      for (const name of ["partId", "blobId"]) if (this.#isGiven(name)) this.#wrong(name);
      return undefined;
    }
    if (partId !== undefined && blobId !== undefined) {
      this.#wrong("partId");
      this.#wrong("blobId");
    }
    if (blobId !== undefined) return { blobId };
    const text = partId === undefined ? undefined : values.get(partId);
    if (text === undefined && !this.isWrong) this.#wrong("partId");
    return text === undefined ? undefined : { text };
  }

  /** `isValue`: the part's text is at hand, and the writer names its charset. */
  fields(isValue: boolean): PartFields {
    const told = (name: string): string | undefined => this.#described.get(name)?.value;
    const type = parseParameterized(told("content-type") ?? "");
    const placed = parseParameterized(told("content-disposition") ?? "");
    const parameters = new Map<string, string>();
    for (const { name, value } of type.parameters)
      if (PARAMETER.test(name) && name !== "boundary" && name !== "name" && !(isValue && name === "charset"))
        parameters.set(name, value);
    const charset = this.#text("charset", isToken);
    if (charset !== undefined) parameters.set("charset", charset);
    const fileName = this.#text("name", isName) ?? fileNameOf({ disposition: placed, parameters: type.parameters });
    const disposition = this.#text("disposition", isToken) ?? (placed.value || undefined);
    const id = this.#text("cid", isId) ?? unangled(told("content-id"));
    const location = this.#text("location", isUrl) ?? told("content-location");
    const language =
      this.#languages() ??
      told("content-language")
        ?.split(",")
        .map((tag) => tag.trim());
    return {
      fileName: fileName || undefined,
      disposition: this.#checked("content-disposition", disposition, isToken),
      id: this.#checked("content-id", id, isId),
      description: told("content-description"),
      language: this.#checked("content-language", language, (tags) => tags.every((tag) => LANGUAGE.test(tag))),
      location: this.#checked("content-location", location || undefined, isUrl),
      parameters: Object.fromEntries(parameters),
    };
  }

  /** The value of a header field of this name, if it is right. Values of properties were checked before. */
  #checked<T>(field: string, value: T | undefined, isRight: (value: T) => boolean): T | undefined {
    if (value === undefined || isRight(value)) return value;
    this.#wrong(this.#described.get(field)?.key ?? field);
    return undefined;
  }

  #languages(): readonly string[] | undefined {
    const value = this.#given.get("language");
    if (value === undefined) return undefined;
    if (
      Array.isArray(value) &&
      value.length <= LANGUAGES_MAX &&
      value.every((tag) => typeof tag === "string" && LANGUAGE.test(tag))
    )
      return value;
    this.#wrong("language");
    return undefined;
  }
}

/** Tags of one part. */
const LANGUAGES_MAX = 100;
/** Names of parameters that the writer takes. */
const PARAMETER = /^[A-Za-z0-9!#$&+.^_`{|}~-]{1,40}$/;

function isToken(text: string): boolean {
  return TOKEN.test(text);
}

function isName(text: string): boolean {
  return new TextEncoder().encode(text).length <= NAME_BYTES_MAX;
}

function isId(id: string): boolean {
  return mayStand({ name: "Content-ID", form: "messageIds", value: [id] });
}

function isUrl(url: string): boolean {
  return mayStand({ name: "Content-Location", form: "urls", value: [url] });
}

function mayStand(field: NewField): boolean {
  try {
    writeField(field, { utf8: true });
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

function unangled(id: string | undefined): string | undefined {
  return id === undefined ? undefined : (/^<([^<>]*)>$/.exec(id)?.[1] ?? id);
}
