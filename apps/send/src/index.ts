/** How mail leaves: by a smarthost, or to those who live here. */
export { LocalTransport, type LocalTransportOptions } from "./local.ts";
export { Vapid, type VapidOptions } from "./push/vapid.ts";
export { WebPush, type WebPushOptions } from "./push/web-push.ts";
export { parseSmarthost, type Smarthost } from "./smarthost.ts";
export { SmtpTransport, type SmtpTransportOptions } from "./smtp.ts";
