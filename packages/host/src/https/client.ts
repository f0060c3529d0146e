import type { IncomingHttpHeaders } from "node:http";
import { BlockList, isIP } from "node:net";
import { plainAddress } from "@restante/engine";
import { ConfigError } from "../config-error.ts";

/** The other side of a connection, as its socket tells. */
export interface Peer {
  /** Undefined on a unix socket. */
  readonly remoteAddress?: string | undefined;
}

export interface Client {
  /** Empty where nobody tells. */
  readonly address: string;
  readonly isSecure: boolean;
}

/** The proxies in front of us: from them alone X-Forwarded-For and X-Forwarded-Proto count. */
export class TrustedProxies {
  readonly #addresses = new BlockList();
  #unix = false;

  /** Addresses, networks (`10.0.0.0/8`) and `unix`, for all that comes by a unix socket. Throws ConfigError. */
  constructor(list: readonly string[]) {
    for (const item of list) {
      if (item === "unix") this.#unix = true;
      else this.#add(item);
    }
  }

  #add(item: string): void {
    const [address = "", bits] = item.split("/");
    const version = isIP(address);
    const width = version === 6 ? 128 : 32;
    const length = bits === undefined ? width : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
    if (version === 0 || !(length <= width))
      throw new ConfigError(`https.trusted_proxies: ${item} is no address, network or "unix"`);
    this.#addresses.addSubnet(address, length, familyOf(address));
  }

  trusts(address: string | undefined): boolean {
    if (address === undefined) return this.#unix;
    const plain = plainAddress(address);
    return isIP(plain) !== 0 && this.#addresses.check(plain, familyOf(plain));
  }

  /** The client of a request. Each proxy adds the address before it to the end of the list, so the last one that is no proxy
   * of ours is the client's. Entries before that may be the client's invention. */
  clientOf(peer: Peer, headers: IncomingHttpHeaders): Client {
    const own = peer.remoteAddress === undefined ? "" : plainAddress(peer.remoteAddress);
    if (!this.trusts(peer.remoteAddress)) return { address: own, isSecure: true };
    const forwarded = this.#forwarded(headers);
    const { "x-forwarded-for": addresses, "x-forwarded-proto": proto } = headers;
    // A request without these fields is the proxy's own, or comes from this machine.
    const isSecure = (addresses === undefined && proto === undefined) || lastOf(proto) === "https";
    return { address: forwarded ?? own, isSecure };
  }

  #forwarded(headers: IncomingHttpHeaders): string | undefined {
    let nearest: string | undefined;
    for (const text of listOf(headers["x-forwarded-for"]).reverse()) {
      const address = plainAddress(text.replace(/^\[(.*)\]$/, "$1"));
      if (isIP(address) === 0) break;
      nearest = address;
      if (!this.trusts(address)) break;
    }
    return nearest;
  }
}

function listOf(value: string | string[] | undefined): string[] {
  const text = Array.isArray(value) ? value.join(",") : (value ?? "");
  return text.split(",").map((item) => item.trim());
}

function lastOf(value: string | string[] | undefined): string | undefined {
  return listOf(value).at(-1) || undefined;
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 6 ? "ipv6" : "ipv4";
}
