import { EngineError, VACATION, type Vacation } from "@restante/engine";
import { VACATION_CAPABILITY } from "../core/capabilities.ts";
import { invalidProperties, MethodError, setErrorOf } from "../core/errors.ts";
import { GET_ARGUMENTS, idsOf, pick, propertiesOf } from "../core/get.ts";
import { type Context, type Method, method } from "../core/method.ts";
import { readPatch } from "../core/patch.ts";
import { SET_ARGUMENTS, SetResults } from "../core/set.ts";
import { checkState, stateOf } from "../core/states.ts";
import { BOOLEAN, TEXT, type Type, UTC_DATE } from "../core/types.ts";
import { formatReceived } from "../email/view.ts";

/** The one that there is: RFC 8621 §8. */
const ID = "singleton";
/** The properties of a VacationResponse. */
export const VACATION_PROPERTIES = [
  "id",
  "isEnabled",
  "fromDate",
  "toDate",
  "subject",
  "textBody",
  "htmlBody",
] as const;

/** RFC 8621 §8.1. */
export const vacationGet: Method = method(
  "VacationResponse/get",
  VACATION_CAPABILITY,
  GET_ARGUMENTS,
  async ({ accountId, ids, properties }, context) => {
    const { session } = context;
    const asked = propertiesOf(properties, VACATION_PROPERTIES);
    const state = stateOf(session.state, "VacationResponse");
    const wanted = ids ? idsOf(ids, context) : [ID];
    const list = wanted.includes(ID) ? [pick(objectOf(await session.vacation()), asked)] : [];
    return { accountId, state, list, notFound: wanted.filter((id) => id !== ID) };
  },
);

function objectOf({ isEnabled, fromMs, untilMs, subject = null, text = null, html = null }: Texts) {
  const date = (ms: number | undefined): string | null => (ms === undefined ? null : formatReceived(ms));
  return {
    id: ID,
    isEnabled,
    fromDate: date(fromMs),
    toDate: date(untilMs),
    subject,
    textBody: text,
    htmlBody: html,
  };
}
type Texts = Omit<Vacation, "subject" | "text" | "html"> & {
  readonly [Name in "subject" | "text" | "html"]?: string | null | undefined;
};

/** RFC 8621 §8.2. */
export const vacationSet: Method = method(
  "VacationResponse/set",
  VACATION_CAPABILITY,
  SET_ARGUMENTS,
  async (args, context) => {
    const { session } = context;
    checkState(session.state, "VacationResponse", args.ifInState);
    const oldState = stateOf(session.state, "VacationResponse");
    const results = new SetResults(args, context);
    for (const creationId of results.create.keys()) results.notCreated(creationId, { type: "singleton" });
    for (const id of results.destroy) results.notDestroyed(id, { type: id === ID ? "singleton" : "notFound" });
    for (const [id, given] of results.update) {
      if (id !== ID) {
        results.notUpdated(id, { type: "notFound" });
        continue;
      }
      try {
        await update(given, args.ifInState !== undefined, context);
        results.updated(id);
      } catch (error) {
        results.notUpdated(id, updateErrorOf(error));
      }
    }
    return results.answer(args.accountId, oldState, stateOf(session.state, "VacationResponse"));
  },
);

function updateErrorOf(error: unknown) {
  const isInvalid = error instanceof EngineError && error.code === "invalid";
  return isInvalid ? { type: "invalidProperties", description: error.message } : setErrorOf(error);
}

/** Throws SetRefusal; MethodError `stateMismatch` where it changed since it was looked at and may not have. */
async function update(
  given: Readonly<Record<string, unknown>>,
  ifUnchanged: boolean,
  { session }: Context,
): Promise<void> {
  const { epoch, records } = session.state;
  const claim = { type: VACATION, epoch, modSeq: records.changed(VACATION) };
  const before = await session.vacation();
  try {
    await session.setVacation(changed(before, given), ifUnchanged ? claim : undefined);
  } catch (error) {
    if (ifUnchanged && error instanceof EngineError && error.code === "conflict")
      throw new MethodError("stateMismatch");
    throw error;
  }
}

/** Throws SetRefusal. */
function changed(before: Vacation, given: Readonly<Record<string, unknown>>): Vacation {
  const now: { -readonly [Name in keyof Vacation]: Vacation[Name] } = { ...before };
  const wrong: string[] = [];
  for (const { property, key, value } of readPatch(given)) {
    const read = <T>(type: Type<T>, set: (one: T | undefined) => void, isOptional = true): void => {
      const one = value === null && isOptional ? undefined : type.read(value);
      if (key !== undefined || (one === undefined && !(value === null && isOptional))) wrong.push(property);
      else set(one);
    };
    switch (property) {
      case "isEnabled":
        read(BOOLEAN, (one) => (now.isEnabled = one!), false);
        break;
      case "fromDate":
        read(UTC_DATE, (one) => (now.fromMs = one));
        break;
      case "toDate":
        read(UTC_DATE, (one) => (now.untilMs = one));
        break;
      case "subject":
        read(TEXT, (one) => (now.subject = one));
        break;
      case "textBody":
        read(TEXT, (one) => (now.text = one));
        break;
      case "htmlBody":
        read(TEXT, (one) => (now.html = one));
        break;
      default:
        if (property !== "id" || value !== ID) wrong.push(property);
    }
  }
  if (wrong.length > 0) throw invalidProperties(...new Set(wrong));
  return now;
}
