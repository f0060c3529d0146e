/** What a mail program asks of a domain before it knows anything: where the servers are. */

export type { MailServer, MailServers } from "./servers.ts";
export { autoconfigSite } from "./site.ts";
