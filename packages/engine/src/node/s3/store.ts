import { setImmediate } from "node:timers/promises";
import { checkName } from "../../storage/names.ts";
import {
  type ByteRange,
  type Got,
  type Listed,
  type ListOptions,
  type ObjectStore,
  type Put,
  type PutIfAbsent,
  type Ring,
  StoreError,
  type StoreOptions,
  type WatchOptions,
} from "../../storage/object-store.ts";
import { surelyNotDone } from "../../storage/surely-not-done.ts";
import { chain } from "../../streams.ts";
import type { Hints } from "../hints.ts";
import { type Answer, Connection, Refused } from "./connection.ts";
import { PartlyFailed } from "./failures.ts";
import { poll } from "./poll.ts";
import { readBody } from "./read-body.ts";
import { checkSettings, NAMES_AT_ONCE, PART_BYTES, S3_LIMITS, type S3Limits, type S3Settings } from "./settings.ts";
import { partsOf, sweepUploads, uploadParts } from "./upload.ts";

/** The opening of an S3 bucket. Nothing is asked of the store yet. `hints` tell at once what other processes of this host
 * wrote. Throws StoreError `invalid`. */
export async function openS3Store(settings: S3Settings, limits: S3Limits = S3_LIMITS, hints?: Hints): Promise<S3Store> {
  checkSettings(settings);
  return new S3Store(settings, await Connection.open(settings, limits), hints);
}

/**
 * Objects in a bucket of any S3. A store's answers are hostile: its lists are checked for order, its ranges for their place;
 * the rest is opened by crypto.
 *
 * A store's date may lag behind what it dates (versitygw makes its `Date` once a second): no answer's date is earlier than
 * that of the object it shows.
 *
 * Assumes: a PUT with `If-None-Match: *` is atomic, which `storage/creates.ts` finds out. Nothing remembers the names of
 * deleted log entries here (the embedded store's floors): the bay's proof of the head does without.
 */
export class S3Store implements ObjectStore {
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #connection: Connection;
  readonly #hints: Hints | undefined;
  readonly #stopHearing: (() => void) | undefined;
  readonly #watchers = new Set<{ readonly prefix: string; readonly ring: Ring; readonly end: () => void }>();
  readonly #puts = new Set<Promise<unknown>>();
  #closed = false;

