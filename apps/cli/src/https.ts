import { activeSyncSite, HEARTBEAT_SECONDS_MIN } from "@restante/activesync";
import { Auth, explainError } from "@restante/auth";
import { autoconfigSite } from "@restante/autoconfig";
import { type AccountSession, networkOf, RequestSessions, TICKET_MS, Tickets } from "@restante/engine";
import {
  ACCOUNT_REQUESTS_MAX,
  ACCOUNT_UPLOADS_MAX,
  OnceFolder,
  page,
  type Site,
  type Tls,
  TrustedProxies,
} from "@restante/host";
import { Door } from "@restante/host/door";
import { jmapSite } from "@restante/jmap";
import { placesOf, readServerKey } from "./context.ts";
import { policyOf } from "./https-settings.ts";
import { mailServers } from "./mail-servers.ts";
import type { People } from "./people.ts";
import { RequestWatch } from "./request-watch.ts";
import type { Service } from "./service.ts";
import { loggedSignIn, loggedTokenSignIn } from "./sign-in.ts";
import type { Traces } from "./traces.ts";

/** Scopes that a token may have: the protocols of mail. */
const SCOPES = ["mail"] as const;

/** The HTTPS door, and all that hangs on it. */
export async function httpsService(
  { context, accounts, login, gate }: People,
  tls: Tls,
  traces: Traces | undefined,
): Promise<Service> {
  const { config, platform, log, metrics } = context;
  const watch = new RequestWatch(context, traces);
  const begun = async (session: Promise<AccountSession>): Promise<AccountSession> => {
    watch.signedIn(await session);
    return session;
  };
  const byPassword = loggedSignIn(login, "https", context);
  const byToken = loggedTokenSignIn((token, address) => accounts.loginByToken(token, address), "https", context);
  const sessions = new RequestSessions({
    accounts,
    login: (name, password, address) => begun(byPassword(name, password, address)),
    loginByToken: (token, address) => begun(byToken(token, address)),
    onClose: (session) => watch.closed(session),
    platform,
  });
  // A ticket is good for a while yet when it is used: its name outlives it.
  const used = new OnceFolder(placesOf(config).tickets, 2 * TICKET_MS);
  const serverKey = await readServerKey(config);
  const tickets = new Tickets({ platform, serverKey, spend: (nonce) => used.use(nonce) });
  const auth = new Auth({ sessions, tickets, scopes: SCOPES });
  const atOnce = { requests: ACCOUNT_REQUESTS_MAX, uploads: ACCOUNT_UPLOADS_MAX };
  const jmap = jmapSite({
    auth,
    explain: explainError,
    atOnce,
    log,
    onCall: (call) => watch.command("jmap", call.method, call),
  });
  const activeSync = activeSyncSite({
    auth,
    explain: explainError,
    policy: policyOf(config),
    waits: { secondsMin: HEARTBEAT_SECONDS_MIN, secondsMax: config.activesync.heartbeat_max },
    allowsOutlook: config.activesync.outlook,
    log,
    onCommand: (command) => watch.command("activesync", command.command, command),
  });
  const door = new Door({
    sites: [frontPage, auth.site, jmap, activeSync, autoconfigSite(mailServers(config, "localhost"))],
    tls: config.https.tls === "on" ? tls : undefined,
    gate,
    networkOf,
    proxies: new TrustedProxies(config.https.trusted_proxies),
    origin: config.server.origin,
    compresses: config.https.compress,
    log,
    onAnswer: ({ route, status, ms }) => metrics?.command("https", route || "none", String(status), ms),
  });
  const listeners: Service["listeners"][number][] = [];
  for (const address of config.https.listen)
    listeners.push({ name: "https", server: await door.makeServer(), addresses: [address] });
  return {
    listeners,
    async stop() {
      await activeSync.stop();
      await door.stop();
      sessions.dispose();
    },
  };
}

/** Until there is a web page to read mail by. */
const frontPage: Site = {
  routes: [
    {
      method: "GET",
      path: "/",
      handle: async () =>
        page(
          '<!doctype html><html lang="en"><meta charset="utf-8"><title>Restante</title>' +
            "<h1>Restante</h1><p>A mail server. Read your mail with a mail program.</p></html>",
        ),
    },
  ],
};
