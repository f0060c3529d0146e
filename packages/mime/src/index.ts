export { type Address, displayName, formatAddress, type Group, type Mailbox, parseAddresses } from "./addresses.ts";
export { type BaseSubject, baseSubject, baseSubjectOf } from "./base-subject.ts";
export { binaryBytes, binaryText, decodeRaw } from "./binary.ts";
export { type BodyParts, bodyParts, hasAttachment, isHtml } from "./body-parts.ts";
export { bodyFromBodyStructure, bodyStructureOfRev1, parseStructured, type Structured } from "./body-structure.ts";
export { type DecodedText, decodeCharset } from "./charset.ts";
export { composed } from "./composed.ts";
export { cutText } from "./cut-text.ts";
export { decodeUnstructured, decodeWords, encodeWords } from "./encoded-words.ts";
export { type MailDate, parseDate, parseMessageIds, parseUrls, references } from "./fields.ts";
export { findHeader, HeaderBlock, type HeaderField, parseHeaders } from "./headers.ts";
export { stripHtml } from "./html-text.ts";
export { bodyStructureSteps, formatBody, formatBodyStructure, formatEnvelope } from "./imap.ts";
export { type ByteSpan, decodeOffsets, encodeOffsets, findPart, findSection, type PartOffsets } from "./offsets.ts";
export {
  decodeParameter,
  findParameter,
  type Parameter,
  type Parameterized,
  parseParameterized,
} from "./parameters.ts";
export { allNodes, findNode, nodesOf, type PartNode } from "./part-nodes.ts";
export { decodePartOctets, encodePartOctets } from "./part-octets.ts";
export { partTree, type StructuredPart } from "./part-tree.ts";
export { decodeText, fileName, type MessageText, messageText, preview } from "./preview.ts";
export {
  type DeliveryReport,
  type DeliveryStatus,
  type Disposition,
  type DispositionReport,
  isReport,
  parseDeliveryReport,
  parseDispositionReport,
  reportPart,
} from "./reports.ts";
export { createScanner, type MessageStructure, type Part, type Scanner, scan } from "./scanner.ts";
export { createTextDecoder, createTransferDecoder, decodeTransfer, type TransferDecoder } from "./transfer.ts";
export { type ComposedMessage, type ComposeOptions, compose, type NewMessage } from "./write/compose.ts";
export { type Content, look, type OctetFacts, OctetLook, type StreamedContent } from "./write/content.ts";
export {
  arrange,
  type Bodies,
  type NewFile,
  type NewMessagePart,
  type NewMultipart,
  type NewPart,
  type NewText,
  type NewVerbatim,
  type PartFields,
  quote,
} from "./write/new-part.ts";
export { formatAddrSpec, type NewGroup, type NewMailbox } from "./write/write-addresses.ts";
export { type NewDate, type NewField, type NewValue, writeField } from "./write/write-field.ts";
