export { CODE_PAGES, type CodePage, type PageTag } from "./code-pages.ts";
export { decode } from "./decode.ts";
export type { Element } from "./element.ts";
export { encode } from "./encode.ts";
export { SchemaError, type SchemaErrorCode, WbxmlError, type WbxmlErrorCode } from "./errors.ts";
