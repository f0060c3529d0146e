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

/** AUTHENTICATE: RFC 9051 §6.2.2, with the initial response of RFC 4959: PLAIN (RFC 4616), and LOGIN as some programs have it,
 * which no RFC tells. */
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
    if (mechanism !== "PLAIN" && mechanism !== "LOGIN") return no("Mechanism is not supported", "CANNOT");
    if (!session.link.loginAllowed) return loginRefused;
    try {
      const { user, password } = await (mechanism === "PLAIN" ? askPlain : askLogin)(session, initial);
      return await signIn(session, user, password);
    } catch (error) {
      if (error instanceof BadResponse) return { status: "BAD", text: error.message };
      throw error;
    }
  },
});

class BadResponse extends Error {}

interface Credentials {
  readonly user: string;
  readonly password: string;
}

async function askPlain(session: Session, initial: string | undefined): Promise<Credentials> {
  const response = initial ?? (await askResponse(session, ""));
  const credentials = decodePlain(response === "=" ? "" : response);
  if (!credentials) throw new BadResponse("Not a PLAIN response");
  return credentials;
}

async function askLogin(session: Session, initial: string | undefined): Promise<Credentials> {
  const user = decodeText(initial ?? (await askResponse(session, "Username:")));
  return { user, password: decodeText(await askResponse(session, "Password:")) };
}

async function askResponse(session: Session, prompt: string): Promise<string> {
  const line = await session.link.ask(Buffer.from(prompt).toString("base64"));
  const response = line ? String.fromCharCode(...line) : "*";
  if (response === "*") throw new BadResponse("AUTHENTICATE cancelled");
  return response;
}

function decodeText(base64: string): string {
  if (!BASE64.test(base64)) throw new BadResponse("Not base64");
  return decodeUtf8(Buffer.from(base64, "base64"));
}

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** `[authzid] NUL authcid NUL passwd`: RFC 4616 §2. Acting for someone else is not offered. */
function decodePlain(base64: string): Credentials | undefined {
  if (!BASE64.test(base64)) return undefined;
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
