export { CODE_PAGES, type CodePage, type PageTag } from "./code-pages.ts";
export { decode } from "./decode.ts";
export type { Element } from "./element.ts";
export { encode } from "./encode.ts";
export { SchemaError, type SchemaErrorCode, WbxmlError, type WbxmlErrorCode } from "./errors.ts";
export {
  type Field,
  group,
  many,
  one,
  optional,
  readValues,
  type Schema,
  type Shape,
  schema,
  writeValues,
} from "./schema.ts";
export { boolean, element, empty, integer, octets, text } from "./shapes.ts";
