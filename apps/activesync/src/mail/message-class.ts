import { findParameter, type StructuredPart } from "@restante/mime";

/** A mail's class, by its structure alone: MS-ASEMAIL §2.2.2.49. */
export function messageClass(root: StructuredPart): string {
  if (isOpaqueSmime(root)) return "IPM.Note.SMIME";
  if (isSignedSmime(root)) return "IPM.Note.SMIME.MultipartSigned";
  if (isType(root, "multipart", "report")) return REPORTS[parameter(root, "report-type")] ?? "IPM.Note";
  return "IPM.Note";
}

const REPORTS: Readonly<Record<string, string>> = {
  "delivery-status": "REPORT.IPM.NOTE.NDR",
  "disposition-notification": "REPORT.IPM.NOTE.IPNRN",
};

/** True for a mail that is signed or encrypted by S/MIME: phones need its octets as they are. */
export function isSmime(root: StructuredPart): boolean {
  return isOpaqueSmime(root) || isSignedSmime(root);
}

/** True for a mail of which no part may be written anew: S/MIME, and OpenPGP (RFC 3156). */
export function isSealed(root: StructuredPart): boolean {
  return isOpaqueSmime(root) || isType(root, "multipart", "signed") || isType(root, "multipart", "encrypted");
}

function isOpaqueSmime(root: StructuredPart): boolean {
  return root.type === "application" && /^(?:x-)?pkcs7-mime$/.test(root.subtype);
}

function isSignedSmime(root: StructuredPart): boolean {
  return (
    isType(root, "multipart", "signed") && /^application\/(?:x-)?pkcs7-signature$/.test(parameter(root, "protocol"))
  );
}

function isType(part: StructuredPart, type: string, subtype: string): boolean {
  return part.type === type && part.subtype === subtype;
}

function parameter({ parameters }: StructuredPart, name: string): string {
  return findParameter(parameters, name)?.toLowerCase() ?? "";
}
