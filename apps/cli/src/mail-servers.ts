import type { MailServer, MailServers } from "@restante/autoconfig";
import { type Config, parseListenAddress } from "@restante/host";
import { serverNames } from "./certificate-watch.ts";

/** IMAP and submission as the settings have them listen, TLS from the start before STARTTLS. Where no name is set and every
 * address is listened on, the host is `unnamed`. Unix sockets are left out. */
export function mailServers(config: Config, unnamed: string): MailServers {
  const [name] = serverNames(config);
  const serversOf = (listen: readonly string[], security: MailServer["security"]): readonly MailServer[] =>
    listen.map(parseListenAddress).flatMap((address) => {
      if (address.kind === "unix") return [];
      const isAny = ["0.0.0.0", "::"].includes(address.host);
      return [{ host: name ?? (isAny ? unnamed : address.host), port: address.port, security }];
    });
  const { imap, imaps, submission, submissions } = config;
  return {
    imap: [...serversOf(imaps.listen, "tls"), ...serversOf(imap.listen, "starttls")],
    submission: [...serversOf(submissions.listen, "tls"), ...serversOf(submission.listen, "starttls")],
  };
}
