import type { MailServer } from "@restante/autoconfig";
import type { Config } from "@restante/host";
import { mailServers } from "./mail-servers.ts";

/** Settings for a mail program, as lines to print; none where this configuration serves no IMAP. */
export function mailProgramLines(config: Config, address: string): readonly string[] {
  const { imap, submission } = mailServers(config, "THIS MACHINE'S NAME");
  if (imap.length === 0) return [];
  return [
    "In a mail program, for mail that comes in (IMAP):",
    ...imap.map(lineOf),
    `  user name ${address}, password: this one, or an app password (restante app-password add ${address} LABEL)`,
    ...outgoingLines(submission),
  ];
}

function outgoingLines(servers: readonly MailServer[]): readonly string[] {
  if (servers.length === 0)
    return ["For mail that goes out (SMTP): the server that you send by, with its own password."];
  return ["For mail that goes out (SMTP), with the same user name and password:", ...servers.map(lineOf)];
}

function lineOf({ host, port, security }: MailServer): string {
  return `  server ${host}, port ${port}, security ${security === "tls" ? "SSL/TLS" : "STARTTLS"}`;
}
