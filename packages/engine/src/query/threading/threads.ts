import type { Pace } from "../pace.ts";
import { sortInSteps } from "../sort-in-steps.ts";
import { LinkedForest } from "./linked-forest.ts";
import type { ThreadIds } from "./thread-ids.ts";

/** `refs` is that of draft-ietf-morg-inthread: references alone, and threads by their newest message. */
export type ThreadAlgorithm = "references" | "ordered-subject" | "refs";

/** Threads as trees: RFC 5256 §4. Nodes stand each before its children, and threads one behind the other. */
export interface Threads {
  /** The message of each node, as its place in the list; -1 for one that is not there, and holds two or more. */
  readonly places: Int32Array;
  /** How many children each node has. */
  readonly children: Uint32Array;
}

/** Messages to be threaded, in the order of the list. */
export interface Threaded {
  readonly places: readonly number[];
  /** By what each is known to `ids`. */
  readonly keys: Uint32Array;
  readonly ids: ThreadIds;
  /** Milliseconds since 1970: of the Date field, and of when it came. */
  readonly sent: Float64Array;
  readonly received: Float64Array;
}

/** Messages or nodes that are looked at between two looks whether it is the others' turn. */
const AT_ONCE = 1024;

/** Threads of messages: RFC 5256 §3. No step takes longer for a deep tree than for a flat one. */
export async function threadsOf(threaded: Threaded, algorithm: ThreadAlgorithm, pace: Pace): Promise<Threads> {
  const ranks = await ranksOf(algorithm === "refs" ? threaded.received : threaded.sent, pace);
  if (algorithm === "ordered-subject") return new OrderedSubjects(threaded, ranks).threads(pace);
  const links = await linkByReferences(threaded, pace);
  const tree = new Tree(links, ranks);
  await tree.prune(pace);
  if (algorithm === "references") await mergeSubjects(tree, threaded, pace);
  return tree.threads(threaded.places, algorithm === "refs", pace);
}

/** Messages by a date, oldest first, those of one date in the order of the list: RFC 5256 §2.2. */
async function ranksOf(dates: Float64Array, pace: Pace): Promise<Uint32Array> {
  const messages = Uint32Array.from(dates.keys());
  return sortInSteps(messages, (a, b) => dates[a]! - dates[b]!, pace);
}

/** Steps 1 and 2 of REFERENCES. */
interface Links {
  /** By node, from 1; 0 for none. */
  readonly parents: Uint32Array;
  /** The message of a node, from 1; 0 if it is not there. */
  readonly messages: Uint32Array;
  /** By message. */
  readonly nodes: Uint32Array;
}

async function linkByReferences({ keys, ids }: Threaded, pace: Pace): Promise<Links> {
  const nodeOfText = new Uint32Array(ids.texts + 1);
  const nodes = new Uint32Array(keys.length);
  let count = 0;
  const nodeOf = (text: number): number => {
    if (nodeOfText[text] === 0) nodeOfText[text] = ++count;
    return nodeOfText[text]!;
  };
  // Of several messages that have one id the first has it; the others, and who has none, are nodes that nobody refers to.
  const taken = new Uint8Array(ids.texts + 1);
  for (const [message, key] of keys.entries()) {
    const own = ids.ownOf(key);
    nodes[message] = own === 0 || taken[own] === 1 ? ++count : nodeOf(own);
    taken[own] = 1;
    for (const text of ids.referencesOf(key)) nodeOf(text);
    if (message % AT_ONCE === 0 && pace.isOver()) await pace.take();
  }
  const messages = new Uint32Array(count + 1);
  for (const [message, node] of nodes.entries()) messages[node] = message + 1;
  const forest = new LinkedForest(count);
  for (const [message, key] of keys.entries()) {
    let last = 0;
    for (const text of ids.referencesOf(key)) {
      const node = nodeOf(text);
      if (last !== 0 && forest.parents[node] === 0) forest.link(node, last);
      last = node;
    }
    const node = nodes[message]!;
    forest.cut(node);
    if (last !== 0) forest.link(node, last);
    if (message % AT_ONCE === 0 && pace.isOver()) await pace.take();
  }
  return { parents: forest.parents, messages, nodes };
}

