/** Facts of a message that its Maildir file name holds: `UNIQUE:2,FLAGS`. Windows programs write `;` or `!` for `:`. */
export interface MaildirName {
  /** When it was delivered, in seconds: what names begin with. NaN if this one does not. */
  readonly seconds: number;
  readonly letters: string;
  /** An export wrote it, and its line ends stand as they are. */
  readonly isRaw: boolean;
}

const INFO = /[:;!][12],([A-Za-z]*)[^:;!]*$/;
const RAW_HOST = "restante-raw";

export function readMaildirName(name: string): MaildirName {
  return {
    seconds: Number.parseInt(name, 10),
    letters: INFO.exec(name)?.[1] ?? "",
    isRaw: new RegExp(`^\\d+\\.M\\d+\\.${RAW_HOST}(?:[:;!,]|$)`).test(name),
  };
}

/** The part before the flags. Uids ascend, so names do: programs sort by them. */
export function writeMaildirName(seconds: number, uid: number, isRaw: boolean): string {
  return `${seconds}.M${String(uid).padStart(10, "0")}.${isRaw ? RAW_HOST : "restante"}`;
}
