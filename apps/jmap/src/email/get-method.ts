import { MAIL } from "../core/capabilities.ts";
import { invalidArguments } from "../core/errors.ts";
import { GET_ARGUMENTS, idsOf } from "../core/get.ts";
import { type Method, method } from "../core/method.ts";
import { stateOf } from "../core/states.ts";
import { type Argument, BOOLEAN, list, optional, TEXT, UNSIGNED, withDefault } from "../core/types.ts";
import { getEmails } from "./get.ts";
import { planOfGet } from "./properties.ts";

/** Arguments about bodies, of Email/get and Email/parse: RFC 8621 §4.2, §4.9. */
export const BODY_ARGUMENTS: {
  readonly bodyProperties: Argument<readonly string[] | undefined>;
  readonly fetchTextBodyValues: Argument<boolean>;
  readonly fetchHTMLBodyValues: Argument<boolean>;
  readonly fetchAllBodyValues: Argument<boolean>;
  readonly maxBodyValueBytes: Argument<number>;
} = {
  bodyProperties: optional(list(TEXT)),
  fetchTextBodyValues: withDefault(BOOLEAN, false),
  fetchHTMLBodyValues: withDefault(BOOLEAN, false),
  fetchAllBodyValues: withDefault(BOOLEAN, false),
  maxBodyValueBytes: withDefault(UNSIGNED, 0),
};

/** RFC 8621 §4.2. */
export const emailGet: Method = method(
  "Email/get",
  MAIL,
  { ...GET_ARGUMENTS, ...BODY_ARGUMENTS },
  async (args, context) => {
    const { session } = context;
    const plan = planOfGet(args);
    if (!args.ids) throw invalidArguments("ids: all emails can't be had at once");
    const ids = idsOf(args.ids, context);
    await session.lists(context);
    const state = stateOf(session.state, "Email");
    return { accountId: args.accountId, state, ...(await getEmails(session, ids, plan, context)) };
  },
);
