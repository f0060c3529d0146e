import { blobsOf } from "../blob/open.ts";
import { MAIL } from "../core/capabilities.ts";
import { invalidArguments, MethodError, type SetError } from "../core/errors.ts";
import { idsOf } from "../core/get.ts";
import { checkObjects, type Method, method } from "../core/method.ts";
import { checkState, stateOf } from "../core/states.ts";
import { BOOLEAN, ID, list, mapOf, OBJECT, optional, required, TEXT, withDefault } from "../core/types.ts";
import { createEmails } from "./create.ts";
import { BODY_ARGUMENTS } from "./get-method.ts";
import { parseEmails } from "./parse.ts";
import { planOfParse } from "./properties.ts";

/** RFC 8621 §4.8: always new emails. */
export const emailImport: Method = method(
  "Email/import",
  MAIL,
  { accountId: required(ID), ifInState: optional(TEXT), emails: required(mapOf(OBJECT)) },
  async ({ accountId, ifInState, emails }, context) => {
    const { session, createdIds } = context;
    checkObjects(emails.size);
    checkState(session.state, "Email", ifInState);
    const oldState = stateOf(session.state, "Email");
    const created = new Map<string, Readonly<Record<string, unknown>>>();
    const notCreated = new Map<string, SetError>();
    await createEmails(emails, "import", context, {
      created(creationId, email) {
        created.set(creationId, email);
        createdIds.set(creationId, email.id);
      },
      notCreated: (creationId, error) => void notCreated.set(creationId, error),
    });
    return {
      accountId,
      oldState,
      newState: stateOf(session.state, "Email"),
      created: created.size > 0 ? Object.fromEntries(created) : null,
      notCreated: notCreated.size > 0 ? Object.fromEntries(notCreated) : null,
    };
  },
);

/** RFC 8621 §4.7: from one account to another. There is one. */
export const emailCopy: Method = method(
  "Email/copy",
  MAIL,
  {
    fromAccountId: required(ID),
    ifFromInState: optional(TEXT),
    accountId: required(ID),
    ifInState: optional(TEXT),
    create: required(mapOf(OBJECT)),
    onSuccessDestroyOriginal: withDefault(BOOLEAN, false),
    destroyFromIfInState: optional(TEXT),
  },
  async ({ fromAccountId, accountId, create }) => {
    checkObjects(create.size);
    if (fromAccountId === accountId) throw invalidArguments("an email is copied to another account");
    throw new MethodError("fromAccountNotFound");
  },
);

/** RFC 8621 §4.9. */
export const emailParse: Method = method(
  "Email/parse",
  MAIL,
  { accountId: required(ID), blobIds: required(list(ID)), properties: optional(list(TEXT)), ...BODY_ARGUMENTS },
  async (args, context) => {
    const plan = planOfParse(args);
    const blobIds = idsOf(args.blobIds, context);
    const blobs = blobsOf(context.session, context);
    return { accountId: args.accountId, ...(await parseEmails(blobs, blobIds, plan, context)) };
  },
);
