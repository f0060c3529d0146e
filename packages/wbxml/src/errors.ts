/** Errors of bytes that are read, or of a document that is written. */
export type WbxmlErrorCode =
  | "header"
  | "cut"
  | "trailing"
  | "token"
  | "page"
  | "tag"
  | "attributes"
  | "content"
  | "integer"
  | "depth"
  | "elements"
  | "length";

/** Bytes that are no document of ActiveSync. `offset` is the octet at fault, from 0; in writing, of the output. */
export class WbxmlError extends Error {
  override readonly name = "WbxmlError";
  readonly code: WbxmlErrorCode;
  readonly offset: number;
  constructor(code: WbxmlErrorCode, offset: number) {
    super(`WBXML: ${code} at octet ${offset}`);
    this.code = code;
    this.offset = offset;
  }
}

/** How a document differs from its schema. */
export type SchemaErrorCode = "missing" | "double" | "unexpected" | "invalid" | "many";

/** A document that is well formed and not what its schema says. An app answers status 4 or 103. */
export class SchemaError extends Error {
  override readonly name = "SchemaError";
  readonly code: SchemaErrorCode;
  readonly tag: string;
  /** Octet of the element at fault; of its parent where it is missing. */
  readonly offset: number;
  constructor(code: SchemaErrorCode, tag: string, offset: number) {
    super(`WBXML: ${tag} ${code} at octet ${offset}`);
    this.code = code;
    this.tag = tag;
    this.offset = offset;
  }
}
