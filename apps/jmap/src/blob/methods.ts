import type { Body, Pace } from "@restante/engine";
import { formatBlobId, formatEmailId, formatMailboxId, formatThreadId, parseBlobId } from "@restante/engine";
import { BLOB, CORE } from "../core/capabilities.ts";
import {
  invalidArguments,
  invalidProperties,
  MethodError,
  type SetError,
  SetRefusal,
  setErrorOf,
} from "../core/errors.ts";
import { idsOf, pick } from "../core/get.ts";
import { type Context, checkObjects, type Method, method, resolveId } from "../core/method.ts";
import { ID, isObject, list, mapOf, OBJECT, optional, required, TEXT, UNSIGNED, withDefault } from "../core/types.ts";
import { bytesOfBase64, textOfBase64 } from "./base64.ts";
import { BLOB_BYTES_MAX, DATA_SOURCES_MAX, GIVEN_BYTES_MAX } from "./limits.ts";
import { openBlob } from "./open.ts";

type Given = Readonly<Record<string, unknown>>;

/** RFC 9404 §4.1. */
export const blobUpload: Method = method(
  "Blob/upload",
  BLOB,
  { accountId: required(ID), create: required(mapOf(OBJECT)) },
  async ({ accountId, create }, context) => {
    checkObjects(create.size);
    const created = new Map<string, Given>();
    const notCreated = new Map<string, SetError>();
    for (const [creationId, given] of create) {
      try {
        const bytes = await bytesOf(given, context);
        const type = typeOf(given.type);
        const { id, size } = await context.session.upload(once(bytes));
        const blobId = formatBlobId(id);
        created.set(creationId, { id: blobId, type, size });
        context.createdIds.set(creationId, blobId);
      } catch (error) {
        notCreated.set(creationId, setErrorOf(error));
      }
    }
    return {
      accountId,
      created: created.size > 0 ? Object.fromEntries(created) : null,
      notCreated: notCreated.size > 0 ? Object.fromEntries(notCreated) : null,
    };
  },
);

function typeOf(type: unknown): string | null {
  if (type === undefined || type === null) return null;
  if (typeof type !== "string") throw invalidProperties("type");
  return type;
}

/** The octets of an UploadObject, source after source. Throws SetRefusal. */
async function bytesOf({ data }: Given, context: Context): Promise<Uint8Array> {
  if (!Array.isArray(data) || data.length === 0) throw invalidProperties("data");
  if (data.length > DATA_SOURCES_MAX) throw new SetRefusal({ type: "tooLarge" });
  const pieces: Uint8Array[] = [];
  let size = 0;
  for (const source of data as readonly unknown[]) {
    const piece = await sourceBytes(source, BLOB_BYTES_MAX - size, context);
    pieces.push(piece);
    size += piece.length;
    if (size > BLOB_BYTES_MAX) throw new SetRefusal({ type: "tooLarge" });
  }
  return joined(pieces, size);
}

/** A DataSourceObject: RFC 9404 §4.1. */
async function sourceBytes(source: unknown, room: number, context: Context): Promise<Uint8Array> {
  if (!isObject(source)) throw invalidProperties("data");
  const { "data:asText": text = null, "data:asBase64": base64 = null, blobId = null } = source;
  if ([text, base64, blobId].filter((one) => one !== null).length !== 1) throw invalidProperties("data");
  if (typeof text === "string") return new TextEncoder().encode(text);
  if (typeof base64 === "string") {
    const bytes = bytesOfBase64(base64);
    if (!bytes) throw invalidProperties("data");
    return bytes;
  }
  if (typeof blobId !== "string") throw invalidProperties("data");
  const blob = await openBlob(resolveId(blobId, context), context.session, context);
  if (!blob) throw new SetRefusal({ type: "blobNotFound", notFound: [blobId] });
  const offset = UNSIGNED.read(source.offset ?? 0);
  const length = UNSIGNED.read(source.length ?? Math.max(0, blob.size - (offset ?? 0)));
  if (offset === undefined || length === undefined || offset + length > blob.size) throw invalidProperties("data");
  if (length > room) throw new SetRefusal({ type: "tooLarge" });
  return read(blob, offset, offset + length, context.pace);
}

export const GET_PROPERTIES = ["data", "data:asText", "data:asBase64", "size"] as const;
export const DIGESTS: Readonly<Record<string, string>> = { "digest:sha": "SHA-1", "digest:sha-256": "SHA-256" };

