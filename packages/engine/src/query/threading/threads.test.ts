import { HeaderBlock } from "@restante/mime";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ready } from "../../crypto/index.ts";
import { decodeIdsPage, IdsPageWriter, threadFacts } from "../../mail/contents/thread-facts.ts";
import { extent } from "../../testing/extent.ts";
import { ThreadIds } from "./thread-ids.ts";
import { type ThreadAlgorithm, type Threads, threadsOf } from "./threads.ts";

await ready;

let turns = 0;
const pace = { isOver: () => ++turns % 3 === 0, take: async () => undefined };
const key = new Uint8Array(32).fill(7);

interface Mail {
  readonly id: string | undefined;
  /** Of the References field, or else of In-Reply-To. */
  readonly references: readonly string[];
  readonly inReplyTo: readonly string[];
  readonly base: string;
  readonly isReply: boolean;
  readonly sent: number;
  readonly received: number;
}

const angled = (ids: readonly string[]): string => ids.map((id) => `<${id}>`).join(" ");

function headerOf({ id, references, inReplyTo, base, isReply }: Mail): HeaderBlock {
  const lines = [
    ...(id === undefined ? [] : [`Message-ID: <${id}>`]),
    ...(references.length === 0 ? [] : [`References: ${angled(references)}`]),
    ...(inReplyTo.length === 0 ? [] : [`In-Reply-To: ${angled(inReplyTo)}`]),
    `Subject: ${isReply ? "RE: " : ""}${base}`,
    "",
    "",
  ];
  return new HeaderBlock(new TextEncoder().encode(lines.join("\r\n")));
}

/** As RFC 5256 §4 writes it. Places count from 100, by twos. */
function format({ places, children }: Threads): string {
  let out = "";
  /** Of each open node the children that are left, and whether each has parentheses of its own. */
  const open: { left: number; isNested: boolean }[] = [];
  for (const [at, place] of places.entries()) {
    const above = open.at(-1);
    if (!above || above.isNested) out += "(";
    else if (places[at - 1] !== -1) out += " ";
    if (place >= 0) out += `${place}`;
    const count = children[at]!;
    open.push({ left: count, isNested: count > 1 });
    if (count > 1 && place >= 0) out += " ";
    while (open.length > 0 && open.at(-1)!.left === 0) {
      open.pop();
      const next = open.at(-1);
      if (!next || next.isNested) out += ")";
      if (next) next.left--;
    }
  }
  return out;
}

async function threaded(mails: readonly Mail[], algorithm: ThreadAlgorithm): Promise<string> {
  const ids = new ThreadIds();
  // Other messages are known too, and these by numbers of their own.
  const keys = Uint32Array.from(mails.keys(), (at) => (at * 3) % (mails.length * 3 + 1));
  // Every third is told by a page, the others by their headers.
  const page = new IdsPageWriter(mails.length);
  for (const at of [...mails.keys()].reverse()) {
    const facts = threadFacts(headerOf(mails[at]!), key);
    if (at % 3 === 0) page.set(at, facts);
    else ids.add(keys[at]!, facts);
  }
  const add = ids.adder(decodeIdsPage(page.end(), mails.length));
  for (const at of mails.keys()) add(keys[at]!, at);
  const places = Array.from(mails.keys(), (at) => 100 + at * 2);
  const sent = Float64Array.from(mails, (mail) => mail.sent);
  const received = Float64Array.from(mails, (mail) => mail.received);
  return format(await threadsOf({ places, keys, ids, sent, received }, algorithm, pace));
}

// The steps of RFC 5256 §3, word by word: with objects, and as deep as threads are.

interface Node {
  mail: number | undefined;
  parent: Node | undefined;
  children: Node[];
}

