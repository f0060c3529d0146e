import type { Listener } from "./line-client.ts";

/** A command and all that was answered, as one session saw it. Times are microseconds of the machine's own clock, which
 * all processes share. */
export interface Exchange {
  /** One connection; nobody else's name. */
  readonly session: string;
  /** Without the message that it may carry. */
  readonly command: string;
  readonly sentAt: number;
  readonly gotAt: number;
  readonly answer: string;
  /** The connection ended before the answer did. */
  readonly ended: boolean;
}

export function nowUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

/** Tells each exchange of a session. `pending` names the command that waits for its answer. */
export class Recorder implements Listener {
  pending: string | undefined;
  readonly #session: string;
  readonly #tell: (exchange: Exchange) => void;
  #sentAt = 0;

  constructor(session: string, tell: (exchange: Exchange) => void) {
    this.#session = session;
    this.#tell = tell;
  }

  sent(command: string): void {
    this.pending = shortened(command);
    this.#sentAt = nowUs();
  }

  got(answer: string, ended: boolean): void {
    const command = this.pending ?? "";
    this.pending = undefined;
    this.#tell({ session: this.#session, command, sentAt: this.#sentAt, gotAt: nowUs(), answer, ended });
  }
}

/** An APPEND's message is told by its subject. A password is nobody's to keep. */
function shortened(command: string): string {
  if (command.startsWith("LOGIN ")) return "LOGIN";
  const end = command.indexOf("\r\n");
  if (end < 0) return command;
  return `${command.slice(0, end)} ${/^Subject: (\S+)\r$/m.exec(command)?.[1] ?? ""}`;
}

/** An answer's responses, each with its literals in it and without its last line end. */
export function responsesOf(answer: string): string[] {
  const responses: string[] = [];
  for (let at = 0; at < answer.length; ) {
    let end = at;
    for (;;) {
      const line = answer.indexOf("\r\n", end);
      // Octets after the last line end are no whole response: the connection ended amid it.
      if (line < 0) return responses;
      const literal = /\{(\d+)\}$/.exec(answer.slice(Math.max(end, line - 12), line));
      end = line + 2;
      if (!literal) break;
      end += Number(literal[1]);
      if (end > answer.length) return responses;
    }
    responses.push(answer.slice(at, end - 2));
    at = end;
  }
  return responses;
}

/** The numbers of a sequence set without `*`, in its order. */
export function numbersOf(set: string): number[] {
  return set.split(",").flatMap((part) => {
    const [from, to = from] = part.split(":").map(Number) as [number, number?];
    return Array.from({ length: to! - from + 1 }, (_, at) => from + at);
  });
}
