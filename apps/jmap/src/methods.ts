import { blobCopy, blobGet, blobLookup, blobUpload } from "./blob/methods.ts";
import { CORE } from "./core/capabilities.ts";
import type { Method } from "./core/method.ts";
import { emailCopy, emailImport, emailParse } from "./email/bring-methods.ts";
import { emailGet } from "./email/get-method.ts";
import { emailChanges, emailQuery, emailQueryChanges } from "./email/query.ts";
import { emailSet } from "./email/set.ts";
import { searchSnippetGet } from "./email/snippet.ts";
import { mailboxChanges, mailboxGet } from "./mailbox/get.ts";
import { mailboxQuery, mailboxQueryChanges } from "./mailbox/query.ts";
import { mailboxSet } from "./mailbox/set.ts";
import { mdnParse } from "./mdn/parse.ts";
import { mdnSend } from "./mdn/send.ts";
import { pushSubscriptionGet, pushSubscriptionSet } from "./push/subscription.ts";
import { quotaChanges, quotaGet, quotaQuery, quotaQueryChanges } from "./quota/quota.ts";
import { identityChanges, identityGet, identitySet } from "./submission/identity.ts";
import {
  submissionChanges,
  submissionGet,
  submissionQuery,
  submissionQueryChanges,
} from "./submission/read-methods.ts";
import { submissionSet } from "./submission/set.ts";
import { threadChanges, threadGet } from "./thread/thread.ts";
import { vacationGet, vacationSet } from "./vacation/vacation.ts";

/** RFC 8620 §4: what it is given. */
const echo: Method = { name: "Core/echo", capability: CORE, table: {}, call: async (given) => ({ result: given }) };

/** Every method that this server has. */
export const METHODS: readonly Method[] = [
  echo,
  mailboxGet,
  mailboxChanges,
  mailboxQuery,
  mailboxQueryChanges,
  mailboxSet,
  threadGet,
  threadChanges,
  emailGet,
  emailChanges,
  emailQuery,
  emailQueryChanges,
  emailSet,
  emailCopy,
  emailImport,
  emailParse,
  searchSnippetGet,
  blobCopy,
  blobUpload,
  blobGet,
  blobLookup,
  identityGet,
  identityChanges,
  identitySet,
  submissionGet,
  submissionChanges,
  submissionQuery,
  submissionQueryChanges,
  submissionSet,
  vacationGet,
  vacationSet,
  pushSubscriptionGet,
  pushSubscriptionSet,
  mdnSend,
  mdnParse,
  quotaGet,
  quotaChanges,
  quotaQuery,
  quotaQueryChanges,
];

export function methodsByName(methods: readonly Method[]): ReadonlyMap<string, Method> {
  return new Map(methods.map((method) => [method.name, method]));
}
