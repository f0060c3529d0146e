/** Settings for mail programs that know only an address: names and ports of the servers. */

export type { MailServer, MailServers } from "./servers.ts";
export { autoconfigSite } from "./site.ts";
