/**
 * The delimiters of open multiparts (RFC 2046 §5.1.1), innermost last. A line is held against all of them in one walk, so
 * that nearly matching boundaries of many levels cost no more than one: they lie sorted, and each octet of the line
 * narrows the range of those that still fit it.
 */
export class Delimiters<T extends { readonly depth: number }> {
  /** By their octets; shorter ones before those that they begin. Of equal ones only the innermost can be met. */
  readonly #sorted: { readonly octets: Uint8Array; readonly owners: T[] }[] = [];

  get isEmpty(): boolean {
    return this.#sorted.length === 0;
  }

  /** Opens the delimiter of a part within all that are open. */
  open(octets: Uint8Array, owner: T): void {
    const at = this.#place(octets);
    const found = this.#sorted[at];
    if (found && compare(found.octets, octets) === 0) found.owners.push(owner);
    else this.#sorted.splice(at, 0, { octets, owners: [owner] });
  }

  /** Ends the innermost with these octets. */
  close(octets: Uint8Array): void {
    const at = this.#place(octets);
    const { owners } = this.#sorted[at]!;
    owners.pop();
    if (owners.length === 0) this.#sorted.splice(at, 1);
  }

  /** Of the first octets of a line, from `from` up to `to`: the innermost part whose delimiter they are, if any. White space
   * may follow a delimiter, anything a closing one. */
  match(line: Uint8Array, from: number, to: number): { readonly owner: T; readonly closing: boolean } | undefined {
    let blankFrom = to;
    while (blankFrom > from && isBlank(line[blankFrom - 1]!)) blankFrom--;
    let best: { readonly owner: T; readonly closing: boolean } | undefined;
    let low = 0;
    let high = this.#sorted.length;
    for (let length = 0; low < high; length++) {
      const at = from + length;
      const shortest = this.#sorted[low]!;
      if (shortest.octets.length === length) {
        low++;
        const owner = shortest.owners.at(-1)!;
        const closing = at + 1 < to && line[at] === DASH && line[at + 1] === DASH;
        if ((closing || at >= blankFrom) && (!best || owner.depth > best.owner.depth)) best = { owner, closing };
      }
      if (at >= to || low >= high) break;
      const octet = line[at]!;
      if (this.#sorted[low]!.octets[length] !== octet) low = this.#first(low, high, length, octet);
      if (low < high && this.#sorted[high - 1]!.octets[length] !== octet)
        high = this.#first(low, high, length, octet + 1);
    }
    return best;
  }

  /** The first of a range, all equal before `length`, whose octet there is at least `octet`. */
  #first(low: number, high: number, length: number, octet: number): number {
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#sorted[middle]!.octets[length]! < octet) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #place(octets: Uint8Array): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compare(this.#sorted[middle]!.octets, octets) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

const DASH = 0x2d;

function isBlank(octet: number): boolean {
  return octet === 0x20 || octet === 0x09 || octet === 0x0d || octet === 0x0a;
}

function compare(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}
