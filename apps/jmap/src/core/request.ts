import type { AccountSession, Pace } from "@restante/engine";
import { MethodError, methodErrorOf, RequestError } from "./errors.ts";
import { ANSWER_CHARS_MAX, CALLS_MAX } from "./limits.ts";
import type { Context, Method, MethodAnswer } from "./method.ts";
import { redactJson } from "./redact.ts";
import { type Answered, resolveReferences } from "./references.ts";
import { isObject } from "./types.ts";

/** RFC 8620 §3.3. */
export interface Request {
  readonly using: ReadonlySet<string>;
  readonly calls: readonly Call[];
  readonly createdIds: ReadonlyMap<string, string> | undefined;
}
interface Call {
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly id: string;
}

/** Of a value that JSON stood for. Throws RequestError: `notRequest`, `limit`. */
export function readRequest(value: unknown): Request {
  const wrong = (): RequestError => new RequestError("notRequest", "This is no Request object");
  if (!isObject(value)) throw wrong();
  const { using, methodCalls, createdIds } = value;
  if (!Array.isArray(using) || !using.every((one) => typeof one === "string")) throw wrong();
  if (!Array.isArray(methodCalls)) throw wrong();
  if (methodCalls.length > CALLS_MAX) throw new RequestError("limit", "There are too many calls", "maxCallsInRequest");
  const calls = methodCalls.map((call: unknown) => {
    if (!Array.isArray(call) || call.length !== 3) throw wrong();
    const [name, args, id] = call as unknown[];
    if (typeof name !== "string" || !isObject(args) || typeof id !== "string") throw wrong();
    return { name, args, id };
  });
  if (createdIds === undefined || createdIds === null) return { using: new Set(using), calls, createdIds: undefined };
  if (!isObject(createdIds)) throw wrong();
  const known = Object.entries(createdIds).map(([name, id]) => {
    if (typeof id !== "string") throw wrong();
    return [name, id] as const;
  });
  return { using: new Set(using), calls, createdIds: new Map(known) };
}

/** A call that was answered, as its operator may know of it. */
export interface MethodCall {
  /** A method's name; `unknown` for what is none. */
  readonly method: string;
  /** `ok`, or the error's type. */
  readonly outcome: string;
  readonly ms: number;
  readonly session: AccountSession;
  /** Lines for a trace, without contents. */
  dialogue(): readonly string[];
}

export interface Api {
  readonly methods: ReadonlyMap<string, Method>;
  readonly capabilities: ReadonlySet<string>;
  /** Gets the error of a bug of ours, with the method's name. */
  readonly onFailure: (method: string, error: unknown) => void;
  readonly onCall?: ((call: MethodCall) => void) | undefined;
}

/** Carries out a request, call after call: RFC 8620 §3.5. Resolves with the Response object as JSON. Throws RequestError
 * `unknownCapability`; the signal's reason when the client is gone. */
export async function answerRequest(
  { using, calls, createdIds }: Request,
  api: Api,
  given: Omit<Context, "createdIds"> & { readonly sessionState: string },
): Promise<string> {
  const unknown = [...using].find((name) => !api.capabilities.has(name));
  if (unknown !== undefined) throw new RequestError("unknownCapability", "A capability in `using` is not known here");
  const context: Context = { ...given, createdIds: new Map(createdIds) };
  const answers = new Answers();
  for (const { name, args, id } of calls) {
    given.signal.throwIfAborted();
    const begunAt = performance.now();
    const answered = await answerCall({ name, args, id }, using, api, context, answers.all);
    api.onCall?.(callOf({ name, args, id }, answered, performance.now() - begunAt, api, given.session));
    for (const one of answered) answers.add(one);
    if (given.pace.isOver()) await given.pace.take();
  }
  return answers.text(createdIds && context.createdIds, given.sessionState);
}

function callOf(
  { name, args }: Call,
  answered: readonly Answered[],
  ms: number,
  { methods }: Api,
  session: AccountSession,
): MethodCall {
  const [first] = answered;
  return {
    method: methods.has(name) ? name : "unknown",
    outcome: first?.name === "error" ? String((first.result as { readonly type?: unknown }).type) : "ok",
    ms,
    session,
    dialogue: () => [
      `C: ${methods.has(name) ? name : `[${name.length}]`} ${redactJson(args)}`,
      ...answered.map((one) => `S: ${one.name} ${redactJson(one.result)}`),
    ],
  };
}

async function answerCall(
  { name, args, id }: Call,
  using: ReadonlySet<string>,
  api: Api,
  context: Context,
  before: readonly Answered[],
): Promise<readonly Answered[]> {
  const error = (one: MethodError): readonly Answered[] => [{ name: "error", result: one.answer, callId: id }];
  const known = api.methods.get(name);
  if (!known || !using.has(known.capability)) return error(new MethodError("unknownMethod"));
  try {
    const { result, implied = [] }: MethodAnswer = await known.call(resolveReferences(args, before), context);
    return [{ name, result, callId: id }, ...implied.map(([of, more]) => ({ name: of, result: more, callId: id }))];
  } catch (thrown) {
    context.signal.throwIfAborted();
    const foreseen = methodErrorOf(thrown);
    if (!foreseen) api.onFailure(name, thrown);
    return error(foreseen ?? new MethodError("serverFail"));
  }
}

/** The answers so far, and their texts: all together no longer than {@link ANSWER_CHARS_MAX}. */
class Answers {
  readonly all: Answered[] = [];
  readonly #texts: string[] = [];
  #chars = 0;

  add(answered: Answered): void {
    const text = textOf(answered);
    const isTooLong = this.#chars + text.length > ANSWER_CHARS_MAX;
    const one = isTooLong ? tooLarge(answered) : answered;
    this.all.push(one);
    this.#texts.push(isTooLong ? textOf(one) : text);
    this.#chars += this.#texts.at(-1)!.length;
  }

  text(createdIds: ReadonlyMap<string, string> | undefined, sessionState: string): string {
    const ids = createdIds ? `"createdIds":${JSON.stringify(Object.fromEntries(createdIds))},` : "";
    return `{"methodResponses":[${this.#texts.join()}],${ids}"sessionState":${JSON.stringify(sessionState)}}`;
  }
}

function textOf({ name, result, callId }: Answered): string {
  return JSON.stringify([name, result, callId]);
}

function tooLarge({ callId }: Answered): Answered {
  return { name: "error", result: new MethodError("requestTooLarge").answer, callId };
}

/** The turns of a browser's worker, which nobody else waits for. */
export const NO_PACE: Pace = { isOver: () => false, take: () => Promise.resolve() };
