export { type Address, displayName, formatAddress, type Group, type Mailbox, parseAddresses } from "./addresses.ts";
export { type BaseSubject, baseSubject } from "./base-subject.ts";
export { binaryBytes, binaryText, decodeRaw } from "./binary.ts";
export { bodyFromBodyStructure, parseStructured, type Structured } from "./body-structure.ts";
export { type DecodedText, decodeCharset } from "./charset.ts";
export { decodeWords, encodeWords } from "./encoded-words.ts";
export { type MailDate, parseDate, parseMessageIds, references } from "./fields.ts";
export { findHeader, HeaderBlock, type HeaderField, parseHeaders } from "./headers.ts";
export { bodyStructureSteps, formatBody, formatBodyStructure, formatEnvelope } from "./imap.ts";
export { type ByteSpan, decodeOffsets, encodeOffsets, findPart, findSection, type PartOffsets } from "./offsets.ts";
export {
  decodeParameter,
  findParameter,
  type Parameter,
  type Parameterized,
  parseParameterized,
} from "./parameters.ts";
export { decodeText, fileName, preview, stripHtml } from "./preview.ts";
export { createScanner, type MessageStructure, type Part, type Scanner, scan } from "./scanner.ts";
export { createTransferDecoder, decodeTransfer, type TransferDecoder } from "./transfer.ts";
