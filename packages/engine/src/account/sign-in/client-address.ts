/** Addresses of clients as text, as sockets and proxies tell them: `isIP` of Node takes them. Any other text is returned
 * as it is. */

/** An IPv4 address that came by an IPv6 socket, in either form of RFC 4291 §2.2 (`::ffff:192.0.2.1`, `::ffff:c000:201`), as
 * an IPv4 address. */
export function plainAddress(address: string): string {
  const groups = groupsOf(address);
  if (groups?.[5] !== 0xff_ff || groups.slice(0, 5).some((group) => group !== 0)) return address;
  return groups
    .slice(6)
    .flatMap((group) => [group >> 8, group & 0xff])
    .join(".");
}

/** The network of an address, which may be one client's: an IPv4 address, an IPv6 /64. */
export function networkOf(address: string): string {
  const plain = plainAddress(address);
  const groups = groupsOf(plain);
  if (!groups) return plain;
  return groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(":");
}

/** The eight groups of an IPv6 address, without its zone; undefined for any other text. */
function groupsOf(address: string): readonly number[] | undefined {
  const [head = "", tail, more] = address.split("%", 1)[0]!.split("::", 3);
  if (!address.includes(":") || more !== undefined) return undefined;
  const before = numbersOf(head);
  const after = numbersOf(tail ?? "");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  const groups = [...before, ...new Array<number>(zeros).fill(0), ...after];
  return groups.length === 8 && groups.every((group) => group <= 0xff_ff) ? groups : undefined;
}

/** Groups between colons. The last may be an IPv4 address, which is two of them. */
function numbersOf(text: string): readonly number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    const octets = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(group)?.slice(1).map(Number);
    if (octets) return [octets[0]! * 256 + octets[1]!, octets[2]! * 256 + octets[3]!];
    return [/^[\da-f]{1,4}$/i.test(group) ? Number.parseInt(group, 16) : Number.NaN];
  });
}
