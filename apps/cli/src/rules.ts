import { type Config, ConfigError, isLoopbackAddress, isOnePlace, parseListenAddress } from "@restante/host";
import { checkAcme } from "./acme.ts";
import { DEMO_ADDRESS } from "./demo.ts";
import { checkHttps } from "./https-settings.ts";
import { hiddenFrom } from "./imap.ts";
import { listenersOf } from "./listeners.ts";
import { checkOutbound } from "./outbound.ts";

/** Checks of settings that contradict each other, by section. Each throws ConfigError. `serve` runs all of them before it
 * begins, and so does `config check`. */
export const RULES: readonly (readonly [string, (config: Config) => unknown])[] = [
  ["listeners", checkPlaces],
  ["https", checkHttps],
  ["imap", hiddenFrom],
  ["outbound", checkOutbound],
  ["tls", checkAcme],
];

/** Two that listen on one place: the system would refuse the second, or deal out connections to both. */
function checkPlaces(config: Config): void {
  const places = listenersOf(config).map((place) => ({ ...place, parsed: parseListenAddress(place.address) }));
  for (const [index, one] of places.entries()) {
    const other = places.slice(0, index).find(({ parsed }) => isOnePlace(parsed, one.parsed));
    if (other)
      throw new ConfigError(
        `${one.setting} ${one.address} and ${other.setting} ${other.address} are one place: one alone can listen there`,
      );
  }
}

/** The demo account's password is known to everybody. Throws ConfigError. */
export function checkDemo(config: Config, addresses: readonly string[]): void {
  if (addresses.includes(DEMO_ADDRESS) && !isOnLoopback(config))
    throw new ConfigError(
      "the demo account exists: delete it (restante account delete demo@example.org) or listen on loopback only",
    );
}

/** True if only this machine reaches the listeners that let people in or take mail. */
export function isOnLoopback(config: Config): boolean {
  return listenersOf(config)
    .filter(({ setting }) => setting !== "metrics.listen" && setting !== "tls.acme_http")
    .every(({ address }) => isLoopbackAddress(parseListenAddress(address)));
}