  constructor(settings: S3Settings, connection: Connection, hints: Hints | undefined) {
    this.#bucket = settings.bucket;
    this.#prefix = settings.prefix;
    this.#connection = connection;
    this.#hints = hints;
    this.#stopHearing = hints?.listen((prefix) => {
      for (const watcher of this.#watchers) if (watcher.prefix === prefix) watcher.ring();
    });
  }

  async put(name: string, content: Uint8Array | AsyncIterable<Uint8Array>, options: StoreOptions = {}): Promise<Put> {
    checkName(name);
    if (this.#closed) throw new StoreError("closed", "store is closed");
    await this.#putAlong(options);
    const put: Promise<Put> =
      content instanceof Uint8Array ? this.#putBytes(name, content, options) : this.#putStream(name, content, options);
    this.#puts.add(put);
    try {
      const { now } = await put;
      this.#ring(name);
      return { now };
    } finally {
      this.#puts.delete(put);
    }
  }

  async putIfAbsent(name: string, content: Uint8Array, options: StoreOptions = {}): Promise<PutIfAbsent> {
    checkName(name);
    await this.#putAlong(options);
    try {
      const { now } = await this.#connection.request(
        { ...options, kind: "write", bytes: content.length, answers: [412, 501] },
        (s3, http) => s3.putObject({ ...this.#target(name), Body: content, IfNoneMatch: "*" }, http),
      );
      this.#ring(name);
      return { outcome: "stored", now };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.status === 501)
        throw new StoreError("invalid", "the store knows no create-if-absent", { cause: error });
      // After a lost answer the first writer may be this process. No two sealings give equal bytes, so equal bytes are ours.
      const isOurs = error.doubtful && (await this.#holds(name, content, options));
      return { outcome: isOurs ? "stored" : "exists", now: error.now };
    }
  }

  async get(name: string, range?: ByteRange, options: StoreOptions = {}): Promise<Got> {
    checkName(name);
    if (range && !(range.start >= 0 && range.start <= range.end)) throw new StoreError("invalid", "invalid range");
    if (range && range.start === range.end) return this.#head(name, options);
    // `Infinity` as an end means what is left.
    const last = range && Number.isSafeInteger(range.end) ? String(range.end - 1) : "";
    const Range = range ? { Range: `bytes=${range.start}-${last}` } : {};
    try {
      const { value, now } = await this.#connection.request(
        { ...options, kind: "read", answers: [404, 416] },
        async (s3, http, came) => readBody(await s3.getObject({ ...this.#target(name), ...Range }, http), range, came),
      );
      return { found: true, ...value, now: Math.max(now, value.created) };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      // A range that begins behind the end.
      if (error.status === 416) return this.#head(name, options);
      return { found: false, now: error.now };
    }
  }

  async list(prefix: string, options: ListOptions = {}): Promise<Listed> {
    const { after = "", limit = Number.POSITIVE_INFINITY, ...rest } = options;
    return this.#list("read", prefix, after, limit, rest);
  }

  async delete(names: readonly string[], options: StoreOptions = {}): Promise<{ readonly now: number }> {
    for (const name of names) checkName(name);
    let now = 0;
    for (let at = 0; at < names.length; at += NAMES_AT_ONCE) {
      const Objects = names.slice(at, at + NAMES_AT_ONCE).map((name) => ({ Key: this.#prefix + name }));
      const deleted = await this.#connection.request({ ...options, kind: "write" }, async (s3, http) => {
        const { Errors = [] } = await s3.deleteObjects(
          { Bucket: this.#bucket, Delete: { Objects, Quiet: true } },
          http,
        );
        const failed = Errors.find(({ Code }) => Code !== "NoSuchKey");
        if (failed) throw new PartlyFailed(failed.Code ?? "", failed.Message ?? "");
      });
      now = deleted.now;
    }
    return { now };
  }

  watch(prefix: string, ring: Ring, options?: WatchOptions): () => void {
    const end = poll(
      (after, limit, signal) => this.#list("poll", prefix, after, limit, { signal }),
      ring,
      this.#connection.limits,
      options,
    );
    const watcher = { prefix, ring, end };
    this.#watchers.add(watcher);
    return () => {
      end();
      this.#watchers.delete(watcher);
    };
  }

  /** Frees what killed processes left in the bucket of uploads. Needs a key that may list. */
  sweepUploads(): Promise<number> {
    return sweepUploads(this.#connection, this.#bucket, this.#prefix);
  }

  async dispose(): Promise<void> {
    for (const { end } of this.#watchers) end();
    this.#watchers.clear();
    this.#stopHearing?.();
    this.#closed = true;
    // A stream is several requests: its end, or its abort, is still to come.
    await Promise.allSettled(this.#puts);
    await this.#connection.dispose();
  }

  #target(name: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#bucket, Key: this.#prefix + name };
  }

  /** S3 takes one object at a time: what goes along is there before what names it. */
  async #putAlong({ along = [], ...options }: StoreOptions): Promise<void> {
    await surelyNotDone(Promise.all(along.map(({ name, content }) => this.put(name, content, options))));
  }

  #putBytes(name: string, content: Uint8Array, options: StoreOptions): Promise<Answer<unknown>> {
    return this.#connection.request({ ...options, kind: "write", bytes: content.length }, (s3, http) =>
      s3.putObject({ ...this.#target(name), Body: content }, http),
    );
  }

  /** Content that fits into one part is one PUT; other content goes in parts. */
  async #putStream(name: string, content: AsyncIterable<Uint8Array>, options: StoreOptions): Promise<Put> {
    const parts = partsOf(content);
    try {
      const first = (await parts.next()).value as Uint8Array;
      if (first.length === PART_BYTES)
        return await uploadParts(this.#connection, this.#target(name), chain([first], parts), options);
      // The source has ended well, and may still say that it has not.
      await parts.next();
      return await this.#putBytes(name, first, options);
    } finally {
      // Whatever failed, the source is told that nobody reads on.
      await parts.return(undefined);
    }
  }

  async #holds(name: string, content: Uint8Array, options: StoreOptions): Promise<boolean> {
    try {
      const got = await this.get(name, undefined, options);
      return got.found && Buffer.compare(got.bytes, content) === 0;
    } catch (cause) {
      throw new StoreError("unknown", "whose object it is can't be read", { cause });
    }
  }

  /** An object's size and date, with none of its bytes. */
  async #head(name: string, options: StoreOptions): Promise<Got> {
    try {
      const { value, now } = await this.#connection.request({ ...options, kind: "read", answers: [404] }, (s3, http) =>
        s3.headObject(this.#target(name), http),
      );
      const created = value.LastModified?.getTime() ?? 0;
      const size = value.ContentLength ?? 0;
      return { found: true, bytes: new Uint8Array(0), size, created, now: Math.max(now, created) };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return { found: false, now: error.now };
    }
  }

  async #list(
    kind: "read" | "poll",
    prefix: string,
    after: string,
    limit: number,
    options: StoreOptions,
  ): Promise<Listed> {
    const objects: Listed["objects"][number][] = [];
    let from = after > prefix ? this.#prefix + after : "";
    for (;;) {
      const { value, now } = await this.#connection.request({ ...options, kind }, (s3, http) =>
        s3.listObjectsV2(
          {
            Bucket: this.#bucket,
            Prefix: this.#prefix + prefix,
            MaxKeys: Math.min(NAMES_AT_ONCE, limit - objects.length),
            ...(from === "" ? {} : { StartAfter: from }),
          },
          http,
        ),
      );
      for (const { Key = "", Size = 0, LastModified } of value.Contents ?? []) {
        if (Key <= from || !Key.startsWith(this.#prefix + prefix))
          throw new StoreError("unavailable", "the store's list is out of order");
        from = Key;
        const name = Key.slice(this.#prefix.length);
        // An object of another program (a console's "folder") is not ours.
        if (isName(name) && objects.length < limit)
          objects.push({ name, size: Size, created: LastModified?.getTime() ?? 0 });
      }
      if (!value.IsTruncated || objects.length >= limit || !value.Contents?.length) return { objects, now };
      // A list of a million names lets others have their turn.
      await setImmediate();
    }
  }

  #ring(name: string): void {
    for (const { prefix, ring } of this.#watchers) if (name.startsWith(prefix)) queueMicrotask(() => ring(name));
    this.#hints?.tell(name);
  }
}

function isName(name: string): boolean {
  try {
    checkName(name);
    return true;
  } catch (error) {
    if (error instanceof StoreError) return false;
    throw error;
  }
}
