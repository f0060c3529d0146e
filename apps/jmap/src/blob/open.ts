import { type AccountSession, type Body, type Pace, parseBlobId } from "@restante/engine";
import { createTransferDecoder, type StructuredPart } from "@restante/mime";
import type { Blobs } from "../email/blobs.ts";
import { partsOfSummary } from "../email/get.ts";
import { scanned } from "../email/parse.ts";
import { nodesOf, type PartNode } from "../email/parts.ts";

/** What of a session blobs are read by. */
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
  const part = findPart(nodesOf(await rootOf(id.email, whole, session, tools)), id.path);
  return part && partBody(part, whole);
}

/** The structure of an email as it is kept beside it; an upload is looked through. */
async function rootOf(id: Uint8Array, whole: Body, session: BlobSession, tools: BlobTools): Promise<StructuredPart> {
  const [email] = await session.findEmails([id], tools);
  if (!email) return (await scanned(whole, tools)).root;
  const [summary] = await session.readFullSummaries([email.message]);
  return partsOfSummary(summary!);
}

/** Of a multipart no blob is made: RFC 8621 §4.1.4. */
function findPart(root: PartNode, path: string): StructuredPart | undefined {
  if (root.path !== null) return root.path === path ? root.part : undefined;
  let node: PartNode | undefined = root;
  for (const number of path.split(".")) node = node?.subParts[Number(number) - 1];
  return node?.path === path ? node.part : undefined;
}

/** A part's octets, decoded from its beginning, whatever is asked for. */
function partBody({ bodyStart, bodyEnd, octets, encoding }: StructuredPart, whole: Body): Body {
  return {
    size: octets,
    async *read(start, end) {
      const decoder = createTransferDecoder(encoding);
      let at = 0;
      const within = (bytes: Uint8Array): Uint8Array => {
        const cut = bytes.subarray(Math.max(0, start - at), Math.max(0, Math.min(end, octets) - at));
        at += bytes.length;
        return cut;
      };
      for await (const piece of whole.read(bodyStart, bodyEnd)) {
        const cut = within(decoder.push(piece));
        if (cut.length > 0) yield cut;
        if (at >= end) return;
      }
      const last = within(decoder.end());
      if (last.length > 0) yield last;
    },
  };
}
