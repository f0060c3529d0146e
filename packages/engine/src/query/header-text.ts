import { decodeWords, type HeaderBlock } from "@restante/mime";
import { Finder, fold, type Needle } from "./needle.ts";
import type { Pace } from "./pace.ts";

/** Characters, times what is looked for in them, that are looked at without a look whether it is the others' turn. */
const QUICK_STEPS = 100_000;

/** What is found in the fields that `wanted` names by their places; "" where there is such a field. */
export async function findInFields(
  header: HeaderBlock,
  wanted: ReadonlyMap<string, readonly Needle[]>,
  pace: Pace,
): Promise<Map<string, ReadonlySet<string>>> {
  const found = new Map<string, ReadonlySet<string>>();
  for (const [place, needles] of wanted) {
    const values = header.values(place.slice(place.indexOf(" ") + 1));
    const all = new Set(values.length > 0 ? [""] : []);
    for (const value of values) {
      const text = decodeWords(value);
      // Most headers are small: what is quick is done at once.
      if (text.length * needles.length <= QUICK_STEPS) {
        const folded = fold(text);
        for (const needle of needles) if (needle.isIn(folded)) all.add(needle.text);
      } else {
        const finder = new Finder(needles, pace);
        await finder.push(text);
        for (const one of finder.found) all.add(one);
      }
    }
    found.set(place, all);
  }
  return found;
}

/** What is found in any field, as `Name: value`. */
export async function findInAllFields(
  header: HeaderBlock,
  needles: readonly Needle[],
  pace: Pace,
): Promise<ReadonlySet<string>> {
  const finder = new Finder(needles, pace);
  const lines = needles.length === 0 ? [] : header.fields().map(({ name, value }) => `${name}: ${value}`);
  await finder.push(decodeWords(lines.join("\n")));
  return finder.found;
}
