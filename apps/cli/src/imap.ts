import { normalizeAddress } from "@restante/engine";
import { type Config, ConfigError, type Tls } from "@restante/host";
import { type ConnectionEvent, capabilitiesOf, createImapServer } from "@restante/imap";
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
    literalMinus: config.imap.literals === "short",
    messageLimit: config.imap.message_limit || undefined,
    hiddenFrom: hiddenFrom(config),
    jmapUrl: jmapUrl(config),
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

/** Undefined where nobody could reach it: under no name. */
function jmapUrl({ https, server }: Config): string | undefined {
  return https.listen.length > 0 && server.origin !== "" ? `${server.origin}/.well-known/jmap` : undefined;
}

/** Capabilities that are not announced, and to whom. Throws ConfigError for a name that none has. */
export function hiddenFrom({ imap }: Pick<Config, "imap">): (user: string | undefined) => ReadonlySet<string> {
  const known = (setting: string, name: string): string => hideable(setting, name, imap.message_limit || undefined);
  const all = new Set(imap.hide.map((name) => known("imap.hide", name)));
  const own = new Map(
    Object.entries(imap.hide_for).map(([user, names]) => {
      const hidden = names.split(/\s+/).filter((name) => name !== "");
      return [
        normalizeAddress(user),
        new Set([...all, ...hidden.map((name) => known("imap.hide_for", name))]),
      ] as const;
    }),
  );
  return (user) => (user === undefined ? all : (own.get(user) ?? all));
}

function hideable(setting: string, name: string, messageLimit: number | undefined): string {
  const offer = { loginAllowed: true, startTlsOffered: true, hasJmap: true, hidden: new Set<string>(), messageLimit };
  const names = [false, true].flatMap((literalMinus) => capabilitiesOf({ ...offer, literalMinus }));
  const wanted = name.toUpperCase();
  // Without IMAP4rev1 no program goes on.
  if (wanted === "IMAP4REV1" || !names.some((one) => one.toUpperCase() === wanted))
    throw new ConfigError(`${setting}: there is no capability ${name} that can be hidden`);
  return wanted;
}

/** One line a session; commands have lines at the level `debug`. */
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
