import { formatEmailId, parseEmailId, type Submission, SubmitRefusal } from "@restante/engine";
import { SUBMISSION_CAPABILITY } from "../core/capabilities.ts";
import { invalidProperties, methodErrorOf, type SetError, SetRefusal, setErrorOf } from "../core/errors.ts";
import { type Context, type Method, type MethodAnswer, method, resolveId } from "../core/method.ts";
import { withoutWhatIs } from "../core/patch.ts";
import { SET_ARGUMENTS, SetResults } from "../core/set.ts";
import { checkState, stateOf } from "../core/states.ts";
import { ID, list, mapOf, OBJECT, optional } from "../core/types.ts";
import { emailSet } from "../email/set.ts";
import { envelopeOf, readEnvelope } from "./envelope.ts";
import { findIdentity } from "./identity.ts";
import { formatSubmissionId, isShown, parseSubmissionId, SUBMISSION_PROPERTIES, submissionObject } from "./object.ts";

/** RFC 8621 §7.5. */
export const submissionSet: Method = method(
  "EmailSubmission/set",
  SUBMISSION_CAPABILITY,
  {
    ...SET_ARGUMENTS,
    onSuccessUpdateEmail: optional(mapOf(OBJECT)),
    onSuccessDestroyEmail: optional(list(ID)),
  },
  async (args, context) => {
    const { session } = context;
    checkState(session.state, "EmailSubmission", args.ifInState);
    const oldState = stateOf(session.state, "EmailSubmission");
    const results = new SetResults(args, context);
    /** The emails of those that something was done with, by the submission's id. */
    const emails = new Map<string, string>();
    for (const [creationId, given] of results.create) {
      if (context.pace.isOver()) await context.pace.take();
      try {
        const one = await create(given, context);
        emails.set(formatSubmissionId(one.id), formatEmailId(one.email!));
        results.created(creationId, createdOf(one, given), context);
      } catch (error) {
        results.notCreated(creationId, submitErrorOf(error));
      }
    }
    for (const [id, given] of results.update)
      try {
        const one = await known(id, context);
        await update(one, given, context);
        emails.set(id, formatEmailId(one.email!));
        results.updated(id);
      } catch (error) {
        results.notUpdated(id, setErrorOf(error));
      }
    for (const id of results.destroy)
      try {
        const one = await known(id, context);
        await session.forgetSubmissions([one.id]);
        emails.set(id, formatEmailId(one.email!));
        results.destroyed(id);
      } catch (error) {
        results.notDestroyed(id, setErrorOf(error));
      }
    const result = results.answer(args.accountId, oldState, stateOf(session.state, "EmailSubmission"));
    return { result, implied: await onSuccess(args, emails, context) };
  },
);

async function known(id: string, { session }: Context): Promise<Submission> {
  const parsed = parseSubmissionId(id);
  const one = parsed === undefined ? undefined : await session.findSubmission(parsed);
  if (!one || !isShown(one)) throw new SetRefusal({ type: "notFound" });
  return one;
}

/** Throws SetRefusal, SubmitRefusal. */
async function create(given: Readonly<Record<string, unknown>>, context: Context): Promise<Submission> {
  const { session, now } = context;
  const { identityId, emailId, envelope = null, undoStatus = null, ...more } = given;
  const wrong = Object.keys(more);
  // The server sets undoStatus, and tells it as it is; meli 0.9 says `final`.
  if (undoStatus !== null && undoStatus !== "pending" && undoStatus !== "final") wrong.push("undoStatus");
  if (typeof identityId !== "string") wrong.push("identityId");
  if (typeof emailId !== "string") wrong.push("emailId");
  if (wrong.length > 0) throw invalidProperties(...wrong);
  const identity = await findIdentity(session, resolveId(identityId as string, context));
  if (!identity) throw invalidProperties("identityId");
  const id = parseEmailId(resolveId(emailId as string, context));
  const [email] = id ? await session.findEmails([id], context) : [];
  if (!id || !email) throw invalidProperties("emailId");
  const thread = session.state.threadOf(email.email);
  const [header] = await session.readHeaders([email.message]);
  const asked = envelope === null ? envelopeOf(header!, identity.email) : readEnvelope(envelope, identity.email, now());
  return session.submit({
    email: { id, thread },
    identity: identity.id,
    ...asked,
    message: await session.openBody(email.message),
  });
}

