import { type EmailEdit, EngineError, type StateClaim } from "@restante/engine";
import { MAIL } from "../core/capabilities.ts";
import { MethodError, setErrorOf } from "../core/errors.ts";
import { type Context, type Method, method } from "../core/method.ts";
import { SET_ARGUMENTS, SetResults } from "../core/set.ts";
import { checkState, parsePoint, stateOf } from "../core/states.ts";
import { createEmails } from "./create.ts";
import { destructionOf, editError, editOf } from "./edit.ts";
import { emailGet } from "./get-method.ts";
import { EMAIL_PROPERTIES } from "./properties.ts";

/**
 * RFC 8621 §4.6. All that is updated and destroyed is one op, of which the state that the client names is a condition; each
 * email of it is done wholly or not at all.
 */
export const emailSet: Method = method("Email/set", MAIL, SET_ARGUMENTS, async (args, context) => {
  const { session } = context;
  checkState(session.state, "Email", args.ifInState);
  const results = new SetResults(args, context);
  const oldState = stateOf(session.state, "Email");
  // Emails are created first, since updates may name them. Creating changes the state that a claim would name.
  await createEmails(results.create, "email", context, {
    created: (creationId, email) => results.created(creationId, email, context),
    notCreated: (creationId, error) => results.notCreated(creationId, error),
  });
  await leaveOutWhatIs(results, context);
  const claims = args.ifInState !== undefined && results.create.size === 0;
  await edit(results, context, claims ? claimOf(args.ifInState!, context) : undefined);
  return results.answer(args.accountId, oldState, stateOf(session.state, "Email"));
});

/** Takes out of updates the immutable properties that are said with their present value. Emails are read only where an update
 * has such a property. */
async function leaveOutWhatIs(results: SetResults, context: Context): Promise<void> {
  const said = new Set<string>();
  const ids = [...results.update].flatMap(([id, given]) => {
    const names = Object.keys(given).filter((name) => FIXED.has(name));
    for (const name of names) said.add(name);
    return names.length > 0 ? [id] : [];
  });
  if (ids.length === 0) return;
  const asked = { accountId: context.accountId, ids, properties: [...said] };
  const { result } = await emailGet.call(asked, context);
  const list = result.list as readonly (Readonly<Record<string, unknown>> & { readonly id: string })[];
  results.leaveOutWhatIs(new Map(list.map((shown) => [shown.id, shown])), FIXED);
}
const FIXED: ReadonlySet<string> = new Set(
  EMAIL_PROPERTIES.filter((name) => name !== "keywords" && name !== "mailboxIds"),
);

function claimOf(ifInState: string, { session: { state } }: Context): StateClaim {
  return { type: "email", epoch: state.epoch, modSeq: parsePoint(ifInState, state, "Email").modSeq };
}

/** Updates and destroys emails in one op. Throws MethodError `stateMismatch`. */
async function edit(results: SetResults, context: Context, claim: StateClaim | undefined): Promise<void> {
  const lists = await context.session.lists(context);
  const edits: EmailEdit[] = [];
  const tells: ((error: EngineError | undefined) => void)[] = [];
  for (const [id, patch] of results.update)
    try {
      edits.push(editOf(id, patch, lists, context));
      tells.push((error) => (error ? results.notUpdated(id, editError(error)) : results.updated(id)));
    } catch (error) {
      results.notUpdated(id, setErrorOf(error));
    }
  for (const id of results.destroy)
    try {
      edits.push(destructionOf(id, lists));
      tells.push((error) => (error ? results.notDestroyed(id, editError(error)) : results.destroyed(id)));
    } catch (error) {
      results.notDestroyed(id, setErrorOf(error));
    }
  if (edits.length === 0) return;
  try {
    const ends = await context.session.editEmails(edits, context, claim);
    for (const [at, tell] of tells.entries()) tell(ends[at]);
  } catch (error) {
    if (claim && error instanceof EngineError && error.code === "conflict") throw new MethodError("stateMismatch");
    throw error;
  }
}
