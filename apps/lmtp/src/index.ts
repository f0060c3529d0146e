export { candidates, type RecipientRules } from "./recipients.ts";
export { createLmtpServer, type LmtpServer, type LmtpServerOptions } from "./server.ts";
