import {
  type Address,
  decodeWords,
  displayName,
  formatAddress,
  type HeaderBlock,
  parseAddresses,
} from "@restante/mime";
import { spaced } from "./body-text.ts";
import { Finder, fold, type Needle } from "./needle.ts";
import type { Pace } from "./pace.ts";

/** Texts by the field in which they are looked for: its name, with an "@" before it where its addresses are meant. */
export type WantedFields = ReadonlyMap<string, readonly Needle[]>;
type Found = ReadonlyMap<string, ReadonlySet<string>>;

/** Characters that are looked at without a look whether it is the others' turn. */
const QUICK_STEPS = 100_000;

/** The texts found in some fields of a header; "" where there is such a field. */
export async function findInFields(header: HeaderBlock, fields: WantedFields, pace: Pace): Promise<Found> {
  // Most headers are small: what is quick is done at once.
  const small = findInSmallFields(header, fields);
  if (small) return small;
  const found = new Map<string, ReadonlySet<string>>();
  for (const [key, needles] of fields) {
    const values = valuesOf(header, key);
    const all = new Set(values.length > 0 ? [""] : []);
    for (const value of values) {
      const finder = new Finder(needles);
      await finder.push(textOf(key, value), pace);
      for (const text of finder.found) all.add(text);
    }
    found.set(key, all);
  }
  return found;
}

function findInSmallFields(header: HeaderBlock, fields: WantedFields): Found | undefined {
  const found = new Map<string, ReadonlySet<string>>();
  let work = 0;
  for (const [key, needles] of fields) {
    const all = new Set<string>();
    for (const value of valuesOf(header, key)) {
      work += value.length * needles.length;
      if (work > QUICK_STEPS) return undefined;
      all.add("");
      const text = fold(textOf(key, value));
      for (const needle of needles) if (needle.isIn(text)) all.add(needle.text);
    }
    found.set(key, all);
  }
  return found;
}

function valuesOf(header: HeaderBlock, key: string): string[] {
  return header.values(key.startsWith("@") ? key.slice(1) : key);
}

function textOf(key: string, value: string): string {
  return key.startsWith("@") ? addressText(value) : decodeWords(spaced(value));
}

/** The addresses of a field as people write them, a line each: comments and folding are gone, names are decoded. */
function addressText(value: string): string {
  return parseAddresses(value).flatMap(addressLines).join("\n");
}

function addressLines(address: Address): string[] {
  if (address.kind === "group") return [displayName(address.name), ...address.members.flatMap(addressLines)];
  const spec = formatAddress(address);
  return [address.name === undefined ? spec : `${displayName(address.name)} <${spec}>`];
}
