import { type Answer, type DoorRequest, type EventStream, events, Problem } from "@restante/host";
import { StateListener, statesOf } from "../push/state-change.ts";
import { accountIdOf, isBounded } from "../session-object.ts";
import { SCOPE, type SignIn } from "./sign-in.ts";

/** Seconds between two pings: RFC 8620 §7.3 lets a server bound what is asked for, but within these. */
const PING_SECONDS_MIN = 5;
const PING_SECONDS_MAX = 3600;

interface Wanted {
  /** Null for all. */
  readonly types: readonly string[] | null;
  readonly closesAfterState: boolean;
  /** None where it is 0. */
  readonly pingSeconds: number;
}

/** An event stream of state changes: RFC 8620 §7.3. It holds no keys: when the account is locked it tells that something is
 * new, by names alone. */
export async function openEventStream(request: DoorRequest, auth: SignIn): Promise<Answer> {
  const wanted = readWanted(request.query);
  using signedIn = await auth.signIn(request, { scope: SCOPE, opens: "event-stream" });
  const { session } = signedIn;
  let open: EventStream | undefined;
  /** Events from before the stream was open. */
  const early: Parameters<EventStream["send"]>[0][] = [];
  const send = (data: unknown, event: string, id?: string): void => {
    const one = { event, data: JSON.stringify(data), ...(id !== undefined && { id }) };
    if (open) open.send(one);
    else early.push(one);
  };
  const since = request.header("last-event-id") ?? request.query.get("lastEventId") ?? undefined;
  const listener = new StateListener(
    { accountId: accountIdOf(session), hasQuota: isBounded(session) },
    wanted.types,
    statesOf(session.state),
    since,
    (change, id) => {
      send(change, "state", id);
      if (wanted.closesAfterState) open?.end();
    },
  );
  signedIn.attend({ changed: (news) => listener.hear(news), ended: () => open?.end() });
  return events((stream) => {
    open = stream;
    // No `retry` is said: clients have a time of their own, and meli 0.9 opens the stream anew at each one that it reads.
    for (const one of early) stream.send(one);
    if (early.length > 0 && wanted.closesAfterState) stream.end();
    if (wanted.pingSeconds > 0) ping(stream, wanted.pingSeconds, () => send({ interval: wanted.pingSeconds }, "ping"));
  });
}

function ping(stream: EventStream, seconds: number, send: () => void): void {
  const timer = setInterval(send, seconds * 1000).unref();
  stream.onEnd(() => clearInterval(timer));
}

/** Throws Problem 400. */
function readWanted(query: URLSearchParams): Wanted {
  const types = query.get("types") ?? "*";
  const after = query.get("closeafter") ?? "no";
  const seconds = query.get("ping") ?? "0";
  if (after !== "no" && after !== "state") throw new Problem(400, "closeafter is state or no");
  if (!/^\d{1,9}$/.test(seconds)) throw new Problem(400, "ping is a number of seconds");
  const asked = Number(seconds);
  return {
    types: types === "*" ? null : types.split(","),
    closesAfterState: after === "state",
    pingSeconds: asked === 0 ? 0 : Math.min(PING_SECONDS_MAX, Math.max(PING_SECONDS_MIN, asked)),
  };
}
