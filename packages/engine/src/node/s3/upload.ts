import { type Put, StoreError, type StoreOptions } from "../../storage/object-store.ts";
import { surelyNotDone } from "../../storage/surely-not-done.ts";
import { joined } from "../../streams.ts";
import { type Connection, Refused } from "./connection.ts";
import { PART_BYTES, PARTS_AT_ONCE } from "./settings.ts";

/** By the store's dates: an upload is given up by everybody after so long. */
const ABANDONED_MS: number = 24 * 60 * 60_000;

/** The pieces of a stream, each copied, joined to parts of {@link PART_BYTES}; the last is what is left, maybe nothing. */
export async function* partsOf(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = [];
  let size = 0;
  for await (const piece of content)
    for (let at = 0; at < piece.length; ) {
      const taken = piece.slice(at, at + PART_BYTES - size);
      held.push(taken);
      size += taken.length;
      at += taken.length;
      if (size < PART_BYTES) continue;
      yield joined(held, size);
      held = [];
      size = 0;
    }
  yield joined(held, size);
}

interface Target {
  readonly Bucket: string;
  readonly Key: string;
}

/**
 * Sends a stream in parts. Whatever fails, the source or the store, the upload is aborted, so that nothing is stored
 * and no parts are left lying there.
 */
export async function uploadParts(
  connection: Connection,
  target: Target,
  parts: AsyncIterable<Uint8Array>,
  options: StoreOptions,
): Promise<Put> {
  const write = { ...options, kind: "write" } as const;
  // Until the end is asked for nothing is stored, whatever was answered.
  const begun = await surelyNotDone(connection.request(write, (s3, http) => s3.createMultipartUpload(target, http)));
  const upload = { ...target, UploadId: begun.value.UploadId };
  try {
    const { tags, size } = await sendParts(connection, upload, parts, options);
    const Parts = tags.map((ETag, at) => ({ ETag, PartNumber: at + 1 }));
    const completed = await connection
      .request({ ...write, answers: [404] }, (s3, http) =>
        s3.completeMultipartUpload({ ...upload, MultipartUpload: { Parts } }, http),
      )
      // Asked again after a lost answer, the store knows the upload no more: it was done if the object is there.
      .catch((error: unknown) => findCompleted(connection, target, { size, since: begun.now, options, error }));
    return { now: completed.now };
  } catch (error) {
    await connection
      .request({ kind: "write", answers: [404] }, (s3, http) => s3.abortMultipartUpload(upload, http))
      // A store that can't be reached keeps the parts; `sweepUploads` aborts them a day later.
      .catch(() => undefined);
    throw error;
  }
}

async function sendParts(
  connection: Connection,
  upload: Target & { readonly UploadId: string | undefined },
  parts: AsyncIterable<Uint8Array>,
  options: StoreOptions,
): Promise<{ readonly tags: readonly (string | undefined)[]; readonly size: number }> {
  const tags: (string | undefined)[] = [];
  const underWay: Promise<void>[] = [];
  let size = 0;
  let number = 0;
  try {
    for await (const part of parts) {
      if (part.length === 0 && number > 0) break;
      const PartNumber = ++number;
      size += part.length;
      while (underWay.length >= PARTS_AT_ONCE) await surelyNotDone(underWay.shift()!);
      const sent = connection
        .request({ ...options, kind: "write", bytes: part.length }, (s3, http) =>
          s3.uploadPart({ ...upload, PartNumber, Body: part }, http),
        )
        .then(({ value }) => {
          tags[PartNumber - 1] = value.ETag;
        });
      // The part's failure is looked at when its turn comes.
      sent.catch(() => undefined);
      underWay.push(sent);
    }
    await surelyNotDone(Promise.all(underWay));
    return { tags, size };
  } finally {
    // The abort comes after them: a part that lands later would stay.
    await Promise.allSettled(underWay);
  }
}

interface Sought {
  readonly size: number;
  readonly since: number;
  readonly options: StoreOptions;
  readonly error: unknown;
}

async function findCompleted(
  connection: Connection,
  target: Target,
  { size, since, options, error }: Sought,
): Promise<{ readonly now: number }> {
  if (error instanceof Refused && !error.doubtful)
    throw new StoreError("unavailable", "the store lost the upload", { cause: error });
  const isOpen = error instanceof Refused || (error instanceof StoreError && error.code === "unknown");
  if (!isOpen) throw error;
  const unknown = (cause: unknown): StoreError =>
    new StoreError("unknown", "the upload's end was not answered", { cause });
  const head = await connection
    .request({ ...options, kind: "read", answers: [404] }, (s3, http) => s3.headObject(target, http))
    .catch((cause: unknown) => {
      throw unknown(cause);
    });
  const isOurs = head.value.ContentLength === size && (head.value.LastModified?.getTime() ?? 0) >= since;
  if (!isOurs) throw unknown(error);
  return { now: head.now };
}

/**
 * Aborts uploads that were begun so long ago that nobody goes on with them, as processes that were killed leave them.
 * Resolves with their number.
 */
export async function sweepUploads(connection: Connection, bucket: string, prefix: string): Promise<number> {
  const listed = await connection.request({ kind: "read", priority: "bulk" }, (s3, http) =>
    s3.listMultipartUploads({ Bucket: bucket, Prefix: prefix }, http),
  );
  const old = (listed.value.Uploads ?? []).filter(
    ({ Initiated }) => Initiated !== undefined && listed.now - Initiated.getTime() > ABANDONED_MS,
  );
  for (const { Key, UploadId } of old)
    await connection
      .request({ kind: "write", priority: "bulk", answers: [404] }, (s3, http) =>
        s3.abortMultipartUpload({ Bucket: bucket, Key, UploadId }, http),
      )
      .catch((error: unknown) => {
        // Another process was first.
        if (!(error instanceof Refused)) throw error;
      });
  return old.length;
}