function naive(mails: readonly Mail[], algorithm: ThreadAlgorithm): string {
  const dateOf = (mail: number): number => mails[mail]![algorithm === "refs" ? "received" : "sent"];
  const byDate = (a: number, b: number): number => dateOf(a) - dateOf(b) || a - b;
  const firstOf = (node: Node): number => node.mail ?? firstOf(node.children[0]!);
  const sort = (nodes: Node[]): void => {
    for (const { children } of nodes) sort(children);
    nodes.sort((a, b) => byDate(firstOf(a), firstOf(b)));
  };
  const newestOf = ({ mail, children }: Node): number =>
    [...(mail === undefined ? [] : [mail]), ...children.map(newestOf)].sort(byDate).at(-1)!;
  const write = ({ mail, children }: Node): string => {
    const own = mail === undefined ? "" : `${100 + mail * 2}`;
    if (children.length === 1) return `${own}${own && " "}${write(children[0]!)}`;
    return `${own}${own && children.length > 0 ? " " : ""}${children.map((child) => `(${write(child)})`).join("")}`;
  };
  if (algorithm === "ordered-subject") {
    const bySubject = new Map<string, number[]>();
    for (const [at, { base }] of mails.entries())
      bySubject.set(base.toLowerCase(), [...(bySubject.get(base.toLowerCase()) ?? []), at]);
    const threads = [...bySubject.values()].map((group) => group.sort(byDate)).sort(([a], [b]) => byDate(a!, b!));
    const leaf = (mail: number): Node => ({ mail, parent: undefined, children: [] });
    return threads.map(([first, ...rest]) => `(${write({ ...leaf(first!), children: rest.map(leaf) })})`).join("");
  }
  const isBelow = (node: Node, above: Node): boolean =>
    node === above || (node.parent !== undefined && isBelow(node.parent, above));
  const link = (child: Node, parent: Node): void => {
    if (isBelow(parent, child)) return;
    child.parent = parent;
    parent.children.push(child);
  };
  const cut = (child: Node): void => {
    if (child.parent) child.parent.children = child.parent.children.filter((one) => one !== child);
    child.parent = undefined;
  };
  const nodes = new Set<Node>();
  const byId = new Map<string, Node>();
  const nodeOf = (id: string): Node => {
    const node = byId.get(id) ?? { mail: undefined, parent: undefined, children: [] };
    byId.set(id, node);
    nodes.add(node);
    return node;
  };
  const own = mails.map(({ id }, mail) => {
    const node: Node =
      id !== undefined && nodeOf(id).mail === undefined ? nodeOf(id) : { mail, parent: undefined, children: [] };
    node.mail = mail;
    nodes.add(node);
    return node;
  });
  for (const [at, { references, inReplyTo }] of mails.entries()) {
    const chain = (references.length > 0 ? references : inReplyTo.slice(0, 1)).map(nodeOf);
    for (const [nth, node] of chain.entries()) if (nth > 0 && !node.parent) link(node, chain[nth - 1]!);
    cut(own[at]!);
    if (chain.length > 0) link(own[at]!, chain.at(-1)!);
  }
  const pruned = (node: Node): Node[] => {
    const children = node.children.flatMap(pruned);
    return node.mail === undefined ? children : [{ ...node, children }];
  };
  let root: Node[] = [...nodes]
    .filter(({ parent }) => !parent)
    .flatMap((node) => {
      const kept = pruned(node);
      return node.mail !== undefined || kept.length < 2 ? kept : [{ ...node, children: kept }];
    });
  sort(root);
  if (algorithm === "references") {
    const subjectOf = (node: Node): string => mails[firstOf(node)]!.base.toLowerCase();
    const isReply = ({ mail }: Node): boolean => mails[mail!]!.isReply;
    const isDummy = ({ mail }: Node): boolean => mail === undefined;
    const table = new Map<string, Node>();
    for (const node of root) {
      const known = table.get(subjectOf(node));
      if (subjectOf(node) === "") continue;
      if (!known || (!isDummy(known) && (isDummy(node) || (isReply(known) && !isReply(node)))))
        table.set(subjectOf(node), node);
    }
    for (const node of [...root]) {
      const subject = subjectOf(node);
      const known = table.get(subject);
      if (subject === "" || !known || known === node) continue;
      root = root.filter((one) => one !== node);
      if (isDummy(known) && isDummy(node)) known.children.push(...node.children);
      else if (isDummy(known) || (isReply(node) && !isReply(known))) known.children.push(node);
      else {
        const made: Node = { mail: undefined, parent: undefined, children: [known, node] };
        root = [...root.filter((one) => one !== known), made];
        table.set(subject, made);
      }
    }
    sort(root);
  } else root.sort((a, b) => byDate(newestOf(a), newestOf(b)));
  return root.map((node) => `(${write(node)})`).join("");
}

const id = fc.integer({ min: 0, max: 9 }).map((n) => `${n}@x`);
const mail: fc.Arbitrary<Mail> = fc.record({
  id: fc.option(id, { nil: undefined, freq: 8 }),
  references: fc.array(id, { maxLength: 4 }),
  inReplyTo: fc.array(id, { maxLength: 2 }),
  base: fc.constantFrom("", "a", "A", "b"),
  isReply: fc.boolean(),
  sent: fc.nat({ max: 4 }),
  received: fc.nat({ max: 4 }),
});

