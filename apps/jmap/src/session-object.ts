import { type AccountSession, PATH_DEPTH_MAX } from "@restante/engine";
import { BLOB_CAPABILITY } from "./blob/limits.ts";
import {
  BLOB,
  CORE,
  MAIL,
  MDN,
  QUOTA,
  SUBMISSION_CAPABILITY,
  VACATION_CAPABILITY,
  VAPID,
  WEB_SOCKET,
} from "./core/capabilities.ts";
import { COLLATIONS } from "./core/filter.ts";
import { CALLS_MAX, OBJECTS_MAX, REQUEST_BYTES_MAX, UPLOAD_BYTES_MAX } from "./core/limits.ts";
import { SORT_PROPERTIES } from "./email/query.ts";
import { NAME_BYTES_MAX } from "./mailbox/set.ts";

/** Capabilities that `using` may name. */
export const CAPABILITIES: ReadonlySet<string> = new Set([
  ...[CORE, MAIL, BLOB, WEB_SOCKET],
  ...[SUBMISSION_CAPABILITY, VACATION_CAPABILITY, VAPID, MDN, QUOTA],
]);

/** Requests and uploads that the door lets one account have at once. */
export interface AtOnce {
  readonly requests: number;
  readonly uploads: number;
}

/** An account's id: a letter first, as all of them. */
export function accountIdOf({ account }: Pick<AccountSession, "account">): string {
  return `a${account}`;
}

/**
 * The session object: RFC 8620 §2. `origin` is what every URL begins with, `https://host`. `state` tells of everything that is
 * not the account's mail.
 */
export function sessionObject(
  session: AccountSession,
  origin: string,
  atOnce: AtOnce,
): Readonly<Record<string, unknown>> {
  const accountId = accountIdOf(session);
  const hasQuota = isBounded(session);
  const holdSecondsMax = Math.floor(session.holdMsMax / 1000);
  const url = `${origin}/jmap`;
  const object = {
    capabilities: {
      [CORE]: {
        maxSizeUpload: UPLOAD_BYTES_MAX,
        maxConcurrentUpload: atOnce.uploads,
        maxSizeRequest: REQUEST_BYTES_MAX,
        maxConcurrentRequests: atOnce.requests,
        maxCallsInRequest: CALLS_MAX,
        maxObjectsInGet: OBJECTS_MAX,
        maxObjectsInSet: OBJECTS_MAX,
        collationAlgorithms: COLLATIONS,
      },
      [MAIL]: {},
      [BLOB]: {},
      ...(session.sends && { [SUBMISSION_CAPABILITY]: {}, [MDN]: {} }),
      ...(session.hasMandates && { [VACATION_CAPABILITY]: {} }),
      ...(hasQuota && { [QUOTA]: {} }),
      ...(session.pushKey !== undefined && { [VAPID]: { applicationServerKey: session.pushKey } }),
      [WEB_SOCKET]: { url: `${url.replace(/^http/, "ws")}/ws`, supportsPush: true },
    },
    accounts: {
      [accountId]: {
        name: session.address,
        isPersonal: true,
        isPrimary: true,
        isReadOnly: session.barred !== undefined,
        accountCapabilities: {
          [CORE]: {},
          [MAIL]: {
            maxMailboxesPerEmail: null,
            maxMailboxDepth: PATH_DEPTH_MAX,
            maxSizeMailboxName: NAME_BYTES_MAX,
            maxSizeAttachmentsPerEmail: UPLOAD_BYTES_MAX,
            emailQuerySortOptions: SORT_PROPERTIES,
            mayCreateTopLevelMailbox: session.barred === undefined,
          },
          [BLOB]: BLOB_CAPABILITY,
          ...(session.sends && {
            [SUBMISSION_CAPABILITY]: {
              maxDelayedSend: holdSecondsMax,
              submissionExtensions: { FUTURERELEASE: [String(holdSecondsMax)], DSN: [] },
            },
            [MDN]: {},
          }),
          ...(session.hasMandates && { [VACATION_CAPABILITY]: {} }),
          ...(hasQuota && { [QUOTA]: {} }),
        },
      },
    },
    primaryAccounts: {
      [CORE]: accountId,
      [MAIL]: accountId,
      [BLOB]: accountId,
      ...(session.sends && { [SUBMISSION_CAPABILITY]: accountId, [MDN]: accountId }),
      ...(session.hasMandates && { [VACATION_CAPABILITY]: accountId }),
      ...(hasQuota && { [QUOTA]: accountId }),
    },
    username: session.address,
    apiUrl: url,
    downloadUrl: `${url}/download/{accountId}/{blobId}/{name}?type={type}`,
    uploadUrl: `${url}/upload/{accountId}`,
    eventSourceUrl: `${url}/events?types={types}&closeafter={closeafter}&ping={ping}`,
  };
  return { ...object, state: hashOf(JSON.stringify(object)) };
}

/** True if the account has a quota of octets or messages. */
export function isBounded({ quota: { bytesMax, messagesMax } }: Pick<AccountSession, "quota">): boolean {
  return bytesMax !== undefined || messagesMax !== undefined;
}

/** FNV-1a, 32 bits, of UTF-16: to tell two texts apart. */
function hashOf(text: string): string {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return (hash >>> 0).toString(16);
}
