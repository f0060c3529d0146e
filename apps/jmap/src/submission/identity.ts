import { type AccountSession, recordChanges } from "@restante/engine";
import { formatAddrSpec } from "@restante/mime";
import { SUBMISSION_CAPABILITY } from "../core/capabilities.ts";
import { CHANGES_ARGUMENTS, changesAnswer, maxOf } from "../core/changes.ts";
import { invalidProperties, SetRefusal, setErrorOf } from "../core/errors.ts";
import { GET_ARGUMENTS, idsOf, pick, propertiesOf } from "../core/get.ts";
import { type Context, type Method, method } from "../core/method.ts";
import { readPatch } from "../core/patch.ts";
import { SET_ARGUMENTS, SetResults } from "../core/set.ts";
import { checkState, parsePoint, RECORD_TYPES, stateOf } from "../core/states.ts";
import { isObject } from "../core/types.ts";

const TYPE = RECORD_TYPES.Identity;
/** The identity that everybody has: that of their address. */
const OWN_ID = "i0";
/** The properties of an Identity: RFC 8621 §6. */
export const IDENTITY_PROPERTIES = [
  "id",
  "name",
  "email",
  "replyTo",
  "bcc",
  "textSignature",
  "htmlSignature",
  "mayDelete",
] as const;
/** Characters of a name, and of a signature; addresses in a list; identities of an account. */
const NAME_CHARS_MAX = 256;
const SIGNATURE_CHARS_MAX = 16_384;
const ADDRESSES_MAX = 20;
const IDENTITIES_MAX = 100;

/** RFC 8621 §6: as it is kept, in JSON. */
export interface Identity {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly replyTo: readonly EmailAddress[] | null;
  readonly bcc: readonly EmailAddress[] | null;
  readonly textSignature: string;
  readonly htmlSignature: string;
  readonly mayDelete: boolean;
}
interface EmailAddress {
  readonly name: string | null;
  readonly email: string;
}

/** All of an account; that of its address is there whether it was ever changed or not. Errors: `unavailable`, `corrupt`. */
export async function readIdentities(session: AccountSession): Promise<readonly Identity[]> {
  const ids = session.state.records.list(TYPE).map(({ id }) => id);
  const found = await Promise.all([...new Set([OWN_ID, ...ids])].map((id) => findIdentity(session, id)));
  return found.filter((one) => one !== undefined);
}

/** Undefined if there is none. */
export async function findIdentity(session: AccountSession, id: string): Promise<Identity | undefined> {
  const value = await session.readRecord(TYPE, id);
  if (value === undefined) return id === OWN_ID ? ownIdentity(session.address) : undefined;
  return JSON.parse(new TextDecoder().decode(value)) as Identity;
}

function ownIdentity(email: string): Identity {
  const plain = { name: "", replyTo: null, bcc: null, textSignature: "", htmlSignature: "" };
  return { id: OWN_ID, email, ...plain, mayDelete: false };
}

/** RFC 8621 §6.1. */
export const identityGet: Method = method(
  "Identity/get",
  SUBMISSION_CAPABILITY,
  GET_ARGUMENTS,
  async ({ accountId, ids, properties }, context) => {
    const asked = propertiesOf(properties, IDENTITY_PROPERTIES);
    const state = stateOf(context.session.state, "Identity");
    const all = new Map((await readIdentities(context.session)).map((one) => [one.id, one]));
    const wanted = ids ? idsOf(ids, context) : [...all.keys()];
    const list = wanted.flatMap((id) => {
      const one = all.get(id);
      return one ? [pick(one, asked)] : [];
    });
    return { accountId, state, list, notFound: wanted.filter((id) => !all.has(id)) };
  },
);

/** RFC 8621 §6.2. */
export const identityChanges: Method = method(
  "Identity/changes",
  SUBMISSION_CAPABILITY,
  CHANGES_ARGUMENTS,
  async (args, { session: { state } }) => {
    const since = parsePoint(args.sinceState, state, "Identity");
    return changesAnswer(args, state, recordChanges(state, TYPE, since, maxOf(args)), (id) => id);
  },
);

