import { existsSync } from "node:fs";
import { Acme, type Config, ConfigError, dataPath, type Tls } from "@restante/host";
import { serverNames } from "./certificate-watch.ts";
import type { Context } from "./context.ts";
import type { Service } from "./service.ts";
import { HOST_NAME } from "./setup/plan.ts";

/** The names that certificates are had for; undefined where `tls.acme` is off. Throws ConfigError where the settings don't fit
 * together. */
export function checkAcme(config: Config): readonly string[] | undefined {
  const { acme: contact, acme_names, acme_directory, acme_ca_file, cert } = config.tls;
  if (contact === "") return undefined;
  if (cert !== "") throw new ConfigError("tls.acme and tls.cert both name a certificate: leave one out");
  if (!/^(?:mailto:)?[^\s@]+@[^\s@]+$/.test(contact))
    throw new ConfigError(`tls.acme: ${contact} is no contact: mailto:postmaster@example.org`);
  if (!URL.canParse(acme_directory) || !acme_directory.startsWith("https://"))
    throw new ConfigError(`tls.acme_directory: ${acme_directory} is no https: URL`);
  if (acme_ca_file !== "" && !existsSync(acme_ca_file))
    throw new ConfigError(`tls.acme_ca_file: there is no file ${acme_ca_file}`);
  const names = acme_names.length > 0 ? acme_names : serverNames(config);
  if (names.length === 0) throw new ConfigError("tls.acme needs a name: server.origin, or tls.acme_names");
  const wrong = names.find((name) => !HOST_NAME.test(name));
  if (wrong !== undefined) throw new ConfigError(`tls.acme is for names in the DNS, and ${wrong} is none`);
  return names;
}

/** Certificates by themselves, where `tls.acme` says so. Throws ConfigError. */
export function acmeOf(config: Config, { log, platform }: Pick<Context, "log" | "platform">): Acme | undefined {
  const names = checkAcme(config);
  if (!names) return undefined;
  const { acme: contact, acme_directory, acme_ca_file } = config.tls;
  const folder = dataPath(config, "tls");
  return new Acme({
    contact,
    names,
    directory: acme_directory,
    caFile: acme_ca_file,
    folder,
    now: platform.now,
    log,
  });
}

/** The listener that who vouches asks. */
export function acmeService({ challenges }: Acme, { tls }: Config): Service {
  const server = challenges.makeServer();
  return {
    listeners: [{ name: "acme", setting: "tls.acme_http", server, addresses: tls.acme_http }],
    async stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** From when all listens: the first certificate, and each after it. */
export function keepCertificate(acme: Acme, tls: Tls, { platform }: Context): () => void {
  const every = platform.every ?? (() => () => undefined);
  return acme.start(every, () => tls.reload());
}
