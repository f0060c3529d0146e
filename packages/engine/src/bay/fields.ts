import { decode } from "cborg";
import { type Position, position } from "./position.ts";

/** Reads a CBOR array field by field, each of the type that is due. Throws RangeError. */
export class Fields {
  readonly #values: readonly unknown[];
  #at = 0;

  constructor(value: unknown) {
    if (!Array.isArray(value)) throw new RangeError("not a list of fields");
    this.#values = value;
  }

  /** The fields of a CBOR array that fills the bytes. */
  static decode(bytes: Uint8Array): Fields {
    return new Fields(decodeItem(bytes));
  }

  /** The CBOR array that fills the bytes, as the one field of these. */
  static decodeList(bytes: Uint8Array): Fields {
    return new Fields([decodeItem(bytes)]);
  }

  #next(): unknown {
    if (this.#at >= this.#values.length) throw new RangeError("field is missing");
    return this.#values[this.#at++];
  }
  get isAtEnd(): boolean {
    return this.#at === this.#values.length;
  }
  integer(): number {
    const value = this.#next();
    if (!Number.isSafeInteger(value) || (value as number) < 0) throw new RangeError("field is no counting number");
    return value as number;
  }
  position(): Position {
    return position(this.integer());
  }
  number(): number {
    const value = this.#next();
    if (typeof value !== "number" || !Number.isFinite(value)) throw new RangeError("field is no number");
    return value;
  }
  text(): string {
    const value = this.#next();
    if (typeof value !== "string") throw new RangeError("field is no text");
    return value;
  }
  boolean(): boolean {
    const value = this.#next();
    if (typeof value !== "boolean") throw new RangeError("field is no truth value");
    return value;
  }
  bytes(length?: number): Uint8Array {
    const value = this.#next();
    if (!(value instanceof Uint8Array)) throw new RangeError("field is no bytes");
    if (length !== undefined && value.length !== length) throw new RangeError("field has the wrong length");
    return value;
  }
  texts(): string[] {
    return this.list((item) => item.text(), false);
  }
  optional<T>(read: (fields: Fields) => T): T | undefined {
    if (this.#at < this.#values.length && this.#values[this.#at] === null) {
      this.#at++;
      return undefined;
    }
    return read(this);
  }
  nested(): Fields {
    return new Fields(this.#next());
  }
  /** Each item by `read`; items are lists of fields themselves unless `lists` is false. */
  list<T>(read: (fields: Fields) => T, lists = true): T[] {
    const value = this.#next();
    if (!Array.isArray(value)) throw new RangeError("field is no list");
    return value.map((item) => {
      const fields = new Fields(lists ? item : [item]);
      const result = read(fields);
      fields.end();
      return result;
    });
  }
  end(): void {
    if (this.#at !== this.#values.length) throw new RangeError("fields too many");
  }
}

function decodeItem(bytes: Uint8Array): unknown {
  try {
    return decode(bytes, { strict: true });
  } catch (cause) {
    throw new RangeError("not CBOR", { cause });
  }
}
