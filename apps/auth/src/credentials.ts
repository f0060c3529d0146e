import type { RequestCredential } from "@restante/engine";
import { type DoorRequest, PROTOCOL_MARK, Problem } from "@restante/host";

/** Both ways to sign in. There is no metadata of OAuth (RFC 8414, RFC 9728) until there is an authorization endpoint. */
const CHALLENGES = ['Bearer realm="restante"', 'Basic realm="restante", charset="UTF-8"'];

/** 401 with both challenges: RFC 9110 §15.5.2. `error` is RFC 6750 §3.1's. */
export function unauthorized(detail: string, error?: "invalid_token"): Problem {
  const [bearer, basic] = CHALLENGES as [string, string];
  const challenges = [error === undefined ? bearer : `${bearer}, error="${error}"`, basic];
  return new Problem(401, detail, { headers: { "www-authenticate": challenges } });
}

/** 403 for a token whose scope lacks a word: RFC 6750 §3.1. */
export function insufficientScope(scope: string): Problem {
  const challenge = `Bearer realm="restante", error="insufficient_scope", scope="${scope}"`;
  return new Problem(403, `The token is not good for ${scope}`, { headers: { "www-authenticate": challenge } });
}

/** The credential in the request's Authorization header: RFC 6750 §2.1, RFC 7617. Undefined without that header. Throws
 * Problem 401. */
export function headerCredential(request: DoorRequest): RequestCredential | undefined {
  const header = request.header("authorization");
  if (header === undefined) return undefined;
  const [, scheme = "", value = ""] = /^([A-Za-z]+) +([A-Za-z0-9._~+/=-]+) *$/.exec(header) ?? [];
  switch (scheme.toLowerCase()) {
    case "bearer":
      return { kind: "token", token: value };
    case "basic":
      return basicCredential(value);
    default:
      throw unauthorized("Sign in by Basic or Bearer");
  }
}

/** RFC 7617 §2, in UTF-8, which we ask for; what is none is of a client that knows ISO-8859-1 alone. Programs of Windows write a
 * domain before the name. */
function basicCredential(base64: string): RequestCredential {
  const bytes = Buffer.from(base64, "base64");
  const text = decodeUtf8(bytes) ?? bytes.toString("latin1");
  const colon = text.indexOf(":");
  if (colon < 0) throw unauthorized("The credentials can't be read");
  const name = text.slice(0, colon);
  return { kind: "password", name: name.slice(name.indexOf("\\") + 1), password: text.slice(colon + 1) };
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** The token among the WebSocket's subprotocols; undefined where there is none. */
export function protocolCredential(request: DoorRequest): RequestCredential | undefined {
  const offered = (request.header("sec-websocket-protocol") ?? "").split(",").map((item) => item.trim());
  const found = offered.find((item) => item.startsWith(PROTOCOL_MARK));
  return found === undefined ? undefined : { kind: "token", token: found.slice(PROTOCOL_MARK.length) };
}
