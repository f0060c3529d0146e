import type { DoorRequest, Route, Site } from "@restante/host";
import { autodiscover, autodiscoverJson } from "./autodiscover.ts";
import { clientConfig } from "./client-config.ts";
import { REQUEST_BYTES_MAX } from "./limits.ts";
import { profile } from "./profile.ts";
import type { MailServers, Servers } from "./servers.ts";

/**
 * Where mail programs ask for settings before they sign in. `mailServers` is how IMAP and submission listen; JMAP and
 * ActiveSync are at the door's own origin. No answer depends on whether an address exists: nothing here could know.
 */
export function autoconfigSite(mailServers: MailServers): Site {
  const serversOf = ({ origin }: DoorRequest): Servers => ({ ...mailServers, origin });
  const get = (path: string, answer: typeof clientConfig, more: Partial<Route> = {}): Route => ({
    method: "GET",
    path,
    handle: async (request) => answer(request, serversOf(request)),
    ...more,
  });
  return {
    routes: [
      ...(["GET", "POST"] as const).map((method) => ({
        method,
        path: "/autodiscover/autodiscover.xml",
        anyCase: true,
        bodyBytesMax: REQUEST_BYTES_MAX,
        handle: (request: DoorRequest) => autodiscover(request, serversOf(request)),
      })),
      get("/autodiscover/autodiscover.json", autodiscoverJson, { anyCase: true }),
      get("/autodiscover/autodiscover.json/:version/:address", autodiscoverJson, { anyCase: true }),
      get("/v1.1/autodiscover/autodiscover.json", autodiscoverJson, { anyCase: true }),
      get("/.well-known/autoconfig/mail/config-v1.1.xml", clientConfig),
      get("/mail/config-v1.1.xml", clientConfig),
      get("/mail/restante.mobileconfig", profile),
    ],
  };
}
