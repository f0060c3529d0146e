import { invalidArguments } from "./errors.ts";

/** Types of arguments, each declared once: the reading of arguments, their errors, the documentation and the hostile tests
 * all come from these tables. */
export interface Type<T> {
  /** As RFC 8620 §1.1 writes it. */
  readonly name: string;
  /** Undefined if the value is none of this type. */
  readonly read: (value: unknown) => T | undefined;
}

/** RFC 8620 §1.2. Other strings are no ids of ours: they name nothing, and are told so. */
export const ID: Type<string> = { name: "Id", read: (value) => (typeof value === "string" ? value : undefined) };
export const TEXT: Type<string> = { name: "String", read: (value) => (typeof value === "string" ? value : undefined) };
export const BOOLEAN: Type<boolean> = {
  name: "Boolean",
  read: (value) => (typeof value === "boolean" ? value : undefined),
};
/** RFC 8620 §1.3: within what a double holds. */
export const INT: Type<number> = {
  name: "Int",
  read: (value) => (Number.isSafeInteger(value) ? (value as number) : undefined),
};
export const UNSIGNED: Type<number> = {
  name: "UnsignedInt",
  read: (value) => (Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined),
};

/** RFC 8620 §1.4: milliseconds since 1970. */
export const UTC_DATE: Type<number> = { name: "UTCDate", read: (value) => readDate(value)?.timeMs };

const DATE = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d*[1-9])?Z$/;

/** A `UTCDate`. A day that no month has is none; nor is one before the year 1. */
function readDate(value: unknown): { readonly timeMs: number } | undefined {
  if (typeof value !== "string") return undefined;
  const parts = DATE.exec(value);
  const timeMs = parts ? Date.parse(value) : Number.NaN;
  if (!parts || Number.isNaN(timeMs) || Number(parts[3]) !== new Date(timeMs).getUTCDate()) return undefined;
  return { timeMs };
}

export function list<T>(of: Type<T>): Type<readonly T[]> {
  return {
    name: `${of.name}[]`,
    read(value) {
      if (!Array.isArray(value)) return undefined;
      const items: T[] = [];
      for (const item of value) {
        const read = of.read(item);
        if (read === undefined) return undefined;
        items.push(read);
      }
      return items;
    },
  };
}

/** By names that a client chose. */
export function mapOf<T>(of: Type<T>): Type<ReadonlyMap<string, T>> {
  return {
    name: `String[${of.name}]`,
    read(value) {
      if (!isObject(value)) return undefined;
      const items = new Map<string, T>();
      for (const [name, item] of Object.entries(value)) {
        const read = of.read(item);
        if (read === undefined) return undefined;
        items.set(name, read);
      }
      return items;
    },
  };
}

/** An object whose own reader looks into it. */
export const OBJECT: Type<Readonly<Record<string, unknown>>> = {
  name: "Object",
  read: (value) => (isObject(value) ? value : undefined),
};

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export interface Argument<T> {
  readonly type: Type<T>;
  /** Missing and null are the same: RFC 8620 §5 writes `null` for what is not given. */
  readonly isRequired: boolean;
  readonly byDefault: T | undefined;
}

export function required<T>(type: Type<T>): Argument<T> & { readonly isRequired: true } {
  return { type, isRequired: true, byDefault: undefined };
}
/** Undefined where it is not given. */
export function optional<T>(type: Type<T>): Argument<T | undefined> & { readonly isRequired: false } {
  return { type, isRequired: false, byDefault: undefined };
}
export function withDefault<T>(type: Type<T>, byDefault: T): Argument<T> & { readonly isRequired: false } {
  return { type, isRequired: false, byDefault };
}

export type ArgumentTable = Readonly<Record<string, Argument<unknown>>>;
export type Arguments<Table extends ArgumentTable> = {
  readonly [Name in keyof Table]: Table[Name] extends Argument<infer T> ? T : never;
};

/** Arguments by their table; what it doesn't name is passed over. Throws MethodError `invalidArguments`. */
export function readArguments<Table extends ArgumentTable>(
  table: Table,
  given: Readonly<Record<string, unknown>>,
): Arguments<Table> {
  const read: Record<string, unknown> = {};
  for (const [name, { type, isRequired, byDefault }] of Object.entries(table)) {
    const value = Object.hasOwn(given, name) ? given[name] : undefined;
    if (value === undefined || value === null) {
      if (isRequired) throw invalidArguments(`${name} is missing`);
      read[name] = byDefault;
      continue;
    }
    const one = type.read(value);
    if (one === undefined) throw invalidArguments(`${name} is no ${type.name}`);
    read[name] = one;
  }
  return read as Arguments<Table>;
}
