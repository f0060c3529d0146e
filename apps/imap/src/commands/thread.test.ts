import { expect, test } from "vitest";
import { formatThreads } from "./thread.ts";

interface Node {
  /** -1: a message that is not there. */
  readonly at: number;
  readonly below?: readonly Node[];
}

function flat(nodes: readonly Node[]): { places: Int32Array; children: Uint32Array } {
  const places: number[] = [];
  const children: number[] = [];
  const add = ({ at, below = [] }: Node): void => {
    places.push(at < 0 ? -1 : at - 1);
    children.push(below.length);
    for (const child of below) add(child);
  };
  for (const node of nodes) add(node);
  return { places: Int32Array.from(places), children: Uint32Array.from(children) };
}

const chain = (...numbers: number[]): Node =>
  numbers.reduceRight<Node | undefined>((below, at) => ({ at, ...(below ? { below: [below] } : {}) }), undefined)!;

test.each<[string, readonly Node[]]>([
  ["", []],
  ["(2)(3 6 (4 23)(44 7 96))", [chain(2), { at: 3, below: [{ at: 6, below: [chain(4, 23), chain(44, 7, 96)] }] }]],
  ["((3)(5))", [{ at: -1, below: [chain(3), chain(5)] }]],
  ["((3 4)(5 (6)(7)))(8)", [{ at: -1, below: [chain(3, 4), { at: 5, below: [chain(6), chain(7)] }] }, chain(8)]],
  ["(1 (2)(3))", [{ at: 1, below: [{ at: -1, below: [chain(2), chain(3)] }] }]],
])("threads are written as RFC 5256 has it: %s", (text, nodes) => {
  expect(formatThreads(flat(nodes), (place) => place + 1)).toBe(text);
});

test("a chain of 100,000 is one list", () => {
  const length = 100_000;
  const children = new Uint32Array(length).fill(1);
  children[length - 1] = 0;
  const text = formatThreads({ places: Int32Array.from(children.keys()), children }, (place) => place + 1);
  expect(text.startsWith("(1 2 3 ") && text.endsWith(" 100000)")).toBe(true);
});
