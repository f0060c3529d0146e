import type { EventStream } from "./event-stream.ts";
import { Problem } from "./problem.ts";
import type { Answer } from "./site.ts";

/** A value as JSON. */
export function json(value: unknown, status = 200): Answer {
  return { status, headers: { "content-type": "application/json" }, body: Buffer.from(JSON.stringify(value)) };
}

/** A page that says a few words; `html` is ours, never a mail's. */
export function page(html: string): Answer {
  return {
    status: 200,
    headers: { "content-type": "text/html; charset=utf-8", "content-security-policy": "default-src 'none'" },
    body: Buffer.from(html),
  };
}

export interface Download {
  /** A media type; what is none is sent as octets. */
  readonly type: string;
  /** The file's name for the browser: from a client or a mail. */
  readonly name: string;
  /** Octets. */
  readonly size: number;
  /** Octets `start` up to, not including, `end`. */
  readonly read: (start: number, end: number) => Uint8Array | AsyncIterable<Uint8Array>;
  /** The request's Range header. */
  readonly range?: string | undefined;
}

/** Bytes of a mail, which no browser may take for a page of ours: they are saved, run nothing, and are what they say. They
 * never change, so that the owner's browser alone may keep them. */
export function download({ type, name, size, read, range }: Download): Answer {
  const { start, end } = spanOf(range, size) ?? { start: 0, end: size };
  const isPart = end - start < size;
  return {
    status: isPart ? 206 : 200,
    headers: {
      "content-type": MEDIA_TYPE.test(type) ? type : "application/octet-stream",
      "content-length": String(end - start),
      "accept-ranges": "bytes",
      ...(isPart && { "content-range": `bytes ${start}-${end - 1}/${size}` }),
      "content-disposition": `attachment; filename*=UTF-8''${extendedValue(name)}`,
      "content-security-policy": "sandbox",
      "cache-control": "private, immutable, max-age=31536000",
    },
    body: read(start, end),
  };
}

/** The one range that is asked for: RFC 9110 §14.1.2. Of several none is given: the whole will do. Throws Problem 416. */
function spanOf(range: string | undefined, size: number): { readonly start: number; readonly end: number } | undefined {
  const [, first = "", last = ""] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(range ?? "") ?? [];
  if (first === "" && last === "") return undefined;
  const start = first === "" ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === "" || last === "" ? size : Math.min(size, Number(last) + 1);
  if (start < end) return { start, end };
  throw new Problem(416, "There is nothing in this range", { headers: { "content-range": `bytes */${size}` } });
}

/** `type/subtype` and parameters of plain tokens: RFC 9110 §8.3.1. */
const MEDIA_TYPE = /^[\w!#$&^.+-]{1,64}\/[\w!#$&^.+-]{1,64}(?:; ?[\w!#$&^.+-]{1,64}=[\w!#$&^.+-]{1,64}){0,4}$/;

/** RFC 8187 §3.2.1, of a name without folders and control characters. */
function extendedValue(name: string): string {
  const plain = name.toWellFormed().replaceAll(/[\p{Cc}\p{Bidi_C}/\\]/gu, "_");
  return encodeURIComponent(plain).replaceAll(/['()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** An event stream: HTML §9.2. `run` gets it when its head is on the way. */
export function events(run: (stream: EventStream) => void): Answer {
  return {
    status: 200,
    headers: {
      "content-type": "text/event-stream",
      // Proxies pass each event on as it comes.
      "x-accel-buffering": "no",
    },
    body: run,
  };
}