describe.each(["references", "refs", "ordered-subject"] as const)("%s", (algorithm) => {
  test("gives the threads that the RFC's words give", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(mail, { maxLength: 14 }), async (mails) => {
        expect(await threaded(mails, algorithm)).toBe(naive(mails, algorithm));
      }),
      { numRuns: extent(2000, 500) },
    );
  });
});

const bare: Mail = { id: undefined, references: [], inReplyTo: [], base: "", isReply: false, sent: 0, received: 0 };

test("threads are told as RFC 5256 has them", async () => {
  const of = (...mails: readonly Partial<Mail>[]): Mail[] =>
    mails.map((one, at) => ({ ...bare, sent: at, received: at, ...one }));
  const mails = of(
    { id: "a" },
    { id: "b", references: ["a"] },
    { id: "c", references: ["a", "b"] },
    { id: "d", references: ["a"] },
  );
  expect(await threaded(mails, "references")).toBe("(100 (102 104)(106))");
  // A parent that is not there holds two; one alone needs none.
  expect(await threaded(of({ references: ["x"] }, { references: ["x"] }, { references: ["y"] }), "references")).toBe(
    "((100)(102))(104)",
  );
  // The thread that was written to last comes last.
  expect(await threaded(of({ id: "a" }, { id: "b" }, { references: ["a"] }), "refs")).toBe("(102)(100 104)");
  // Subjects make threads, but for the empty one; in ORDEREDSUBJECT that too.
  const subjects = of({ base: "s" }, {}, { base: "S", isReply: true }, {}, { base: "s" });
  expect(await threaded(subjects, "references")).toBe("((100 104)(108))(102)(106)");
  expect(await threaded(subjects, "refs")).toBe("(100)(102)(104)(106)(108)");
  expect(await threaded(subjects, "ordered-subject")).toBe("(100 (104)(108))(102 106)");
  expect(await threaded([], "references")).toBe("");
});

const COUNT = extent(100_000, 20_000);

function chainOf(order: (n: number) => number): Mail[] {
  return Array.from({ length: COUNT }, (_, n) => {
    const at = order(n);
    return { ...bare, id: `${at}@x`, inReplyTo: at === 0 ? [] : [`${at - 1}@x`], sent: at, received: at };
  });
}

test.each([
  ["first to last", (n: number) => n],
  ["last to first", (n: number) => COUNT - 1 - n],
  ["in no order", (n: number) => (n * 7919) % COUNT],
])(
  "a chain of a hundred thousand is one thread, %s",
  async (_name, order) => {
    const mails = chainOf(order);
    const text = await threaded(mails, "references");
    const places = text
      .slice(1, -1)
      .split(" ")
      .map((place) => (Number(place) - 100) / 2);
    expect(text.match(/\(/g)).toHaveLength(1);
    expect(places.map(order)).toEqual(Array.from({ length: COUNT }, (_, n) => n));
  },
  60_000,
);

test("a loop of a hundred thousand is cut once, and a hundred thousand of one id are threads of their own", async () => {
  const loop = chainOf((n) => n).map((one, n) => (n === 0 ? { ...one, inReplyTo: [`${COUNT - 1}@x`] } : one));
  expect((await threaded(loop, "refs")).match(/\(/g)).toHaveLength(1);
  const equal = Array.from({ length: COUNT }, (_, at) => ({ ...bare, id: "one@x", sent: at, references: ["one@x"] }));
  expect((await threaded(equal, "references")).match(/\(/g)).toHaveLength(COUNT);
}, 60_000);

test("what hangs below a deep thread one by one takes no time by its depth", async () => {
  const half = COUNT / 2;
  // Each that is hung up has a child already, so that a loop must be looked for.
  const mails = Array.from({ length: COUNT }, (_, n): Mail => {
    if (n < half) return { ...bare, id: `${n}@x`, inReplyTo: n === 0 ? [] : [`${n - 1}@x`] };
    const k = n >> 1;
    return { ...bare, references: n % 2 === 0 ? [`${k}@y`, `${k}@z`] : [`${half - 1}@x`, `${k}@y`] };
  });
  const text = await threaded(mails, "refs");
  expect(text.startsWith("(100 102 104 ")).toBe(true);
  expect(text.match(/\(/g)).toHaveLength(1 + half);
}, 60_000);
