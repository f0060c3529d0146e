import { parseEmailId } from "@restante/engine";
import { MAIL } from "../core/capabilities.ts";
import { idsOf } from "../core/get.ts";
import { type Method, method } from "../core/method.ts";
import { ID, list, OBJECT, optional, required } from "../core/types.ts";
import { emailCondition } from "./filter.ts";

/** Emails whose texts are looked through together. */
const EMAILS_AT_ONCE = 64;

/** RFC 8621 §5.1. */
export const searchSnippetGet: Method = method(
  "SearchSnippet/get",
  MAIL,
  { accountId: required(ID), filter: optional(OBJECT), emailIds: required(list(ID)) },
  async ({ accountId, filter, emailIds }, context) => {
    const { session } = context;
    const condition = emailCondition(filter, session.state, context);
    const ids = idsOf(emailIds, context);
    const found = [];
    const notFound = [];
    for (let from = 0; from < ids.length; from += EMAILS_AT_ONCE) {
      const some = ids.slice(from, from + EMAILS_AT_ONCE);
      const emails = await session.findEmails(
        some.map((id) => parseEmailId(id) ?? new Uint8Array(0)),
        context,
      );
      const shown = emails.flatMap((email) => (email ? [email.message] : []));
      const snippets = await session.readSnippets(shown, condition, context);
      let at = 0;
      for (const [place, emailId] of some.entries()) {
        if (!emails[place]) {
          notFound.push(emailId);
          continue;
        }
        const { subject = null, preview = null } = snippets[at++]!;
        found.push({ emailId, subject, preview });
      }
    }
    return { accountId, list: found, notFound: notFound.length > 0 ? notFound : null };
  },
);