/** Properties of a new submission that its client did not give. */
function createdOf(one: Submission, given: Readonly<Record<string, unknown>>) {
  const { identityId, emailId, envelope, ...made } = submissionObject(one);
  const hasEnvelope = given.envelope !== undefined && given.envelope !== null;
  return { ...made, ...(!hasEnvelope && { envelope }), id: formatSubmissionId(one.id) };
}

/** A mail may be taken back, and nothing else of it changed. */
async function update(one: Submission, given: Readonly<Record<string, unknown>>, { session }: Context): Promise<void> {
  const { id, undoStatus } = one;
  const { undoStatus: wanted, ...more } = withoutWhatIs(given, submissionObject(one), FIXED);
  const wrong = Object.keys(more);
  if (wanted !== undefined && wanted !== "canceled" && wanted !== undoStatus) wrong.push("undoStatus");
  if (wrong.length > 0) throw invalidProperties(...wrong);
  if (wanted !== "canceled") return;
  if (!(await session.cancelSubmission(id))) throw new SetRefusal({ type: "cannotUnsend" });
}

const FIXED: ReadonlySet<string> = new Set<string>(SUBMISSION_PROPERTIES.filter((name) => name !== "undoStatus"));

/** RFC 8621 §7.5: each reason has an error of its own. */
function submitErrorOf(error: unknown): SetError {
  if (!(error instanceof SubmitRefusal)) return setErrorOf(error);
  const { reason, addresses, max, message: description } = error;
  switch (reason) {
    case "invalidRecipients":
      return { type: reason, invalidRecipients: addresses };
    case "tooManyRecipients":
      return { type: reason, maxRecipients: max! };
    case "tooLarge":
      return { type: reason, maxSize: max! };
    case "invalidEmail":
      return { type: reason, properties: ["from"], description };
    case "holdTooLong":
      return { type: "invalidProperties", properties: ["envelope"], description };
    case "noRecipients":
    case "forbiddenMailFrom":
    case "forbiddenFrom":
    case "forbiddenToSend":
      return { type: reason, description };
  }
}

/** Changes the emails of successful submissions: one call of Email/set, answered with this one. */
async function onSuccess(
  {
    accountId,
    onSuccessUpdateEmail = new Map(),
    onSuccessDestroyEmail = [],
  }: {
    readonly accountId: string;
    readonly onSuccessUpdateEmail: ReadonlyMap<string, Readonly<Record<string, unknown>>> | undefined;
    readonly onSuccessDestroyEmail: readonly string[] | undefined;
  },
  emails: ReadonlyMap<string, string>,
  context: Context,
): Promise<NonNullable<MethodAnswer["implied"]>> {
  const emailOf = (id: string): readonly string[] => {
    const email = emails.get(resolveId(id, context));
    return email === undefined ? [] : [email];
  };
  const update = [...onSuccessUpdateEmail].flatMap(([id, patch]) =>
    emailOf(id).map((email) => [email, patch] as const),
  );
  const destroy = onSuccessDestroyEmail.flatMap(emailOf);
  if (update.length === 0 && destroy.length === 0) return [];
  try {
    const given = { accountId, update: Object.fromEntries(update), destroy };
    const { result } = await emailSet.call(given, context);
    return [["Email/set", result]];
  } catch (error) {
    // The submissions are made all the same, and are told so.
    const foreseen = methodErrorOf(error);
    if (!foreseen) throw error;
    return [["error", foreseen.answer]];
  }
}
