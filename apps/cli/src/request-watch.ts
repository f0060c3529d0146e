import type { AccountSession } from "@restante/engine";
import type { Context } from "./context.ts";
import type { Traces } from "./traces.ts";

/** A command that came with a request: a method of JMAP, a command of ActiveSync. */
interface RequestCommand {
  readonly outcome: string;
  readonly ms: number;
  readonly session: AccountSession;
  /** Lines for a trace, without contents. */
  dialogue(): readonly string[];
}

interface Told {
  readonly begunAt: number;
  /** How often, by protocol and name: our own words, so there are few. */
  readonly commands: Map<string, number>;
}

/** The operator's view of HTTPS, as there is of IMAP: a log line a session, counts and times of commands, traces. */
export class RequestWatch {
  readonly #context: Pick<Context, "log" | "metrics" | "platform">;
  readonly #traces: Traces | undefined;
  readonly #told = new WeakMap<AccountSession, Told>();

  constructor(context: Pick<Context, "log" | "metrics" | "platform">, traces: Traces | undefined) {
    this.#context = context;
    this.#traces = traces;
  }

  command(protocol: string, command: string, { outcome, ms, session, dialogue }: RequestCommand): void {
    const { log, metrics } = this.#context;
    const { commands } = this.#toldOf(session);
    const name = `${protocol} ${command}`;
    commands.set(name, (commands.get(name) ?? 0) + 1);
    metrics?.command(protocol, command, outcome, ms);
    const user = session.address;
    log({ level: "debug", event: "command", command, status: outcome, ms: Math.round(ms), user, protocol });
    const trace = this.#traces?.of(user, protocol);
    if (!trace) return;
    try {
      for (const line of dialogue()) trace(line);
    } catch (error) {
      // A trace that fails must not make the request fail.
      log({ level: "warn", event: "a trace can't be told", error });
    }
  }

  signedIn(session: AccountSession): void {
    this.#toldOf(session);
  }

  closed(session: AccountSession): void {
    const { log, metrics, platform } = this.#context;
    const { begunAt, commands } = this.#toldOf(session);
    metrics?.session("https");
    const seconds = Math.round((platform.monotonic() - begunAt) / 1000);
    const told = { protocol: "https", seconds, commands: Object.fromEntries(commands) };
    log({ level: "info", event: "session", user: session.address, ...told });
  }

  #toldOf(session: AccountSession): Told {
    const known = this.#told.get(session) ?? { begunAt: this.#context.platform.monotonic(), commands: new Map() };
    this.#told.set(session, known);
    return known;
  }
}
