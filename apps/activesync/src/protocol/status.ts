import { Problem } from "@restante/host";
import type { Version } from "./version.ts";

/** Status codes of all commands: MS-ASCMD §2.2.2. */
export const STATUS = {
  invalidContent: 101,
  invalidWbxml: 102,
  invalidXml: 103,
  invalidDateTime: 104,
  invalidIds: 106,
  invalidMime: 107,
  deviceIdInvalid: 108,
  deviceTypeInvalid: 109,
  serverError: 110,
  retryLater: 111,
  quotaExceeded: 113,
  sendingQuotaExceeded: 115,
  recipientUnknown: 116,
  previouslySent: 118,
  noRecipient: 119,
  sendFailed: 120,
  smartFailed: 121,
  attachmentTooLarge: 122,
  deviceBlocked: 129,
  stateNotFound: 132,
  commandUnknown: 137,
  versionUnknown: 138,
  deviceNotCompliant: 139,
  wipeRequested: 140,
  notProvisioned: 142,
  policyChanged: 143,
  policyKeyWrong: 144,
  notRecurring: 146,
  itemGone: 150,
  tooManyFolders: 151,
  moveAlwaysMissing: 155,
  destinationInvalid: 156,
  bodyPartTypeUnknown: 164,
  deviceInformationMissing: 165,
  accountIdInvalid: 166,
  sendingDisabled: 167,
  tooManyDevices: 177,
  mimeAndBody: 178,
  draftRecipientsInvalid: 183,
} as const;

/** Status of an item of a Sync, which can't be made of what came and is not sent again: MS-ASCMD §2.2.3.177.17. */
export const CONVERSION_ERROR = 6;

/** The status of a whole command, instead of its answer. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly status: number;

  constructor(status: number, message = `status ${status}`) {
    super(message);
    this.status = status;
  }
}

/** Lines of HTTP that say the same to clients before 14.0: MS-ASCMD §2.2.2. All others are 400. */
const LINES: Readonly<Record<number, number>> = {
  110: 500,
  111: 503,
  113: 507,
  118: 200,
  129: 403,
  132: 403,
  137: 501,
  138: 505,
  139: 403,
  140: 449,
  141: 449,
  142: 449,
  143: 449,
  144: 449,
  177: 403,
};
const RETRY_AFTER_SECONDS = "30";

/** A common status as the line of HTTP that it was before 14.0. */
export function problemOf({ status, message }: CommandError): Problem {
  const line = LINES[status] ?? 400;
  return new Problem(line, message, line === 503 ? { headers: { "retry-after": RETRY_AFTER_SECONDS } } : {});
}

/** True for versions whose answers may have statuses from 101 on. */
export function hasCommonStatus(version: Version): boolean {
  return version >= 14;
}
