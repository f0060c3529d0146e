import { type Answer, type DoorRequest, json, type Log, PACE, Problem, type Site } from "@restante/host";
import { RequestError } from "../core/errors.ts";
import { parseIJson } from "../core/i-json.ts";
import { REQUEST_BYTES_MAX, UPLOAD_BYTES_MAX } from "../core/limits.ts";
import { type MethodCall, readRequest } from "../core/request.ts";
import { type AtOnce, sessionObject } from "../session-object.ts";
import { answer, makeApi, problemOf } from "./api.ts";
import { sendBlob, upload } from "./blobs.ts";
import { openEventStream } from "./event-stream.ts";
import { SCOPE, type SignIn } from "./sign-in.ts";
import { openSocket } from "./web-socket.ts";

export interface JmapOptions {
  readonly auth: SignIn;
  /** The engine's errors as problems. */
  readonly explain: (error: unknown) => Error | undefined;
  /** Requests and uploads that the door lets one account have at once. */
  readonly atOnce: AtOnce;
  readonly log: Log;
  /** Told of each call that was answered. */
  readonly onCall?: (call: MethodCall) => void;
}

/** JMAP behind the HTTPS door: the paths of RFC 8620, RFC 8621, RFC 8887 and RFC 9404. */
export function jmapSite({ auth, explain, atOnce, log, onCall }: JmapOptions): Site {
  const tools = { api: makeApi(log, onCall), atOnce };
  const session = async (request: DoorRequest): Promise<Answer> => {
    using signedIn = await auth.signIn(request, { scope: SCOPE });
    return json(sessionObject(signedIn.session, request.origin, atOnce));
  };
  const call = async (request: DoorRequest): Promise<Answer> => {
    using signedIn = await auth.signIn(request, { scope: SCOPE });
    if (!/^application\/json\s*(?:;|$)/i.test(request.header("content-type") ?? ""))
      throw new RequestError("notJSON", "A request is application/json");
    const asked = readRequest(await parseIJson(await request.bytes(), PACE));
    const text = await answer(asked, signedIn.session, request.signal, request.origin, tools);
    return { status: 200, headers: { "content-type": "application/json" }, body: Buffer.from(text) };
  };
  return {
    explain: (error) => problemOf(error) ?? explain(error),
    routes: [
      { method: "GET", path: "/.well-known/jmap", handle: session },
      { method: "GET", path: "/jmap", handle: session },
      { method: "POST", path: "/jmap", bodyBytesMax: REQUEST_BYTES_MAX, handle: call },
      {
        method: "POST",
        path: "/jmap/upload/:account",
        bodyBytesMax: UPLOAD_BYTES_MAX,
        handle: (request) => upload(request, auth),
      },
      { method: "GET", path: "/jmap/download/:account/:blob/:name", handle: (request) => sendBlob(request, auth) },
      { method: "GET", path: "/jmap/events", handle: (request) => openEventStream(request, auth) },
    ],
    sockets: [
      {
        path: "/jmap/ws",
        protocol: "jmap",
        messageBytesMax: REQUEST_BYTES_MAX,
        open: (request) =>
          openSocket(request, {
            ...tools,
            auth,
            explain: (error) => (error instanceof Problem ? error : explain(error)),
            onFailure: (error) => log({ level: "error", event: "a message failed", error }),
          }),
      },
    ],
  };
}
