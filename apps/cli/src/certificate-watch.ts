import { type Config, certificateProblems, type Tls } from "@restante/host";
import type { Context } from "./context.ts";

const DAY_MS = 86_400_000;

/** The names by which mail programs know this server, as far as the configuration tells. */
export function serverNames({ server }: Pick<Config, "server">): readonly string[] {
  return server.origin === "" ? [] : [new URL(server.origin).hostname];
}

type Watch = Pick<Context, "config" | "log"> & { readonly platform: Pick<Context["platform"], "now" | "every"> };

/** Says each day what is wrong with the certificate in force, or will be soon. */
export function watchCertificate(tls: Tls, { config, log, platform }: Watch): void {
  const look = (): void => {
    if (!tls.facts) return;
    const names = config.tls.cert === "" ? [] : serverNames(config);
    for (const problem of certificateProblems(tls.facts, { nowMs: platform.now(), names }))
      log({ level: "warn", event: "the certificate is in trouble", problem, end: tls.facts.validTo });
  };
  look();
  platform.every?.(DAY_MS, look);
}
