import type { AccountSession, News } from "@restante/engine";
import { type DoorRequest, type DoorSocket, PACE, Problem } from "@restante/host";
import { RequestError } from "../core/errors.ts";
import { parseIJson } from "../core/i-json.ts";
import { REQUEST_BYTES_MAX } from "../core/limits.ts";
import { readRequest } from "../core/request.ts";
import { isObject } from "../core/types.ts";
import { type Listened, StateListener, type States, statesOf } from "../push/state-change.ts";
import { accountIdOf, isBounded } from "../session-object.ts";
import { type AnswerTools, answer, problemOf } from "./api.ts";
import { SCOPE, type SignedIn, type SignIn } from "./sign-in.ts";

export interface SocketTools extends AnswerTools {
  readonly auth: SignIn;
  /** The app's own errors as problems. */
  readonly explain: (error: unknown) => Error | undefined;
  readonly onFailure: (error: unknown) => void;
}

/** JMAP over a WebSocket: RFC 8887. Each message is let in as a request of its own. */
export async function openSocket(request: DoorRequest, tools: SocketTools): Promise<(socket: DoorSocket) => void> {
  using signedIn = await tools.auth.signIn(request, { scope: SCOPE, opens: "web-socket" });
  const { session } = signedIn;
  const conversation = new Conversation(request, signedIn, tools, session);
  signedIn.attend({ changed: (news) => conversation.hear(news), ended: () => conversation.end() });
  return (socket) => conversation.begin(socket);
}

class Conversation {
  readonly #request: DoorRequest;
  /** Signs the client in again for the next message, also to an account whose keys were wiped meanwhile: it holds the
   * credential. */
  readonly #again: SignedIn["again"];
  readonly #tools: SocketTools;
  readonly #listened: Listened;
  readonly #gone = new AbortController();
  #socket: DoorSocket | undefined;
  #states: States;
  #listener: StateListener | undefined;

  constructor(request: DoorRequest, { again }: SignedIn, tools: SocketTools, session: AccountSession) {
    this.#request = request;
    this.#again = again;
    this.#tools = tools;
    this.#listened = { accountId: accountIdOf(session), hasQuota: isBounded(session) };
    this.#states = statesOf(session.state);
  }

  begin(socket: DoorSocket): void {
    this.#socket = socket;
    socket.onEnd(() => this.#gone.abort());
    socket.onText(REQUEST_BYTES_MAX, (text) => this.#take(text, socket), this.#tools.onFailure);
  }

  hear(news: News): void {
    if (news.state) this.#states = statesOf(news.state);
    this.#listener?.hear(news);
  }

  /** Its owner may no longer use it. */
  end(): void {
    this.#socket?.refuse("sign in again");
  }

  async #take(text: string, socket: DoorSocket): Promise<void> {
    let requestId: string | undefined;
    try {
      const message = await parseIJson(new TextEncoder().encode(text), PACE);
      if (!isObject(message)) throw new RequestError("notRequest", "This is no message of JMAP");
      if (typeof message.id === "string") requestId = message.id;
      switch (message["@type"]) {
        case "Request":
          await socket.send(await this.#answer(message, requestId));
          return;
        case "WebSocketPushEnable":
          this.#listen(message, socket);
          return;
        case "WebSocketPushDisable":
          this.#listener = undefined;
          return;
        default:
          throw new RequestError("notRequest", "This is no message of JMAP");
      }
    } catch (error) {
      if (this.#gone.signal.aborted) return;
      const problem = problemOf(error) ?? this.#tools.explain(error) ?? error;
      if (!(problem instanceof Problem)) throw error;
      const { document } = problem;
      await socket.send(
        JSON.stringify({ "@type": "RequestError", ...(requestId !== undefined && { requestId }), ...document }),
      );
    }
  }

  async #answer(message: Readonly<Record<string, unknown>>, requestId: string | undefined): Promise<string> {
    const request = readRequest(message);
    using signedIn = await this.#again(performance.now());
    const text = await answer(request, signedIn.session, this.#gone.signal, this.#request.origin, this.#tools);
    const head = JSON.stringify({ "@type": "Response", ...(requestId !== undefined && { requestId }) });
    return `${head.slice(0, -1)},${text.slice(1)}`;
  }

  /** RFC 8887 §4.3.5.2. */
  #listen({ dataTypes = null, pushState }: Readonly<Record<string, unknown>>, socket: DoorSocket): void {
    const isTypes =
      dataTypes === null || (Array.isArray(dataTypes) && dataTypes.every((type) => typeof type === "string"));
    if (!isTypes || (pushState !== undefined && pushState !== null && typeof pushState !== "string"))
      throw new RequestError("notRequest", "This is no WebSocketPushEnable");
    this.#listener = new StateListener(
      this.#listened,
      dataTypes as readonly string[] | null,
      this.#states,
      pushState ?? undefined,
      (change, id) => socket.tell(JSON.stringify({ ...change, pushState: id })),
    );
  }
}
