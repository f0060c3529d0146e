import { PLACES } from "./code-pages.ts";
import type { Element } from "./element.ts";
import { SchemaError } from "./errors.ts";
import { LIST_MAX } from "./limits.ts";

/** The kind of an element's value: how it is read, and how it is written. */
export interface Shape<T> {
  readonly read: (element: Element) => T;
  readonly write: (tag: string, value: T) => Element;
}

/** A child of a group: which element, of what shape, and how often. */
export interface Field<T> {
  readonly tag: string;
  readonly shape: Shape<unknown>;
  readonly min: 0 | 1;
  readonly max: number;
  /** From all elements of this tag, in their order. */
  readonly gather: (values: readonly unknown[]) => T;
  readonly spread: (value: T) => readonly unknown[];
}

/** A document: its root and what that holds. */
export interface Schema<T> {
  readonly tag: string;
  readonly shape: Shape<T>;
}

/** Exactly one. */
export function one<T>(tag: string, shape: Shape<T>): Field<T> {
  return field(
    tag,
    shape,
    1,
    1,
    (values) => values[0] as T,
    (value) => [value],
  );
}

/** One or none, which is null. */
export function optional<T>(tag: string, shape: Shape<T>): Field<T | null> {
  return field(
    tag,
    shape,
    0,
    1,
    (values) => (values[0] ?? null) as T | null,
    (value) => (value === null ? [] : [value]),
  );
}

/** Any number up to `max`, in the order of the document. */
export function many<T>(tag: string, shape: Shape<T>, max: number = LIST_MAX): Field<readonly T[]> {
  return field(
    tag,
    shape,
    0,
    max,
    (values) => values as readonly T[],
    (value) => value,
  );
}

function field<T>(
  tag: string,
  // biome-ignore lint/suspicious/noExplicitAny: a field takes the values it gives, whatever they are
  shape: Shape<any>,
  min: 0 | 1,
  max: number,
  gather: Field<T>["gather"],
  spread: Field<T>["spread"],
): Field<T> {
  if (!PLACES.has(tag)) throw new TypeError(`no code page has ${tag}`);
  return { tag, shape, min, max, gather, spread };
}

type Values<F> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never };

/**
 * Elements within an element, read in any order, written in the order of the fields. Throws SchemaError: `missing`,
 * `double` (one too many of what comes once), `many` (of what comes several times), `unexpected`.
 */
// biome-ignore lint/suspicious/noExplicitAny: a field takes the values it gives, whatever they are
export function group<F extends Readonly<Record<string, Field<any>>>>(fields: F): Shape<Values<F>> {
  const entries = Object.entries(fields);
  const places = new Map(entries.map(([, { tag }], at) => [tag, at]));
  if (places.size < entries.length) throw new TypeError("two fields of one tag");
  return {
    read: (element) => {
      if (element.content !== null) throw new SchemaError("invalid", element.tag, element.offset);
      const found: (unknown[] | undefined)[] = new Array(entries.length);
      for (const child of element.children) {
        const at = places.get(child.tag);
        if (at === undefined) throw new SchemaError("unexpected", child.tag, child.offset);
        const [, each] = entries[at]!;
        found[at] ??= [];
        const values = found[at];
        if (values.length >= each.max)
          throw new SchemaError(each.max === 1 ? "double" : "many", child.tag, child.offset);
        values.push(each.shape.read(child));
      }
      const values = entries.map(([name, each], at) => {
        const held = found[at] ?? [];
        if (held.length < each.min) throw new SchemaError("missing", each.tag, element.offset);
        return [name, each.gather(held)];
      });
      return Object.fromEntries(values) as Values<F>;
    },
    write: (tag, value) => ({
      tag,
      children: entries.flatMap(([name, each]) =>
        each.spread(value[name as keyof F]).map((held) => each.shape.write(each.tag, held)),
      ),
      content: null,
      isOpaque: false,
      offset: 0,
    }),
  };
}

/** A document whose root is `tag`. */
export function schema<T>(tag: string, shape: Shape<T>): Schema<T> {
  if (!PLACES.has(tag)) throw new TypeError(`no code page has ${tag}`);
  return { tag, shape };
}

/** The values of a document. Throws SchemaError, also `unexpected` for another root. */
export function readValues<T>({ tag, shape }: Schema<T>, root: Element): T {
  if (root.tag !== tag) throw new SchemaError("unexpected", root.tag, root.offset);
  return shape.read(root);
}

/** The document of these values. */
export function writeValues<T>({ tag, shape }: Schema<T>, value: T): Element {
  return shape.write(tag, value);
}
