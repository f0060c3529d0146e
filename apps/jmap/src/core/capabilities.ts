/** The capabilities that this server has: RFC 8620 §2, RFC 8621 §1.3, RFC 8887 §3, RFC 9404 §3. */
export const CORE = "urn:ietf:params:jmap:core";
export const MAIL = "urn:ietf:params:jmap:mail";
export const BLOB = "urn:ietf:params:jmap:blob";
export const WEB_SOCKET = "urn:ietf:params:jmap:websocket";
export const SUBMISSION_CAPABILITY = "urn:ietf:params:jmap:submission";
export const VACATION_CAPABILITY = "urn:ietf:params:jmap:vacationresponse";
/** RFC 9749 §3. */
export const VAPID = "urn:ietf:params:jmap:webpush-vapid";
/** RFC 9007 §1.3. */
export const MDN = "urn:ietf:params:jmap:mdn";
/** RFC 9425 §2. */
export const QUOTA = "urn:ietf:params:jmap:quota";
