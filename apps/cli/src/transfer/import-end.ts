import type { Flags } from "../flags.ts";
import type { MailImport } from "./import-mails.ts";

/** What `restante import` was told beside its source. */
export interface ImportFlags extends Flags {
  readonly mailbox: string | undefined;
  readonly follow: boolean;
  readonly sourcePasswordFile: string | undefined;
}

/** What an import came to. */
export interface ImportEnd {
  readonly mails: MailImport;
  /** What is to be told yet. */
  readonly problems: readonly string[];
  readonly notices: readonly string[];
  /** Problems were told before. */
  readonly hadProblems: boolean;
}
