import type { Policy } from "@restante/activesync";
import { HEARTBEAT_SECONDS_MAX, HEARTBEAT_SECONDS_MIN } from "@restante/activesync/limits";
import { type Config, ConfigError, isLoopbackAddress, parseListenAddress } from "@restante/host";

/** Throws ConfigError where the settings of the HTTPS door contradict each other. */
export function checkHttps(config: Config): void {
  const { https, server } = config;
  const addresses = https.listen.map(parseListenAddress);
  if (https.tls === "off" && !addresses.every(isLoopbackAddress))
    throw new ConfigError('https.tls = "off" is for loopback and unix sockets alone, with a proxy in front');
  checkActiveSync(config);
  if (server.origin !== "" && !/^https?:\/\/[^/?#\s@]+$/.test(server.origin))
    throw new ConfigError(`server.origin: ${server.origin} is no origin: https://host or https://host:port`);
}

function checkActiveSync({ activesync }: Config): void {
  const bounds = [
    ["heartbeat_max", HEARTBEAT_SECONDS_MIN, HEARTBEAT_SECONDS_MAX],
    ["password_length", 0, 16],
    ["lock_after", 0, 9_998],
  ] as const;
  for (const [name, least, most] of bounds)
    if (activesync[name] < least || activesync[name] > most)
      throw new ConfigError(`activesync.${name} is from ${least} to ${most}`);
  const wrong = activesync.wrong_passwords;
  if (wrong !== 0 && (wrong < 4 || wrong > 16))
    throw new ConfigError("activesync.wrong_passwords is 0, or from 4 to 16");
}

/** The policy that phones must agree to: MS-ASPROV §2.2.2.28 and the sections after it. */
export function policyOf({ activesync }: Config): Policy {
  const { password_length, lock_after, wrong_passwords, encryption, camera } = activesync;
  return {
    passwordLengthMin: password_length,
    lockSeconds: lock_after,
    wrongPasswordsMax: wrong_passwords,
    encryption,
    camera,
  };
}
