import { type AccountSession, type Body, parseBlobId } from "@restante/engine";

/** The octets of a blob; undefined if there is none of this id. Errors: `unavailable`, `corrupt`. */
export async function openBlob(blobId: string, session: AccountSession): Promise<Body | undefined> {
  const id = parseBlobId(blobId);
  if (!id || id.path !== undefined) return undefined;
  return session.openBlob(id.email);
}
