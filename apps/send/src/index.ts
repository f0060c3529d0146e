/** How mail leaves: to those who live here, or by a smarthost, whose part is behind `@restante/send/smtp`. */
export { LocalTransport, type LocalTransportOptions } from "./local.ts";
export { Vapid, type VapidOptions } from "./push/vapid.ts";
export { WebPush, type WebPushOptions } from "./push/web-push.ts";
export { parseSmarthost, type Smarthost } from "./smarthost.ts";
