import type { TokenEntry } from "@restante/engine";
import { type Answer, type DoorRequest, json, Problem, type Site } from "@restante/host";
import type { Auth, AuthOptions, SignedIn } from "./auth.ts";
import { headerCredential } from "./credentials.ts";
import { explainError } from "./errors.ts";

/** Octets of what a token is asked for by. */
const BODY_BYTES_MAX = 4_096;

/** The paths under `/auth`: tokens, which stand in for the password, and tickets, which stand in for a token once. */
export function authRoutes(auth: Auth, { tickets, scopes }: AuthOptions): Site {
  const signedIn =
    (work: (signedIn: SignedIn, request: DoorRequest) => Promise<Answer>) =>
    async (request: DoorRequest): Promise<Answer> => {
      using entered = await auth.signIn(request);
      return await work(entered, request);
    };
  return {
    explain: explainError,
    routes: [
      {
        method: "GET",
        path: "/auth/tokens",
        handle: signedIn(async ({ session }) => json({ tokens: (await session.tokens()).map(shown) })),
      },
      {
        method: "POST",
        path: "/auth/tokens",
        bodyBytesMax: BODY_BYTES_MAX,
        handle: signedIn(async ({ session }, request) => {
          const wanted = tokenRequest(await jsonOf(request), scopes);
          const { token, entry } = await session.addToken(wanted);
          return json({ token, ...shown(entry) }, 201);
        }),
      },
      {
        method: "DELETE",
        path: "/auth/tokens/:id",
        handle: signedIn(async ({ session }, { params }) => {
          await session.endToken(params.id!);
          return { status: 204 };
        }),
      },
      {
        method: "POST",
        path: "/auth/ticket",
        handle: signedIn(async (_signedIn, request) => {
          const credential = headerCredential(request);
          if (credential?.kind !== "token") throw new Problem(403, "A ticket stands in for a token");
          const { ticket, expiresMs } = tickets.make(credential.token);
          return json({ ticket, expires: utcDate(expiresMs) }, 201);
        }),
      },
    ],
  };
}

/** A page of another origin can have a browser send anything but this type without asking us first. */
async function jsonOf(request: DoorRequest): Promise<unknown> {
  if (!/^application\/json\s*(;|$)/i.test(request.header("content-type") ?? ""))
    throw new Problem(415, "application/json is wanted");
  return request.json();
}

function tokenRequest(
  value: unknown,
  scopes: AuthOptions["scopes"],
): { readonly label: string; readonly days?: number; readonly scope: string } {
  const { label, days, scope = scopes[0] } = Object(value) as Readonly<Record<string, unknown>>;
  if (typeof label !== "string" || !label.isWellFormed()) throw new Problem(400, "label is no text");
  if (days !== undefined && typeof days !== "number") throw new Problem(400, "days is no number");
  if (typeof scope !== "string") throw new Problem(400, "scope is no text");
  // A token promises nothing that nobody keeps.
  const words = scope.split(" ");
  if (!words.every((word) => scopes.includes(word))) throw new Problem(400, `scope has words of ${scopes.join(" ")}`);
  return { label, scope: [...new Set(words)].join(" "), ...(days === undefined ? {} : { days }) };
}

function shown({ id, label, madeMs, expiresMs, scope }: TokenEntry): Readonly<Record<string, string>> {
  return { id, label, made: utcDate(madeMs), expires: utcDate(expiresMs), scope };
}

/** RFC 8620 §1.4. */
function utcDate(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, "Z");
}
