import type { JmapClient, Json } from "./jmap-client.ts";
import { DEMO } from "./server.ts";

const SENDING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:submission"];

/** The arguments of the answer to one call that has to do with sending. */
export async function callSending(client: JmapClient, name: string, args: object): Promise<Json> {
  return (await client.request([[name, args as never, "0"]], SENDING)).methodResponses[0][1];
}

/** Submits a mail that is held for an hour. Resolves with its submission's id. */
export async function holdMail(client: JmapClient, subject: string): Promise<string> {
  const made = {
    mailboxIds: { [await client.mailbox("sent")]: true },
    from: [{ email: DEMO.user }],
    to: [{ email: "x@sink.example" }],
    subject,
    textBody: [{ partId: "t", type: "text/plain" }],
    bodyValues: { t: { value: `the words of ${subject}` } },
  };
  const emailId = (await client.call("Email/set", { create: { made } })).created.made.id;
  const envelope = {
    mailFrom: { email: DEMO.user, parameters: { HOLDFOR: "3600" } },
    rcptTo: [{ email: "x@sink.example", parameters: null }],
  };
  const s = { identityId: "i0", emailId, envelope };
  return (await callSending(client, "EmailSubmission/set", { create: { s } })).created.s.id;
}