/** RFC 8621 §6.3. */
export const identitySet: Method = method(
  "Identity/set",
  SUBMISSION_CAPABILITY,
  SET_ARGUMENTS,
  async (args, context) => {
    const { session } = context;
    checkState(session.state, "Identity", args.ifInState);
    const oldState = stateOf(session.state, "Identity");
    const results = new SetResults(args, context);
    for (const [creationId, given] of results.create) {
      if (context.pace.isOver()) await context.pace.take();
      try {
        const made = await create(given, context);
        results.created(creationId, made, context);
      } catch (error) {
        results.notCreated(creationId, setErrorOf(error));
      }
    }
    for (const [id, given] of results.update)
      try {
        await update(id, given, session);
        results.updated(id);
      } catch (error) {
        results.notUpdated(id, setErrorOf(error));
      }
    for (const id of results.destroy)
      try {
        await destroy(id, session);
        results.destroyed(id);
      } catch (error) {
        results.notDestroyed(id, setErrorOf(error));
      }
    return results.answer(args.accountId, oldState, stateOf(session.state, "Identity"));
  },
);

/** Resolves with what its client did not say. */
async function create(given: Readonly<Record<string, unknown>>, { session, random }: Context) {
  const plain = ownIdentity("");
  const one = changed({ ...plain, id: newId(random), mayDelete: true }, given, true);
  if (one.email === "") throw invalidProperties("email");
  if (!(await session.isOwnAddress(one.email))) throw new SetRefusal({ type: "forbiddenFrom" });
  if (session.state.records.list(TYPE).length >= IDENTITIES_MAX) throw new SetRefusal({ type: "overQuota" });
  await write(one, session);
  const unsaid = Object.entries(one).filter(([name]) => !Object.hasOwn(given, name));
  return { ...Object.fromEntries(unsaid), id: one.id };
}

function newId(random: Context["random"]): string {
  return `i${Array.from(random(8), (octet) => octet.toString(16).padStart(2, "0")).join("")}`;
}

async function update(id: string, given: Readonly<Record<string, unknown>>, session: AccountSession): Promise<void> {
  const one = await findIdentity(session, id);
  if (!one) throw new SetRefusal({ type: "notFound" });
  await write(changed(one, given, false), session);
}

async function destroy(id: string, session: AccountSession): Promise<void> {
  const one = await findIdentity(session, id);
  if (!one) throw new SetRefusal({ type: "notFound" });
  if (!one.mayDelete) throw new SetRefusal({ type: "forbidden" });
  await session.writeRecords([{ type: TYPE, id, value: undefined }]);
}

async function write(one: Identity, session: AccountSession): Promise<void> {
  const value = new TextEncoder().encode(JSON.stringify(one));
  await session.writeRecords([{ type: TYPE, id: one.id, value }]);
}

/** Throws SetRefusal. */
function changed(one: Identity, given: Readonly<Record<string, unknown>>, isNew: boolean): Identity {
  const now: Record<string, unknown> = { ...one };
  const wrong: string[] = [];
  for (const { property, key, value: asked } of readPatch(given)) {
    // Null is the default, where there is one: RFC 8620 §5.3.
    const value = asked === null && !isNew && TEXTS.has(property) ? "" : asked;
    if (key !== undefined || !isRight(one, property, value, isNew)) {
      wrong.push(key === undefined ? property : `${property}/${key}`);
      continue;
    }
    now[property] = Array.isArray(value)
      ? value.map(({ name = null, email }: { name?: string | null; email: string }) => ({ name, email }))
      : value;
  }
  if (wrong.length > 0) throw invalidProperties(...wrong);
  return now as unknown as Identity;
}

const TEXTS: ReadonlySet<string> = new Set(["name", "textSignature", "htmlSignature"]);

function isRight(one: Identity, property: string, value: unknown, isNew: boolean): boolean {
  switch (property) {
    case "name":
      // No line of a header comes from it.
      return isText(value, NAME_CHARS_MAX) && !/\p{Cc}/u.test(value);
    case "email":
      return isNew ? isText(value, NAME_CHARS_MAX) && isAddress(value) : value === one.email;
    case "replyTo":
    case "bcc":
      return value === null || (Array.isArray(value) && value.length <= ADDRESSES_MAX && value.every(isEmailAddress));
    case "textSignature":
    case "htmlSignature":
      return isText(value, SIGNATURE_CHARS_MAX);
    case "id":
    case "mayDelete":
      return !isNew && value === one[property];
    default:
      return false;
  }
}

/** True for what may stand in a header: a detail of one's own address is any text else. */
function isAddress(text: string): boolean {
  try {
    return formatAddrSpec(text, { utf8: true }) !== "";
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

function isText(value: unknown, charsMax: number): value is string {
  return typeof value === "string" && value.length <= charsMax && value.isWellFormed();
}

function isEmailAddress(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { name = null, email, ...more } = value;
  return (
    (name === null || isText(name, NAME_CHARS_MAX)) &&
    isText(email, NAME_CHARS_MAX) &&
    email !== "" &&
    !/\p{Cc}/u.test(`${name}${email}`) &&
    Object.keys(more).length === 0
  );
}
