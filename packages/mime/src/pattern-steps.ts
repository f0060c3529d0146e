/**
 * A regular expression that tells how many steps a backtracking engine takes for it, which no engine tells: each try of a
 * place, each character tested, each way taken again. It reads what our sources use of the syntax, and throws on the rest.
 */
export class Pattern {
  readonly #root: Node;
  readonly #isSticky: boolean;
  #text = "";
  #steps = 0;

  constructor(source: string, flags: string) {
    this.#root = new PatternReader(source, flags).read();
    this.#isSticky = flags.includes("y");
  }

  /** Steps of one `exec` from an index on. Throws if it comes to another result than the engine did. */
  steps(text: string, from: number, matched: boolean): number {
    this.#text = text;
    this.#steps = 0;
    let found = false;
    for (let start = from; start <= text.length && !found; start++) {
      found = this.#match(this.#root, start, () => true);
      if (this.#isSticky) break;
    }
    if (found !== matched) throw new Error("an expression is counted wrongly");
    return this.#steps;
  }

  #match(node: Node, at: number, then: (at: number) => boolean): boolean {
    this.#steps++;
    switch (node.kind) {
      case "one":
        return at < this.#text.length && node.test(this.#text[at]!) && then(at + 1);
      case "edge":
        return node.test(this.#text, at) && then(at);
      case "all":
        return this.#matchAll(node.nodes, 0, at, then);
      case "any":
        return node.nodes.some((branch) => this.#match(branch, at, then));
      case "repeat":
        return node.node.kind === "one" ? this.#repeatOne(node, node.node, at, then) : this.#repeat(node, 0, at, then);
    }
  }

  #matchAll(nodes: readonly Node[], index: number, at: number, then: (at: number) => boolean): boolean {
    const node = nodes[index];
    return node ? this.#match(node, at, (next) => this.#matchAll(nodes, index + 1, next, then)) : then(at);
  }

  #repeatOne({ min, max }: Repeat, { test }: One, from: number, then: (at: number) => boolean): boolean {
    let at = from;
    while (at < this.#text.length && at - from < max && test(this.#text[at]!)) {
      this.#steps++;
      at++;
    }
    for (; at - from >= min; at--) {
      this.#steps++;
      if (then(at)) return true;
    }
    return false;
  }

  #repeat(node: Repeat, count: number, at: number, then: (at: number) => boolean): boolean {
    const more =
      count < node.max && this.#match(node.node, at, (next) => next > at && this.#repeat(node, count + 1, next, then));
    return more || (count >= node.min && then(at));
  }
}

type One = { readonly kind: "one"; readonly test: (char: string) => boolean };
type Repeat = { readonly kind: "repeat"; readonly node: Node; readonly min: number; readonly max: number };
type Node =
  | One
  | Repeat
  | { readonly kind: "edge"; readonly test: (text: string, at: number) => boolean }
  | { readonly kind: "all" | "any"; readonly nodes: readonly Node[] };

class PatternReader {
  readonly #source: string;
  readonly #flags: string;
  #at = 0;

  constructor(source: string, flags: string) {
    this.#source = source;
    this.#flags = flags.replace(/[gy]/g, "");
  }

  read(): Node {
    const node = this.#alternatives();
    if (this.#at < this.#source.length) throw new Error(`can't read /${this.#source}/`);
    return node;
  }

  #alternatives(): Node {
    const branches: Node[] = [this.#sequence()];
    while (this.#source[this.#at] === "|") {
      this.#at++;
      branches.push(this.#sequence());
    }
    return branches.length === 1 ? branches[0]! : { kind: "any", nodes: branches };
  }

  #sequence(): Node {
    const nodes: Node[] = [];
    while (this.#at < this.#source.length && !"|)".includes(this.#source[this.#at]!)) nodes.push(this.#quantified());
    return { kind: "all", nodes };
  }

  #quantified(): Node {
    const node = this.#atom();
    const quantifier = /^(?:([*+?])|\{(\d+)(,?)(\d*)\})/.exec(this.#source.slice(this.#at));
    if (!quantifier) return node;
    this.#at += quantifier[0].length;
    if (this.#source[this.#at] === "?") throw new Error("a lazy quantifier");
    const [, sign, least, comma, most] = quantifier;
    if (sign) return { kind: "repeat", node, min: sign === "+" ? 1 : 0, max: sign === "?" ? 1 : Infinity };
    const min = Number(least);
    return { kind: "repeat", node, min, max: most ? Number(most) : comma ? Infinity : min };
  }

  #atom(): Node {
    const rest = this.#source.slice(this.#at);
    if (rest[0] === "(") return this.#group(rest);
    const [text] = /^(?:\[(?:[^\]\\]|\\.)*\]|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\.|[\s\S])/i.exec(rest)!;
    this.#at += text.length;
    const multiline = this.#flags.includes("m");
    if (text === "^") return edge((all, at) => at === 0 || (multiline && all[at - 1] === "\n"));
    if (text === "$") return edge((all, at) => at === all.length || (multiline && all[at] === "\n"));
    if (text === "\\b") return edge((all, at) => isWord(all[at - 1]) !== isWord(all[at]));
    if (/^\\[1-9BkpP]/.test(text)) throw new Error(`can't read ${text}`);
    const one = new RegExp(`^${text}$`, this.#flags.replace("m", ""));
    const known = new Map<string, boolean>();
    return {
      kind: "one",
      test(char) {
        let fits = known.get(char);
        if (fits === undefined) {
          fits = one.test(char);
          known.set(char, fits);
        }
        return fits;
      },
    };
  }

  #group(rest: string): Node {
    const open = /^\((?:\?:)?/.exec(rest)![0];
    if (rest[open.length] === "?") throw new Error("a group of its own kind");
    this.#at += open.length;
    const node = this.#alternatives();
    this.#at++;
    return node;
  }
}

function edge(test: (text: string, at: number) => boolean): Node {
  return { kind: "edge", test };
}

function isWord(char: string | undefined): boolean {
  return char !== undefined && /\w/.test(char);
}
