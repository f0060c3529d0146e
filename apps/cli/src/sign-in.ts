import { type AccountSession, EngineError } from "@restante/engine";
import type { Log, Metrics } from "@restante/host";

/** Errors as `Accounts.login` and `DirectoryLogin.login` have them. */
export type SignIn = (user: string, password: string, address: string) => Promise<AccountSession>;

/** The log and the metrics in which sign-ins are recorded. */
interface Watch {
  readonly log: Log;
  readonly metrics: Metrics | undefined;
}

/** Characters of a user name that a log line repeats. */
const USER_CHARS_MAX = 320;

/**
 * The same, which tells the operator of each sign-in, of each that failed and why, and of each session that was ended from
 * outside. docs/operating.md has a filter of fail2ban for it: the event's name and its fields are kept as they are.
 */
export function loggedSignIn(signIn: SignIn, protocol: string, watch: Watch): SignIn {
  return (name, password, address) => logged(() => signIn(name, password, address), { name, address, protocol }, watch);
}

/** The same for a sign-in by token, which says no name. */
export function loggedTokenSignIn(
  signIn: (token: string, address: string) => Promise<AccountSession>,
  protocol: string,
  watch: Watch,
): (token: string, address: string) => Promise<AccountSession> {
  return (token, address) => logged(() => signIn(token, address), { name: "", address, protocol }, watch);
}

async function logged(
  signIn: () => Promise<AccountSession>,
  { name, address, protocol }: { readonly name: string; readonly address: string; readonly protocol: string },
  { log, metrics }: Watch,
): Promise<AccountSession> {
  try {
    const session = await signIn();
    const user = session.address;
    metrics?.signIn(protocol, "ok");
    // Other sessions have a line of their own at their end.
    log({ level: protocol === "submission" ? "info" : "debug", event: "signed in", user, address, protocol });
    session.ended.addEventListener("abort", () => {
      const { message } = session.ended.reason as EngineError;
      log({ level: "info", event: "session ended", user, address, protocol, reason: message });
    });
    return session;
  } catch (error) {
    const reason = error instanceof EngineError ? error.code : "failed";
    metrics?.signIn(protocol, reason);
    // A wrong name or password is an event of its own; `sign-in failed` is for all other reasons, such as a store that is away.
    const event = reason === "not-permitted" ? "sign-in refused" : "sign-in failed";
    log({ level: "warn", event, user: name.slice(0, USER_CHARS_MAX), address, protocol, reason });
    throw error;
  }
}
