import { lookup, Resolver } from "node:dns/promises";
import { BlockList, isIP } from "node:net";

/** Networks of IPv4 that are nobody's on the Internet: RFC 6890, and what it was amended by. */
const CLOSED_V4 = [
  ...["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"],
  ...["192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"],
  ...["203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"],
];
/** Of IPv6 global unicast alone is open (RFC 4291 §2.4), and of that not what is special or holds an IPv4 address. */
const OPEN_V6 = "2000::/3";
const CLOSED_V6 = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"];

/** Milliseconds for one question to the DNS, and how often it is asked. */
const DNS_MS = 3_000;
const DNS_TRIES = 2;

/** The error for a name that leads nowhere, or to an address that may not be reached. */
export class Unreachable extends Error {}

export interface ReachOptions {
  /** Names, addresses and networks (`10.0.0.0/8`) that may be reached all the same. */
  readonly allow: readonly string[];
  /** The addresses of a name; the DNS's, if it is left out. */
  readonly resolve?: ((host: string) => Promise<readonly string[]>) | undefined;
}

/** Addresses that a request of a stranger's choice may go to: none inside the house. */
export class Reach {
  readonly #names = new Set<string>();
  readonly #allowed = new BlockList();
  readonly #closedV4 = networks(CLOSED_V4);
  readonly #openV6 = networks([OPEN_V6]);
  readonly #closedV6 = networks(CLOSED_V6);
  readonly #resolve: (host: string) => Promise<readonly string[]>;

  /** Throws RangeError for what is neither. */
  constructor({ allow, resolve }: ReachOptions) {
    for (const item of allow)
      if (isIP(item.split("/")[0]!) !== 0) addNetwork(this.#allowed, item);
      else if (/^[a-z0-9.-]+$/i.test(item)) this.#names.add(item.toLowerCase());
      else throw new RangeError(`${item} is no name, address or network`);
    this.#resolve = resolve ?? ((host) => this.#ask(host));
  }

  /** The addresses of a host, each of which may be reached. Rejects with {@link Unreachable}. */
  async addressesOf(host: string): Promise<readonly string[]> {
    const bare = host.replace(/^\[(.*)\]$/, "$1").toLowerCase();
    const addresses = isIP(bare) === 0 ? await this.#resolve(bare) : [bare];
    if (addresses.length === 0) throw new Unreachable("the name has no address");
    // One that leads here and there is no better than one that leads here.
    if (!this.#names.has(bare) && !addresses.every((one) => this.#isOpen(one)))
      throw new Unreachable("an address of the name is inside the house");
    return addresses;
  }

  #isOpen(address: string): boolean {
    const version = isIP(address);
    if (version === 0) return false;
    const family = version === 4 ? "ipv4" : "ipv6";
    if (this.#allowed.check(address, family)) return true;
    if (version === 4) return !this.#closedV4.check(address, family);
    return this.#openV6.check(address, family) && !this.#closedV6.check(address, family);
  }

  /** Not by the system's resolver, which has few threads: a hundred names that hang would hold up all who read files. Hosts
   * that the operator names may stand in the system's files. */
  async #ask(host: string): Promise<readonly string[]> {
    if (this.#names.has(host)) return (await lookup(host, { all: true })).map(({ address }) => address);
    const resolver = new Resolver({ timeout: DNS_MS, tries: DNS_TRIES });
    const found = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
    return found.flatMap((one) => (one.status === "fulfilled" ? one.value : []));
  }
}

function networks(list: readonly string[]): BlockList {
  const made = new BlockList();
  for (const item of list) addNetwork(made, item);
  return made;
}

/** Throws RangeError. */
function addNetwork(list: BlockList, item: string): void {
  const [address = "", bits, ...more] = item.split("/");
  const version = isIP(address);
  const width = version === 6 ? 128 : 32;
  const length = bits === undefined ? width : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
  if (version === 0 || !(length <= width) || more.length > 0) throw new RangeError(`${item} is no address or network`);
  list.addSubnet(address, length, version === 6 ? "ipv6" : "ipv4");
}
