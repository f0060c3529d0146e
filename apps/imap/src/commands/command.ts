import type { Session, SessionState } from "../session.ts";
import type { CommandText } from "../wire/command-reader.ts";
import type { Parser } from "../wire/parser.ts";

/**
 * A row of the command table. Capabilities, the support page and UID forms are derived from the rows. `parse` is pure; `run`
 * returns its completion instead of writing it.
 */
export interface Command<Args> {
  /** As RFC 9051 names it, in capitals. */
  readonly name: string;
  /** States in which it may be given: RFC 9051 §3. */
  readonly in: readonly SessionState[];
  /** Capabilities that the server announces because it has this command. */
  readonly capabilities?: readonly string[];
  /** There is a `UID …` form: RFC 9051 §6.4.9. `only`: there is no other. */
  readonly uid?: boolean;
  /** While FETCH, STORE and SEARCH are answered no EXPUNGE may be sent, it would shift the numbers in use:
   * RFC 9051 §7.5.1. The UID forms may. */
  readonly expunges?: "must-not";
  /** No `sync` of the selected mailbox before the completion. */
  readonly silent?: boolean;
  /** Reads the arguments, beginning with the space before them. */
  parse(parser: Parser, form: Form): Args;
  run(args: Args, session: Session, form: Form): Promise<Completion | Unfinished>;
  /** True if the literal that the text ends with is a message, or a part of one, which is taken as a stream. `isWithin`: the
   * literal follows another such literal of the command. */
  readonly streams?: (text: CommandText, isWithin: boolean) => boolean;
}

export const ANY: readonly SessionState[] = ["not-authenticated", "authenticated", "selected"];
export const SIGNED_IN: readonly SessionState[] = ["authenticated", "selected"];

/** How the command was given. */
export interface Form {
  readonly uid: boolean;
  /** Names of mailboxes are UTF-8, and not modified UTF-7: RFC 9051 §5.1, RFC 6855 §3. */
  readonly utf8: boolean;
  readonly tag: string;
}

export interface Completion {
  readonly status: "OK" | "NO" | "BAD" | "BYE";
  /** One that is asked for when all else was told, or none then. */
  readonly code?: string | (() => string | undefined);
  readonly text: string;
}

/** The rest of a command that was read whole. The next commands of the same name may be read meanwhile; all others wait. */
export interface Unfinished {
  /** Bytes in memory until that is done. */
  readonly heldBytes: number;
  finish(): Promise<Completion>;
}

export function ok(text: string, code?: Completion["code"]): Completion {
  return code === undefined ? { status: "OK", text } : { status: "OK", text, code };
}

export function no(text: string, code?: string): Completion {
  return code === undefined ? { status: "NO", text } : { status: "NO", text, code };
}

/** Keeps `Args` between `parse` and `run`, and forgets it for the table. */
export function defineCommand<Args>(command: Command<Args>): Command<unknown> {
  return command as Command<unknown>;
}

/** For commands without arguments. */
export function noArguments(): undefined {
  return undefined;
}
