import { type AccountSession, EngineError } from "@restante/engine";
import type { Log } from "@restante/host";

/** Errors as `Accounts.login` and `DirectoryLogin.login` have them. */
export type SignIn = (user: string, password: string, address: string) => Promise<AccountSession>;

/** Characters of a user name that a log line repeats. */
const USER_CHARS_MAX = 320;

/**
 * The same, which tells the operator of each sign-in, of each that failed and why, and of each session that was ended from
 * outside. docs/operating.md has a filter of fail2ban for it: the event's name and its fields are kept as they are.
 */
export function loggedSignIn(signIn: SignIn, protocol: string, log: Log): SignIn {
  return async (name, password, address) => {
    try {
      const session = await signIn(name, password, address);
      const user = session.address;
      log({ level: "info", event: "signed in", user, address, protocol });
      session.ended.addEventListener("abort", () => {
        const { message } = session.ended.reason as EngineError;
        log({ level: "info", event: "session ended", user, address, protocol, reason: message });
      });
      return session;
    } catch (error) {
      const reason = error instanceof EngineError ? error.code : "failed";
      // Who is refused for what they said is told apart from who came at a bad time.
      const event = reason === "not-permitted" ? "sign-in refused" : "sign-in failed";
      log({ level: "warn", event, user: name.slice(0, USER_CHARS_MAX), address, protocol, reason });
      throw error;
    }
  };
}
