import type { Config } from "@restante/host";

/** Sections of the configuration that have a `listen`. */
const LISTENING = ["lmtp", "imap", "imaps", "https", "submission", "submissions", "metrics"] as const;

/** Every address that the configuration listens on, by its setting. */
export function listenersOf(config: Config): readonly { readonly setting: string; readonly address: string }[] {
  const acme = config.tls.acme === "" ? [] : config.tls.acme_http;
  const named = LISTENING.flatMap((name) =>
    config[name].listen.map((address) => ({ setting: `${name}.listen`, address })),
  );
  return [...named, ...acme.map((address) => ({ setting: "tls.acme_http", address }))];
}
