import type { Flags } from "../flags.ts";
import type { MailImport } from "./import-mails.ts";

/** Flags of `restante import`. */
export interface ImportFlags extends Flags {
  readonly mailbox: string | undefined;
  readonly follow: boolean;
  readonly sourcePasswordFile: string | undefined;
}

/** The result of an import. */
export interface ImportEnd {
  readonly mails: MailImport;
  /** Problems and notices that were not yet printed. */
  readonly problems: readonly string[];
  readonly notices: readonly string[];
  /** Problems were told before. */
  readonly hadProblems: boolean;
}
