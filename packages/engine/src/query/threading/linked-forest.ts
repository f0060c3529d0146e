/**
 * Trees whose links come and go, and the root of each node: link-cut trees of Sleator and Tarjan, each path a splay tree. Every
 * step takes the logarithm of the nodes, over many of them, however deep the trees are. Nodes are numbered from 1.
 */
export class LinkedForest {
  /** 0 for roots. */
  readonly parents: Uint32Array;
  readonly #children: Uint32Array;
  /** Above and below in a path's splay tree. Of a splay tree's own root: the node that its path hangs from. */
  readonly #up: Uint32Array;
  readonly #left: Uint32Array;
  readonly #right: Uint32Array;

  constructor(nodes: number) {
    const links = (): Uint32Array => new Uint32Array(nodes + 1);
    this.parents = links();
    this.#children = links();
    [this.#up, this.#left, this.#right] = [links(), links(), links()];
  }

  /** Makes a root the child of another node, unless that lies below it. */
  link(child: number, parent: number): void {
    if (child === parent) return;
    if (this.#children[child] !== 0 && this.#rootOf(parent) === child) return;
    this.#access(child);
    this.#up[child] = parent;
    this.parents[child] = parent;
    this.#children[parent]!++;
  }

  /** Makes a node a root. */
  cut(child: number): void {
    const parent = this.parents[child]!;
    if (parent === 0) return;
    this.#access(child);
    this.#up[this.#left[child]!] = 0;
    this.#left[child] = 0;
    this.parents[child] = 0;
    this.#children[parent]!--;
  }

  #rootOf(node: number): number {
    this.#access(node);
    let root = node;
    while (this.#left[root] !== 0) root = this.#left[root]!;
    // The splay makes a deep node shallow for the next time.
    this.#splay(root);
    return root;
  }

  /** Makes the path from the root to `node` one splay tree, with it on top. */
  #access(node: number): void {
    this.#splay(node);
    this.#right[node] = 0;
    for (let above = this.#up[node]!; above !== 0; above = this.#up[node]!) {
      this.#splay(above);
      this.#right[above] = node;
      this.#splay(node);
    }
  }

  #splay(node: number): void {
    while (!this.#isTop(node)) {
      const up = this.#up[node]!;
      if (!this.#isTop(up)) {
        const isZigZig = (this.#left[up] === node) === (this.#left[this.#up[up]!] === up);
        this.#rotate(isZigZig ? up : node);
      }
      this.#rotate(node);
    }
  }

  #isTop(node: number): boolean {
    const up = this.#up[node]!;
    return up === 0 || (this.#left[up] !== node && this.#right[up] !== node);
  }

  /** Puts a node in the place of the one above it. */
  #rotate(node: number): void {
    const up = this.#up[node]!;
    const top = this.#up[up]!;
    const [near, far] = this.#left[up] === node ? [this.#left, this.#right] : [this.#right, this.#left];
    if (this.#left[top] === up) this.#left[top] = node;
    else if (this.#right[top] === up) this.#right[top] = node;
    const between = far[node]!;
    near[up] = between;
    if (between !== 0) this.#up[between] = up;
    far[node] = up;
    this.#up[up] = node;
    this.#up[node] = top;
  }
}
