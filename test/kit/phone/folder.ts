import type { Node, Tree } from "./wbxml.ts";

/** A property as a phone knows it: a text, more of them by name, or a list where a name comes again. */
export type Value = string | readonly Value[] | { readonly [name: string]: Value };
export type Properties = { readonly [name: string]: Value };

/** How a folder is to be given. */
export interface FolderTerms {
  /** 0 all, 1 a day, 2 three days, 3 a week, 4 two weeks, 5 a month. */
  readonly filter?: number;
  readonly window?: number;
  /** By type: 1 plain, 2 HTML, 4 MIME. */
  readonly body?: readonly BodyTerms[];
  /** 0 never, 1 signed and encrypted mail, 2 all. */
  readonly mime?: number;
}

export interface BodyTerms {
  readonly type: number;
  readonly size?: number;
  readonly allOrNone?: boolean;
  readonly preview?: number;
}

/** An act of a phone on an item, which it tells with its next Sync. */
export type Command =
  | { readonly kind: "add"; readonly clientId: string; readonly data: readonly Tree[]; readonly send?: boolean }
  | { readonly kind: "change"; readonly id: string; readonly data: readonly Tree[]; readonly send?: boolean }
  | { readonly kind: "delete"; readonly id: string }
  | { readonly kind: "fetch"; readonly id: string };

/** A folder as a phone holds it. */
export class PhoneFolder {
  readonly id: string;
  name: string;
  parent: string;
  readonly type: string;
  terms: FolderTerms;
  key = "0";
  readonly items: Map<string, Properties> = new Map();
  /** Moved away by this phone: the server may tell of it, or not. */
  readonly movedAway: Set<string> = new Set();

  constructor(id: string, name: string, parent: string, type: string, terms: FolderTerms) {
    this.id = id;
    this.name = name;
    this.parent = parent;
    this.type = type;
    this.terms = terms;
  }

  restart(): void {
    this.key = "0";
    this.items.clear();
    this.movedAway.clear();
  }

  /** Takes what the server says of an item. Throws where no phone could make sense of it. */
  take(command: Node): void {
    const id = command.at("ServerId");
    if (!id) throw new Error(`no ServerId in ${command}`);
    const data = command.find("ApplicationData");
    switch (command.name) {
      case "Add":
        if (this.items.has(id)) throw new Error(`${id} is added, and is there`);
        this.items.set(id, propertiesOf(data!));
        break;
      case "Change":
        if (!this.items.has(id)) throw new Error(`${id} changes, and is not there`);
        this.items.set(id, { ...this.items.get(id), ...propertiesOf(data!) });
        break;
      case "Delete":
      case "SoftDelete":
        if (!this.items.delete(id) && !this.movedAway.delete(id)) throw new Error(`${id} goes, and is not there`);
        break;
      default:
        throw new Error(`${command.name} is no command`);
    }
  }

  /** Keeps an act of the phone itself that the server took. */
  did(command: Command): void {
    if (command.kind === "delete") this.items.delete(command.id);
    if (command.kind === "change" && command.send) this.items.delete(command.id);
    else if (command.kind === "change") {
      const known = this.items.get(command.id) ?? {};
      this.items.set(command.id, { ...known, ...Object.fromEntries(command.data.map(pairOf)) });
    }
  }
}

export function propertiesOf(data: Node): Properties {
  return Object.fromEntries(
    [...new Set(data.children.map(({ name }) => name))].map((name) => {
      const values = data.all(name).map(valueIn);
      return [name, values.length === 1 ? values[0]! : values];
    }),
  );
}

function valueIn(node: Node): Value {
  return node.children.length > 0 ? propertiesOf(node) : node.text;
}

function pairOf([tag, ...content]: Tree): [string, Value] {
  const name = tag.slice(tag.indexOf(":") + 1);
  const [first] = content;
  if (first === undefined) return [name, ""];
  if (typeof first === "string") return [name, first];
  if (first instanceof Uint8Array) return [name, Buffer.from(first).toString("latin1")];
  const pairs = (content as readonly Tree[]).map(pairOf);
  const values: Record<string, Value> = {};
  for (const [key, value] of pairs) {
    const before = values[key];
    values[key] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value];
  }
  return [name, values];
}
