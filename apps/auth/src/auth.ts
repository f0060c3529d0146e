import {
  type AccountSession,
  type Attendant,
  EngineError,
  type RequestCredential,
  type RequestSession,
  type RequestSessions,
  type Tickets,
} from "@restante/engine";
import { type DoorRequest, Problem, type Site, type TurnKind, Turns } from "@restante/host";
import { headerCredential, insufficientScope, protocolCredential, unauthorized } from "./credentials.ts";
import { authRoutes } from "./routes.ts";

export interface AuthOptions {
  readonly sessions: RequestSessions;
  readonly tickets: Tickets;
  /** Words that a token's scope may have: what the apps behind the door ask for. The first is the default. */
  readonly scopes: readonly [string, ...string[]];
}

export interface SignInNeeds {
  /** A word that a token's scope must have. Passwords and app passwords are good for all. */
  readonly scope?: string;
  /** Kind of turn that the request takes from its account's share; by default `request`. */
  readonly turn?: Exclude<TurnKind, "stream">;
  /** The request may begin an event stream or a WebSocket, of a client that can send no header: a ticket in the query, or a
   * token beside the subprotocol, will do. */
  readonly opens?: "event-stream" | "web-socket";
}

/** A request whose sender is known, until it is disposed of. */
export interface SignedIn extends Disposable {
  readonly session: AccountSession;
  /** For what goes on after its handler, until its connection ends, and counts as one of the account's streams: what it is
   * told is the engine's `Accounts.attend`. Throws Problem 429. */
  attend(attendant: Attendant): void;
  /** The same sender once more, for a message that came at the time `arrivedAt` over the connection that the request opened.
   * Throws as {@link Auth.signIn} does. */
  again(arrivedAt: number): Promise<SignedIn>;
}

/** Lets requests in, by Basic, Bearer or a ticket. */
export class Auth {
  readonly site: Site;
  readonly #options: AuthOptions;
  readonly #turns = new Turns();

  constructor(options: AuthOptions) {
    this.#options = options;
    this.site = authRoutes(this, options);
  }

  /** Throws Problem: 401 with both challenges, 403 where the way is not safe or a token's scope too narrow, 429 where the
   * account does too much at once; and the engine's errors. */
  async signIn(request: DoorRequest, { scope, turn = "request", opens }: SignInNeeds = {}): Promise<SignedIn> {
    if (!request.isSecure) throw new Problem(403, "Sign in over TLS only");
    return this.#admit(await this.#credentialOf(request, opens), request, { scope, turn });
  }

  async #admit(
    credential: RequestCredential,
    request: DoorRequest,
    { scope, turn }: { readonly scope: string | undefined; readonly turn: Exclude<TurnKind, "stream"> },
    arrivedAt: number = request.arrivedAt,
  ): Promise<SignedIn> {
    const entered = await this.#enter(credential, request, arrivedAt);
    try {
      const { session } = entered;
      if (scope !== undefined && session.terms && !session.terms.scope.split(" ").includes(scope))
        throw insufficientScope(scope);
      request.signedIn();
      const taken = this.#turns.take(session.account, turn);
      return {
        session,
        attend: (attendant) => {
          request.forgetCredentials();
          this.#attend(entered, attendant, request.signal);
        },
        again: (at) => this.#admit(credential, request, { scope, turn }, at),
        [Symbol.dispose]: () => {
          taken[Symbol.dispose]();
          entered[Symbol.dispose]();
        },
      };
    } catch (error) {
      entered[Symbol.dispose]();
      throw error;
    }
  }

  async #credentialOf(request: DoorRequest, opens: SignInNeeds["opens"]): Promise<RequestCredential> {
    const header = headerCredential(request);
    if (header) return header;
    const offered = opens === "web-socket" ? protocolCredential(request) : undefined;
    if (offered) return offered;
    const ticket = opens === undefined ? null : request.query.get("ticket");
    if (ticket === null) throw unauthorized("Sign in");
    try {
      return { kind: "token", token: await this.#options.tickets.redeem(ticket) };
    } catch (error) {
      throw refusalOf(error, "token");
    }
  }

  async #enter(credential: RequestCredential, { address }: DoorRequest, arrivedAt: number): Promise<RequestSession> {
    try {
      return await this.#options.sessions.enter(credential, address, arrivedAt);
    } catch (error) {
      throw refusalOf(error, credential.kind);
    }
  }

  #attend({ session, attend }: RequestSession, attendant: Attendant, connection: AbortSignal): void {
    const taken = this.#turns.take(session.account, "stream");
    const leave = attend({
      changed: (news) => attendant.changed(news),
      ended() {
        taken[Symbol.dispose]();
        attendant.ended();
      },
    });
    const end = (): void => {
      taken[Symbol.dispose]();
      leave();
    };
    // The connection may be gone before the stream has begun.
    if (connection.aborted) end();
    else connection.addEventListener("abort", end, { once: true });
  }
}

/** One answer for an unknown user, a wrong password and a token that was revoked. */
function refusalOf(error: unknown, kind: RequestCredential["kind"]): unknown {
  if (!(error instanceof EngineError && error.code === "not-permitted")) return error;
  return kind === "token"
    ? unauthorized("The token is none, or is no longer good", "invalid_token")
    : unauthorized("Wrong user name or password");
}
