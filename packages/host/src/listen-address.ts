import { BlockList, isIP } from "node:net";
import { ConfigError } from "./config-error.ts";

/** Where a server listens: `host:port`, `[v6]:port` or `unix:/path`; port 0 is any free one. */
export type ListenAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** Throws ConfigError. */
export function parseListenAddress(text: string): ListenAddress {
  if (text.startsWith("unix:/")) return { kind: "unix", path: text.slice(5) };
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65_535)
    throw new ConfigError(`${text} is no address to listen on: host:port, [v6]:port or unix:/path`);
  return { kind: "tcp", host: match[1] ?? match[2]!, port };
}

export function isLoopbackAddress(address: ListenAddress): boolean {
  if (address.kind === "unix") return true;
  return address.host.toLowerCase() === "localhost" || isLoopbackIp(address.host);
}

/** True for a client on this machine, `remoteAddress` being what its socket tells: loopback, or undefined for a unix
 * socket. */
export function isLoopbackClient(remoteAddress: string | undefined): boolean {
  return remoteAddress === undefined || isLoopbackIp(remoteAddress);
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

/** RFC 1122 §3.2.1.3, RFC 4291 §2.5.3. An IPv4 address in an IPv6 one is that IPv4 address. A name is none of them,
 * `127.example.org` neither. */
function isLoopbackIp(text: string): boolean {
  const version = isIP(text);
  return version !== 0 && LOOPBACK.check(text, version === 6 ? "ipv6" : "ipv4");
}

/** True if only one process can listen on both addresses. `[::]` takes IPv4 too; names are not looked up. */
export function isOnePlace(one: ListenAddress, other: ListenAddress): boolean {
  if (one.kind === "unix" || other.kind === "unix")
    return one.kind === "unix" && other.kind === "unix" && one.path === other.path;
  if (one.port !== other.port || one.port === 0) return false;
  return one.host === other.host || takes(one.host, other.host) || takes(other.host, one.host);
}

function takes(all: string, host: string): boolean {
  return all === "::" || (all === "0.0.0.0" && !host.includes(":"));
}
