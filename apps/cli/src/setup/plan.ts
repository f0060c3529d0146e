import { EXIT, Exit } from "../exit.ts";

/** What `restante setup` was told, or read from the configuration that is there. */
export interface Plan {
  /** After the @. */
  readonly domain: string;
  /** By this name mail programs and mail servers know this machine. */
  readonly host: string;
  /** The host that sends the domain's mail. */
  readonly sender: string;
  /** The first account's. */
  readonly address: string;
  readonly data: string;
  readonly store: StorePlan;
}

/** What a plan's host listens on: in its configuration, and in what the DNS tells of it. */
export const PORTS = { imaps: 993, submissions: 465, https: 443 } as const;

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
