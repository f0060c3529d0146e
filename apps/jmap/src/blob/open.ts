import { type AccountSession, type Body, type Pace, parseBlobId, partBody, partsOfSummary } from "@restante/engine";
import { findNode, nodesOf, type StructuredPart } from "@restante/mime";
import type { Blobs } from "../email/blobs.ts";
import { scanned } from "../email/parse.ts";

/** The part of a session that blobs are read by. */
export type BlobSession = Pick<AccountSession, "findEmails" | "readFullSummaries" | "openBlob">;

export interface BlobTools {
  readonly pace: Pace;
  readonly signal: AbortSignal;
}

/** The blobs of one account: RFC 8620 §6. */
export function blobsOf(session: BlobSession, tools: BlobTools): Blobs {
  return { open: (blobId) => openBlob(blobId, session, tools) };
}

/**
 * The octets of a blob: an email, an upload, or a part of either with its transfer encoding undone as it is read. Undefined if
 * there is none of this id. Errors: `unavailable`, `corrupt`.
 */
export async function openBlob(blobId: string, session: BlobSession, tools: BlobTools): Promise<Body | undefined> {
  const id = parseBlobId(blobId);
  const whole = id && (await session.openBlob(id.email));
  if (!whole || id.path === undefined) return whole;
  const part = findNode(nodesOf(await rootOf(id.email, whole, session, tools)), id.path);
  return part && partBody(part, whole);
}

/** The structure of an email as it is kept beside it; an upload is looked through. */
async function rootOf(id: Uint8Array, whole: Body, session: BlobSession, tools: BlobTools): Promise<StructuredPart> {
  const [email] = await session.findEmails([id], tools);
  if (!email) return (await scanned(whole, tools)).root;
  const [summary] = await session.readFullSummaries([email.message]);
  return partsOfSummary(summary!);
}
