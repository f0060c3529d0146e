import { EngineError } from "@restante/engine";
import { USER_NAME_BYTES_MAX } from "../limits.ts";
import type { Session } from "../session.ts";
import { decodeUtf8 } from "../wire/parser.ts";
import { type Command, type Completion, defineCommand, no, ok } from "./command.ts";

/** LOGIN: RFC 9051 §6.2.3. */
export const login: Command<unknown> = defineCommand({
  name: "LOGIN",
  in: ["not-authenticated"],
  silent: true,
  parse(parser) {
    parser.space();
    const user = parser.astring();
    parser.space();
    return { user, password: parser.astring() };
  },
  async run({ user, password }, session) {
    return signIn(session, user, password);
  },
});

/** AUTHENTICATE PLAIN: RFC 9051 §6.2.2, RFC 4616, with the initial response of RFC 4959. */
export const authenticate: Command<unknown> = defineCommand({
  name: "AUTHENTICATE",
  in: ["not-authenticated"],
  silent: true,
  parse(parser) {
    parser.space();
    const mechanism = parser.keyword();
    const initial = parser.trySpace() ? parser.rest() : undefined;
    parser.skip(parser.rest().length);
    return { mechanism, initial };
  },
  async run({ mechanism, initial }, session) {
    if (mechanism !== "PLAIN") return no("Mechanism is not supported", "CANNOT");
    if (!session.link.loginAllowed) return loginRefused;
    const response = initial ?? (await askResponse(session));
    if (response === "*") return { status: "BAD", text: "AUTHENTICATE cancelled" };
    const credentials = decodePlain(response === "=" ? "" : response);
    if (!credentials) return { status: "BAD", text: "Not a PLAIN response" };
    return signIn(session, credentials.user, credentials.password);
  },
});

async function askResponse(session: Session): Promise<string> {
  const line = await session.link.ask("");
  return line ? String.fromCharCode(...line) : "*";
}

/** `[authzid] NUL authcid NUL passwd`: RFC 4616 §2. Acting for someone else is not offered. */
function decodePlain(base64: string): { readonly user: string; readonly password: string } | undefined {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) return undefined;
  const [actFor, user, password, ...more] = decodeUtf8(Buffer.from(base64, "base64")).split("\0");
  if (!user || password === undefined || more.length > 0) return undefined;
  return actFor === "" || actFor === user ? { user, password } : undefined;
}

const loginRefused: Completion = no("Sign in over TLS only", "PRIVACYREQUIRED");
/** One text and code for an unknown user and a wrong password. */
const signInFailed: Completion = no("Wrong user name or password", "AUTHENTICATIONFAILED");

async function signIn(session: Session, user: string, password: string): Promise<Completion> {
  if (!session.link.loginAllowed) return loginRefused;
  if (Buffer.byteLength(user) > USER_NAME_BYTES_MAX) return signInFailed;
  try {
    session.account = await session.link.signIn(user, password);
  } catch (error) {
    if (error instanceof EngineError && error.code === "not-permitted") return signInFailed;
    throw error;
  }
  return ok("Signed in", `CAPABILITY ${session.link.capabilities()}`);
}
