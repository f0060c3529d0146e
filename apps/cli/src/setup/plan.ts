import { type Config, ConfigError } from "@restante/host";
import { parseSmarthost } from "@restante/send";
import { EXIT, Exit } from "../exit.ts";

/** Choices of `restante setup`: from flags and questions, or from the configuration that is there. */
export interface Plan {
  /** After the @. */
  readonly domain: string;
  /** By this name mail programs and mail servers know this machine. */
  readonly host: string;
  /** The host that sends the domain's mail; undefined where a configuration tells of none. */
  readonly sender: string | undefined;
  readonly data: string;
  readonly store: StorePlan;
}

/** The usual ports: a plan's host listens on those that begin with TLS. */
export const PORTS = { imaps: 993, imap: 143, submissions: 465, submission: 587, https: 443 } as const;

export type StorePlan =
  | { readonly kind: "embedded" }
  | { readonly kind: "s3"; readonly endpoint: string; readonly bucket: string };

/** As it is written into files: in lower case, with two labels at least. */
export const HOST_NAME: RegExp = /^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/;
/** RFC 5322 §3.4.1, without quoted forms. */
const LOCAL_PART = /^[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}$/;

/** A host or domain as it is written into files: in lower case, without a dot at its end. Throws Exit. */
export function hostName(what: string, text: string): string {
  const name = text.trim().toLowerCase().replace(/\.$/, "");
  if (!HOST_NAME.test(name)) throw new Exit(EXIT.usage, `${what}: ${text} is no host name such as mail.example.org`);
  return name;
}

/** An address in the domain; its part before the @ will do. Throws Exit. */
export function addressIn(domain: string, text: string): string {
  const [local = "", host = domain, ...more] = text.trim().toLowerCase().split("@");
  if (!LOCAL_PART.test(local) || host !== domain || more.length > 0)
    throw new Exit(EXIT.usage, `address: ${text} is no address in ${domain}`);
  return `${local}@${domain}`;
}

/** `embedded`, or `s3:https://HOST/BUCKET`. Throws Exit. */
export function storeOf(text: string): StorePlan {
  if (text === "embedded") return { kind: "embedded" };
  const [, endpoint, bucket] = /^s3:(https?:\/\/[^/\s]+)\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])$/.exec(text) ?? [];
  if (endpoint === undefined || bucket === undefined)
    throw new Exit(EXIT.usage, `store: ${text} is neither embedded nor s3:https://HOST/BUCKET`);
  return { kind: "s3", endpoint, bucket };
}

/** The host by which a configuration's mail goes out, this one where that is on the same machine; undefined where it has none. Throws ConfigError. */
export function senderOf({ outbound }: Config, host: string): string | undefined {
  if (outbound.smarthost === "") return undefined;
  const { at } = smarthostOf(outbound.smarthost);
  const name = at.kind === "unix" ? "" : at.host.toLowerCase();
  return HOST_NAME.test(name) ? name : host;
}

function smarthostOf(text: string): ReturnType<typeof parseSmarthost> {
  try {
    return parseSmarthost(text);
  } catch (error) {
    throw new ConfigError(`outbound.smarthost: ${(error as Error).message}`);
  }
}
