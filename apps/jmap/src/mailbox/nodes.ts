import { PATH_BYTES_MAX, type ReadMailbox, type SpecialUse } from "@restante/engine";
import { DELIMITER } from "./mailbox.ts";

/** Levels that are looked up: deeper paths IMAP can't have made, since each level has an octet and a delimiter. */
const LEVELS_MAX: number = PATH_BYTES_MAX / 2;

/** A mailbox that is there, or is to be made: by its id, or `#` and its creation id. */
export interface Node {
  readonly key: string;
  readonly mailbox: ReadMailbox | undefined;
  name: string;
  /** A node's key. */
  parent: string | undefined;
  /** The wanted role; undefined if it stays. */
  role: SpecialUse | "none" | undefined;
  sortOrder: number | undefined;
  isSubscribed: boolean | undefined;
  /** True if the request gives the mailbox another path. */
  isMoved: boolean;
}

export function nodeOf(key: string, mailbox: ReadMailbox | undefined, name: string): Node {
  return {
    key,
    mailbox,
    name,
    parent: undefined,
    role: undefined,
    sortOrder: undefined,
    isSubscribed: undefined,
    isMoved: false,
  };
}

/** INBOX is one name in any case. */
export function foldInbox(path: string): string {
  return path.toUpperCase() === "INBOX" ? "INBOX" : path;
}

/** True if the node stands below the top, in no circle, and not below more levels than there may be. */
export function standsSomewhere(nodes: ReadonlyMap<string, Node>, node: Node): boolean {
  let above: Node | undefined = node;
  for (let levels = 0; levels < LEVELS_MAX && above; levels++)
    above = above.parent === undefined ? undefined : nodes.get(above.parent);
  return above === undefined;
}

/** The path of each; of one whose name has a level that is no mailbox, as it was. */
export function pathsOf(nodes: ReadonlyMap<string, Node>): ReadonlyMap<string, string> {
  const paths = new Map<string, string>();
  for (const node of nodes.values()) {
    const line: Node[] = [];
    for (
      let one: Node | undefined = node;
      one && !paths.has(one.key);
      one = one.parent === undefined ? undefined : nodes.get(one.parent)
    )
      line.push(one);
    for (const one of line.reverse()) {
      const above = one.parent === undefined ? "" : `${paths.get(one.parent)!}${DELIMITER}`;
      paths.set(one.key, above + one.name);
    }
  }
  return paths;
}
