import { formatBlobId } from "@restante/engine";
import { type Answer, type DoorRequest, download, json, PACE, Problem } from "@restante/host";
import { openBlob } from "../blob/open.ts";
import { accountIdOf } from "../session-object.ts";
import { SCOPE, type SignIn } from "./sign-in.ts";

const TYPE = /^[\w!#$&^.+-]{1,64}\/[\w!#$&^.+-]{1,64}(?:\s*;.{0,200})?$/;

/** An upload, stored as it comes: RFC 8620 §6.1. */
export async function upload(request: DoorRequest, auth: SignIn): Promise<Answer> {
  using signedIn = await auth.signIn(request, { scope: SCOPE, turn: "upload" });
  const { session } = signedIn;
  const accountId = accountIdOf(session);
  if (request.params.account !== accountId) throw new Problem(404, "There is no such account");
  const { id, size } = await session.upload(request.body());
  const given = request.header("content-type") ?? "";
  const type = TYPE.test(given) ? given : "application/octet-stream";
  // 200, since go-jmap takes nothing else.
  return json({ accountId, blobId: formatBlobId(id), type, size });
}

/** A download, opened as it goes: RFC 8620 §6.2. */
export async function sendBlob(request: DoorRequest, auth: SignIn): Promise<Answer> {
  using signedIn = await auth.signIn(request, { scope: SCOPE });
  const { session } = signedIn;
  const { account, blob, name } = request.params;
  const found =
    account === accountIdOf(session)
      ? await openBlob(blob!, session, { pace: PACE, signal: request.signal })
      : undefined;
  if (!found) throw new Problem(404, "There is no such blob");
  const { size, read } = found;
  const type = request.query.get("type") ?? "application/octet-stream";
  return download({ type, name: name!, size, read, range: request.header("range") });
}