/** A forest of messages, and of nodes without one that hold together what has no parent. */
class Tree {
  /** Of each message's node: its parent among those that stay; 0 for none. */
  readonly above: Uint32Array;
  readonly #links: Links;
  /** Messages by date. */
  readonly #ranks: Uint32Array;
  /** Nodes that were made: their numbers go on behind those of the links. */
  #made = 0;
  /** Nodes without a message that are another by now. */
  readonly #merged = new Map<number, number>();

  constructor(links: Links, ranks: Uint32Array) {
    this.#links = links;
    this.#ranks = ranks;
    this.above = new Uint32Array(links.messages.length);
  }

  /** The message of a node, from 1; 0 if it is not there. */
  messageOf(node: number): number {
    return this.#links.messages[node] ?? 0;
  }

  /** Step 3: nodes without a message go, but for those under which two or more would have no parent. */
  async prune(pace: Pace): Promise<void> {
    const { parents, messages, nodes } = this.#links;
    /** Of nodes without a message: the next one above that has one, or the uppermost. */
    const tops = new Uint32Array(parents.length);
    const topOf = (node: number): number => {
      let top = node;
      while (tops[top] === 0 && messages[top] === 0 && parents[top] !== 0) top = parents[top]!;
      if (messages[top] === 0 && tops[top] !== 0) top = tops[top]!;
      for (let at = node; at !== top && messages[at] === 0 && tops[at] === 0; at = parents[at]!) tops[at] = top;
      return top;
    };
    const children = new Uint32Array(parents.length);
    for (const [at, node] of nodes.entries()) {
      const parent = parents[node]!;
      const above = parent === 0 ? 0 : topOf(parent);
      this.above[node] = above;
      children[above]!++;
      if (at % AT_ONCE === 0 && pace.isOver()) await pace.take();
    }
    for (const node of nodes) {
      const above = this.above[node]!;
      if (messages[above] === 0 && children[above] === 1) this.above[node] = 0;
    }
  }

  /** A node without a message that these two are put under. */
  join(one: number, other: number): number {
    const node = this.#links.messages.length + this.#made++;
    this.above[one] = node;
    this.above[other] = node;
    return node;
  }

  /** Puts all nodes under `from`, which has no message, under `to`. */
  merge(from: number, to: number): void {
    this.#merged.set(from, to);
  }

  /** Roots by date, each with the first message under it, from 1: its own, if it has one. */
  async roots(pace: Pace): Promise<(readonly [root: number, message: number])[]> {
    const roots: (readonly [number, number])[] = [];
    const seen = new Set<number>();
    for (const [at, message] of this.#ranks.entries()) {
      const node = this.#links.nodes[message]!;
      const above = this.#aboveOf(node);
      if (above === 0) roots.push([node, message + 1]);
      else if (this.messageOf(above) === 0 && !seen.has(above)) {
        seen.add(above);
        roots.push([above, message + 1]);
      }
      if (at % AT_ONCE === 0 && pace.isOver()) await pace.take();
    }
    return roots;
  }

