import type { Addition } from "@restante/engine";
import { parseDate } from "@restante/mime";
import type { SetError } from "../core/errors.ts";
import { isObject } from "../core/types.ts";
import { type Blobs, isMessage, readHeader } from "./blobs.ts";
import { Mistakes } from "./new-fields.ts";
import { type NewPlace, type PlaceTools, readPlace } from "./new-place.ts";
import { prepareEmail, type StoringSession } from "./store.ts";

/** An EmailImport: RFC 8621 §4.8. */
export interface EmailImport {
  readonly blobId: string;
  readonly place: NewPlace;
}

const PROPERTIES: ReadonlySet<string> = new Set(["blobId", "mailboxIds", "keywords", "receivedAt"]);

/** Reads an EmailImport; an error names every property that is wrong. */
export function readEmailImport(given: unknown, tools: PlaceTools): EmailImport | SetError {
  if (!isObject(given)) return { type: "invalidProperties", properties: [] };
  const mistakes = new Mistakes();
  for (const key of Object.keys(given)) if (!PROPERTIES.has(key)) mistakes.add(key);
  const { blobId } = given;
  if (typeof blobId !== "string") mistakes.add("blobId");
  const place = readPlace(given, tools, mistakes);
  if ("type" in place) return place;
  if (typeof blobId !== "string" || mistakes.paths.length > 0)
    return { type: "invalidProperties", properties: mistakes.paths };
  return { blobId, place };
}

/** Seals and stores a blob as a message, octet by octet, for `AccountSession.addMany` (RFC 8621 §4.8). Resolves with
 * `invalidProperties` if there is no such blob, with `invalidEmail` if it is no message. Errors: `unavailable`, `corrupt`,
 * `over-quota`. */
export async function prepareImport(
  session: StoringSession,
  blobs: Blobs,
  { blobId, place }: EmailImport,
): Promise<Addition | SetError> {
  const blob = await blobs.open(blobId);
  if (!blob) return { type: "invalidProperties", properties: ["blobId"] };
  const header = await readHeader(blob);
  if (!isMessage(header)) return { type: "invalidEmail" };
  // The first is the most recent: RFC 5321 §4.4.
  const [received] = header.values("received");
  return prepareEmail(
    session,
    blob.read(0, blob.size),
    place,
    received === undefined ? undefined : receivedAt(received),
  );
}

/** The time that a Received field ends with; undefined if it is none that a date may have. */
function receivedAt(field: string): number | undefined {
  const timeMs = parseDate(field.slice(field.lastIndexOf(";") + 1))?.timeMs;
  return timeMs !== undefined && timeMs >= 0 && timeMs < TIME_MS_MAX ? timeMs : undefined;
}

const TIME_MS_MAX = Date.UTC(9999, 11, 31);