/** RFC 9404 §4.2. */
export const blobGet: Method = method(
  "Blob/get",
  BLOB,
  {
    accountId: required(ID),
    ids: required(list(ID)),
    properties: withDefault(list(TEXT), ["data", "size"]),
    offset: withDefault(UNSIGNED, 0),
    length: optional(UNSIGNED),
  },
  async ({ accountId, ids, properties, offset, length }, context) => {
    const known = [...GET_PROPERTIES, "id", ...Object.keys(DIGESTS)];
    if (properties.some((name) => !known.includes(name)))
      throw invalidArguments("properties has one that blobs don't have");
    const found = [];
    const notFound = [];
    let room = BLOB_BYTES_MAX;
    let given = GIVEN_BYTES_MAX;
    for (const id of idsOf(ids, context)) {
      const blob = await openBlob(id, context.session, context);
      if (!blob) notFound.push(id);
      else {
        const start = Math.min(offset, blob.size);
        const end = Math.min(blob.size, length === undefined ? blob.size : start + length);
        const wantsBytes = properties.some((name) => name !== "size" && name !== "id");
        room -= end - start;
        if (properties.some((name) => name.startsWith("data"))) given -= end - start;
        if (wantsBytes && (room < 0 || given < 0)) throw new MethodError("requestTooLarge");
        const isTruncated = offset > blob.size || (length !== undefined && offset + length > blob.size);
        const bytes = wantsBytes ? await read(blob, start, end, context.pace) : new Uint8Array(0);
        found.push({
          id,
          ...(await shown(bytes, blob.size, new Set(properties), context)),
          ...(isTruncated && { isTruncated }),
        });
      }
    }
    return { accountId, list: found, notFound };
  },
);

async function shown(
  bytes: Uint8Array<ArrayBuffer>,
  size: number,
  properties: ReadonlySet<string>,
  { pace }: Context,
): Promise<Given> {
  const wantsText = properties.has("data") || properties.has("data:asText");
  const text = wantsText ? textOf(bytes) : undefined;
  const wantsBase64 = properties.has("data:asBase64") || (properties.has("data") && text === undefined);
  const object: Record<string, unknown> = pick({ size }, properties as ReadonlySet<"size">);
  if (wantsText && text !== undefined) object["data:asText"] = text;
  if (properties.has("data:asText") && text === undefined) object["data:asText"] = null;
  if (wantsBase64) object["data:asBase64"] = await textOfBase64(bytes, pace);
  if (wantsText && text === undefined) object.isEncodingProblem = true;
  for (const [name, algorithm] of Object.entries(DIGESTS))
    if (properties.has(name))
      object[name] = await textOfBase64(new Uint8Array(await crypto.subtle.digest(algorithm, bytes)), pace);
  return object;
}

/** Undefined for what is no UTF-8. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Types that may refer to a blob: RFC 9404 §4.3. */
const TYPES: readonly string[] = ["Email", "Mailbox", "Thread"];

/** RFC 9404 §4.3. */
export const blobLookup: Method = method(
  "Blob/lookup",
  BLOB,
  { accountId: required(ID), typeNames: required(list(TEXT)), ids: required(list(ID)) },
  async ({ accountId, typeNames, ids }, context) => {
    if (typeNames.some((name) => !TYPES.includes(name))) throw new MethodError("unknownDataType");
    const asked = idsOf(ids, context);
    const blobs = asked.map((id) => parseBlobId(id));
    const emails = await context.session.findEmails(
      blobs.map((blob) => blob?.email ?? new Uint8Array(0)),
      context,
    );
    const { state } = context.session;
    const found = [];
    const notFound = [];
    for (const [at, id] of asked.entries()) {
      const email = emails[at];
      if (!email && !(await openBlob(id, context.session, context))) notFound.push(id);
      else {
        const matched: Readonly<Record<string, readonly string[]>> = {
          Email: email ? [formatEmailId(email.id)] : [],
          Mailbox: email ? [...new Set(email.memberships.map((row) => formatMailboxId(state.mailboxOf(row).id)))] : [],
          Thread: email ? [formatThreadId(state.threadOf(email.email))] : [],
        };
        found.push({ id, matchedIds: Object.fromEntries(typeNames.map((name) => [name, matched[name]])) });
      }
    }
    return { accountId, list: found, notFound };
  },
);

/** RFC 8620 §6.3: from one account to another. There is one. */
export const blobCopy: Method = method(
  "Blob/copy",
  CORE,
  { fromAccountId: required(ID), accountId: required(ID), blobIds: required(list(ID)) },
  async ({ fromAccountId, accountId, blobIds }) => {
    checkObjects(blobIds.length);
    if (fromAccountId === accountId) throw invalidArguments("a blob is copied to another account");
    throw new MethodError("fromAccountNotFound");
  },
);

/** With turns for others between the pieces. */
async function read(blob: Body, start: number, end: number, pace: Pace): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(end - start);
  let size = 0;
  for await (const piece of blob.read(start, end)) {
    bytes.set(piece, size);
    size += piece.length;
    if (pace.isOver()) await pace.take();
  }
  return bytes.subarray(0, size);
}

function joined(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