  #aboveOf(node: number): number {
    const above = this.above[node]!;
    return this.#merged.get(above) ?? above;
  }

  /** Step 6, and how it is told. */
  async threads(places: readonly number[], byNewest: boolean, pace: Pace): Promise<Threads> {
    const { nodes, messages } = this.#links;
    const all = messages.length + this.#made;
    const [first, last, next, counts] = [0, 0, 0, 0].map(() => new Uint32Array(all)) as [
      Uint32Array,
      Uint32Array,
      Uint32Array,
      Uint32Array,
    ];
    for (const [at, message] of this.#ranks.entries()) {
      const node = nodes[message]!;
      const above = this.#aboveOf(node);
      if (above === 0) continue;
      if (first[above] === 0) first[above] = node;
      else next[last[above]!] = node;
      last[above] = node;
      counts[above]!++;
      if (at % AT_ONCE === 0 && pace.isOver()) await pace.take();
    }
    let roots = (await this.roots(pace)).map(([root]) => root);
    if (byNewest) roots = await this.#byNewest(roots, first, next, pace);
    const told = {
      places: new Int32Array(nodes.length + roots.length),
      children: new Uint32Array(nodes.length + roots.length),
    };
    let at = 0;
    for (const node of walk(roots, first, next)) {
      const message = this.messageOf(node);
      told.places[at] = message === 0 ? -1 : places[message - 1]!;
      told.children[at++] = counts[node]!;
      if (at % AT_ONCE === 0 && pace.isOver()) await pace.take();
    }
    return { places: told.places.subarray(0, at), children: told.children.subarray(0, at) };
  }

  async #byNewest(roots: readonly number[], first: Uint32Array, next: Uint32Array, pace: Pace): Promise<number[]> {
    const rankOf = new Uint32Array(this.#ranks.length);
    for (const [rank, message] of this.#ranks.entries()) rankOf[message] = rank;
    const newest = new Float64Array(roots.length);
    for (const [at, root] of roots.entries())
      for (const node of walk([root], first, next)) {
        const message = this.messageOf(node);
        if (message !== 0) newest[at] = Math.max(newest[at]!, rankOf[message - 1]!);
        if (node % AT_ONCE === 0 && pace.isOver()) await pace.take();
      }
    const order = await sortInSteps(Uint32Array.from(roots.keys()), (a, b) => newest[a]! - newest[b]!, pace);
    return Array.from(order, (at) => roots[at]!);
  }
}

/** Nodes, each before its children. */
function* walk(roots: readonly number[], first: Uint32Array, next: Uint32Array): Generator<number> {
  const waiting: number[] = [];
  for (const root of roots) {
    waiting.push(root);
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      yield node;
      if (next[node] !== 0) waiting.push(next[node]!);
      if (first[node] !== 0) waiting.push(first[node]!);
    }
  }
}

/** Step 5: threads of one base subject are one. */
async function mergeSubjects(tree: Tree, { keys, ids }: Threaded, pace: Pace): Promise<void> {
  const roots = await tree.roots(pace);
  const isReply = (root: number): boolean => ids.isReplyOrForward(keys[tree.messageOf(root) - 1]!);
  const isThere = (root: number): boolean => tree.messageOf(root) !== 0;
  const subjects = new Map<number, number>();
  for (const [at, [root, message]] of roots.entries()) {
    if (at % AT_ONCE === 0 && pace.isOver()) await pace.take();
    const subject = ids.subjectOf(keys[message - 1]!);
    const known = subjects.get(subject);
    if (subject === 0) continue;
    if (known === undefined || (isThere(known) && (!isThere(root) || (isReply(known) && !isReply(root)))))
      subjects.set(subject, root);
  }
  for (const [at, [root, message]] of roots.entries()) {
    if (at % AT_ONCE === 0 && pace.isOver()) await pace.take();
    const subject = ids.subjectOf(keys[message - 1]!);
    const known = subjects.get(subject);
    if (known === undefined || known === root) continue;
    if (!isThere(known) && !isThere(root)) tree.merge(root, known);
    else if (!isThere(known) || (isReply(root) && !isReply(known))) tree.above[root] = known;
    else subjects.set(subject, tree.join(root, known));
  }
}

/** ORDEREDSUBJECT: RFC 5256 §3. All messages of one base subject, an empty one too, are under the first. */
class OrderedSubjects {
  readonly #threaded: Threaded;
  readonly #ranks: Uint32Array;

  constructor(threaded: Threaded, ranks: Uint32Array) {
    this.#threaded = threaded;
    this.#ranks = ranks;
  }

  async threads(pace: Pace): Promise<Threads> {
    const { places, keys, ids } = this.#threaded;
    const bySubject = new Map<number, number[]>();
    for (const [at, message] of this.#ranks.entries()) {
      const subject = ids.subjectOf(keys[message]!);
      const known = bySubject.get(subject);
      if (known) known.push(message);
      else bySubject.set(subject, [message]);
      if (at % AT_ONCE === 0 && pace.isOver()) await pace.take();
    }
    const told = { places: new Int32Array(keys.length), children: new Uint32Array(keys.length) };
    let at = 0;
    for (const thread of bySubject.values()) {
      told.children[at] = thread.length - 1;
      for (const message of thread) {
        told.places[at++] = places[message]!;
        if (at % AT_ONCE === 0 && pace.isOver()) await pace.take();
      }
    }
    return told;
  }
}
