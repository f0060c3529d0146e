import type { AccountSession, Pace } from "@restante/engine";
import type { Log } from "@restante/host";
import type { Parameters } from "./door/query.ts";
import type { HtmlThread } from "./mail/html-thread.ts";
import type { ItemTools } from "./mail/item.ts";
import type { Phone } from "./phones.ts";
import type { Version } from "./protocol/version.ts";
import type { WaitLimits } from "./sync/request.ts";

/** One request of one phone, for as long as its owner's session is open. */
export interface Context {
  readonly session: AccountSession;
  readonly version: Version;
  readonly deviceId: string;
  readonly deviceType: string;
  readonly userAgent: string;
  readonly policyKey: number;
  readonly parameters: Parameters;
  readonly acceptsMultipart: boolean;
  readonly phone: Phone;
  readonly waits: WaitLimits;
  readonly pace: Pace;
  readonly html: HtmlThread;
  readonly signal: AbortSignal;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly random: (bytes: number) => Uint8Array;
  readonly log: Log;
}

/** Session, version and converters by which this request's items are made. */
export function itemTools({ session, version, pace, html, log }: Context): ItemTools {
  return {
    session,
    version,
    pace,
    html,
    onTrouble: (error) =>
      log({ level: "warn", event: "a message can't be converted", account: session.account, error }),
  };
}
