import type { StructuredPart } from "./part-tree.ts";

/** A part, and how it is known: RFC 8621 §4.1.4. */
export interface PartNode {
  readonly part: StructuredPart;
  /** As IMAP numbers it (RFC 9051 §6.4.5.1); null of a multipart, as `partId` is. */
  readonly path: string | null;
  readonly subParts: readonly PartNode[];
}

/** The parts of a message that are its own: none is looked into that is a message itself. */
export function nodesOf(root: StructuredPart): PartNode {
  if (root.kind !== "multipart") return { part: root, path: "1", subParts: [] };
  return multipart(root, "");
}

/** As deep as the scanner went: DEPTH_MAX of mime. */
function multipart(part: StructuredPart, prefix: string): PartNode {
  const subParts = part.children.map((child, at) => {
    const path = `${prefix}${at + 1}`;
    return child.kind === "multipart" ? multipart(child, `${path}.`) : { part: child, path, subParts: [] };
  });
  return { part, path: null, subParts };
}

/** A node and all within it, from front to back. */
export function* allNodes(node: PartNode): Generator<PartNode> {
  yield node;
  for (const sub of node.subParts) yield* allNodes(sub);
}

/** The part that a path names; none of a multipart. */
export function findNode(root: PartNode, path: string): StructuredPart | undefined {
  if (root.path !== null) return root.path === path ? root.part : undefined;
  let node: PartNode | undefined = root;
  for (const number of path.split(".")) node = node?.subParts[Number(number) - 1];
  return node?.path === path ? node.part : undefined;
}
