import { decodeWords, type HeaderBlock } from "@restante/mime";
import { foldField } from "../mail/contents/fold.ts";
import { addressText } from "../mail/contents/list-text.ts";
import { Finder, type Needle } from "./needle.ts";
import type { Pace } from "./pace.ts";

/** Characters, times what is looked for in them, that are looked at without a look whether it is the others' turn. */
const QUICK_STEPS = 100_000;

/** Texts that are found in the fields of `wanted`, by place; "" where there is such a field. `learn` gets the folded texts of
 * each place that are not too large. */
export async function findInFields(
  header: HeaderBlock,
  wanted: ReadonlyMap<string, readonly Needle[]>,
  pace: Pace,
  learn?: (place: string, texts: readonly string[]) => void,
): Promise<Map<string, ReadonlySet<string>>> {
  const found = new Map<string, ReadonlySet<string>>();
  for (const [place, needles] of wanted) {
    const [kind, field] = place.split(" ", 2) as [string, string];
    const values = header.values(field);
    const all = new Set(values.length > 0 ? [""] : []);
    const texts: string[] = [];
    for (const value of values) {
      const text = kind === "addresses" ? addressText(value) : decodeWords(value);
      // Most headers are small: what is quick is done at once.
      if (text.length * needles.length <= QUICK_STEPS) {
        const folded = foldField(text);
        texts.push(folded);
        for (const needle of needles) if (needle.isIn(folded)) all.add(needle.text);
      } else {
        const finder = new Finder(needles, pace);
        await finder.push(text.replaceAll("\t", " "));
        for (const one of finder.found) all.add(one);
      }
    }
    found.set(place, all);
    if (texts.length === values.length) learn?.(place, texts);
  }
  return found;
}

/** Texts that are found in any field, as `Name: value`, and in lines that are no fields. */
export async function findInHeader(
  header: HeaderBlock,
  needles: readonly Needle[],
  pace: Pace,
): Promise<ReadonlySet<string>> {
  const finder = new Finder(needles, pace);
  if (needles.length > 0) await finder.push(headerText(header));
  return finder.found;
}

/** All fields of a header, and what is none, decoded, a line each: raw octets of one say nothing of another's charset. */
export function headerText(header: HeaderBlock): string {
  const fields = header.fields().map(({ name, value }) => `${name}: ${value}`);
  const lines = [...fields, ...header.strayLines()].map(decodeWords);
  return lines.join("\n").replaceAll("\t", " ");
}
