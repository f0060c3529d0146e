import type { AccountSession } from "@restante/engine";
import { type Log, PACE, Problem } from "@restante/host";
import { RequestError } from "../core/errors.ts";
import { type Api, answerRequest, type Request } from "../core/request.ts";
import { METHODS, methodsByName } from "../methods.ts";
import { type AtOnce, accountIdOf, CAPABILITIES, sessionObject } from "../session-object.ts";

export interface AnswerTools {
  readonly api: Api;
  readonly atOnce: AtOnce;
}

export function makeApi(log: Log, onCall: Api["onCall"]): Api {
  return {
    methods: methodsByName(METHODS),
    capabilities: CAPABILITIES,
    onFailure: (method, error) => log({ level: "error", event: "method failed", method, error }),
    onCall,
  };
}

/** Resolves with the Response object as JSON. Throws RequestError. */
export function answer(
  request: Request,
  session: AccountSession,
  signal: AbortSignal,
  origin: string,
  { api, atOnce }: AnswerTools,
): Promise<string> {
  const { state } = sessionObject(session, origin, atOnce);
  return answerRequest(request, api, {
    session,
    accountId: accountIdOf(session),
    pace: PACE,
    signal,
    now: Date.now,
    random: (octets) => crypto.getRandomValues(new Uint8Array(octets)),
    sessionState: state as string,
  });
}

/** RFC 8620 §3.6.1. */
export function problemOf(error: unknown): Problem | undefined {
  if (!(error instanceof RequestError)) return undefined;
  const { type, limit, message } = error;
  return new Problem(400, message, { jmap: type, ...(limit !== undefined && { limit }) });
}
