import type { Tls } from "@restante/host";
import { type ConnectionEvent, createImapServer } from "@restante/imap";
import type { Context } from "./context.ts";
import type { People } from "./people.ts";
import type { Service } from "./service.ts";
import { loggedSignIn } from "./sign-in.ts";
import type { Traces } from "./traces.ts";

/** IMAP, and what is told of it. */
export function imapService({ context, login, gate }: People, tls: Tls, traces: Traces): Service {
  const { config } = context;
  const server = createImapServer({
    signIn: loggedSignIn(login, "imap", context),
    plainLogin: config.imap.plain_login,
    secureContext: () => tls.context,
    gate,
    log: (event) => tellOfImap(event, context),
    traceOf: (user) => traces.of(user, "imap"),
  });
  return {
    listeners: [
      { name: "imap", server: server.imap, addresses: config.imap.listen },
      { name: "imaps", server: server.imaps, addresses: config.imaps.listen },
    ],
    async stop() {
      server.imap.close();
      server.imaps.close();
      await server.stop();
    },
  };
}

/** One line a session; what each command did is told to who asks for more. */
function tellOfImap(event: ConnectionEvent, { log, metrics }: Context): void {
  const protocol = "imap";
  switch (event.event) {
    case "failed":
      log({ level: "error", ...event, protocol });
      break;
    case "command": {
      const { command, status, ms } = event;
      metrics?.command(protocol, command, status, ms);
      log({ level: "debug", ...event, ms: Math.round(ms), protocol });
      break;
    }
    case "closed": {
      const { user, address, commands } = event;
      const told = { protocol, address, seconds: Math.round(event.ms / 1000), commands };
      if (user === undefined) log({ level: "debug", event: "connection", ...told });
      else {
        metrics?.session(protocol);
        log({ level: "info", event: "session", user, ...told });
      }
    }
  }
}
