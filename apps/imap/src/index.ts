export { capabilitiesOf, GRAMMAR_CAPABILITIES } from "./capabilities.ts";
export type { ConnectionEvent, Trace } from "./connection-options.ts";
export { createImapServer, type ImapServer, type ImapServerOptions } from "./server.ts";
export { decodeMailboxName, encodeMailboxName } from "./wire/mailbox-name.ts";
