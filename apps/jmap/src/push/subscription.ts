import { type KnownSubscription, PushRefusal, type PushSubscriptionKeys } from "@restante/engine";
import { CORE } from "../core/capabilities.ts";
import { invalidProperties, MethodError, type SetError, SetRefusal, setErrorOf } from "../core/errors.ts";
import { GET_ARGUMENTS, idsOf, pick, propertiesOf } from "../core/get.ts";
import { type Context, type Method, method } from "../core/method.ts";
import { readPatch, withoutWhatIs } from "../core/patch.ts";
import { SET_ARGUMENTS, SetResults } from "../core/set.ts";
import { isObject, list, TEXT, UTC_DATE } from "../core/types.ts";
import { formatReceived } from "../email/view.ts";
import { formatPushId, parsePushId } from "./words.ts";

type Given = Readonly<Record<string, unknown>>;

/** Where it is pushed to, and by which keys, is told to nobody: RFC 8620 §7.2.1. */
export const SUBSCRIPTION_PROPERTIES = ["id", "deviceClientId", "verificationCode", "expires", "types"] as const;
const SECRET = ["url", "keys"];

/** RFC 8620 §7.2.1: of no account, and with no state. */
export const pushSubscriptionGet: Method = method(
  "PushSubscription/get",
  CORE,
  { ids: GET_ARGUMENTS.ids, properties: GET_ARGUMENTS.properties },
  async ({ ids, properties }, context) => {
    if (properties?.some((name) => SECRET.includes(name))) throw new MethodError("forbidden");
    const asked = propertiesOf(properties, SUBSCRIPTION_PROPERTIES);
    const all = new Map((await context.session.pushSubscriptions()).map((one) => [formatPushId(one.id), one]));
    const wanted = ids ? idsOf(ids, context) : [...all.keys()];
    const found = wanted.flatMap((id) => {
      const one = all.get(id);
      return one ? [pick(objectOf(one), asked)] : [];
    });
    return { list: found, notFound: wanted.filter((id) => !all.has(id)) };
  },
);

function objectOf({ id, client, isVerified, code, expiresMs, types = null }: Shown) {
  return {
    id: formatPushId(id),
    deviceClientId: client,
    // A code that its client did not say is not told by this way.
    verificationCode: isVerified ? code : null,
    expires: formatReceived(expiresMs),
    types,
  };
}
type Shown = Omit<KnownSubscription, "types"> & { readonly types?: readonly string[] | null | undefined };

/** RFC 8620 §7.2.2. */
export const pushSubscriptionSet: Method = method(
  "PushSubscription/set",
  CORE,
  { create: SET_ARGUMENTS.create, update: SET_ARGUMENTS.update, destroy: SET_ARGUMENTS.destroy },
  async (args, context) => {
    const results = new SetResults(args, context);
    for (const [creationId, given] of results.create)
      try {
        const made = await create(given, context);
        results.created(creationId, made, context);
      } catch (error) {
        results.notCreated(creationId, pushErrorOf(error));
      }
    for (const [id, given] of results.update)
      try {
        results.updated(id, await update(id, given, context));
      } catch (error) {
        results.notUpdated(id, pushErrorOf(error));
      }
    for (const id of results.destroy)
      try {
        const known = parsePushId(id);
        if (known === undefined || !(await context.session.endPushSubscription(known)))
          throw new SetRefusal({ type: "notFound" });
        results.destroyed(id);
      } catch (error) {
        results.notDestroyed(id, pushErrorOf(error));
      }
    const { accountId, oldState, newState, ...answer } = results.answer("", "", "");
    return answer;
  },
);

const NAMES: Readonly<Record<PushRefusal["property"], string>> = {
  url: "url",
  keys: "keys",
  client: "deviceClientId",
  types: "types",
  expires: "expires",
  code: "verificationCode",
};

function pushErrorOf(error: unknown): SetError {
  if (error instanceof PushRefusal) return { type: "invalidProperties", properties: [NAMES[error.property]] };
  return setErrorOf(error);
}

/** Resolves with what its client did not say, or said otherwise. Throws SetRefusal, PushRefusal. */
async function create(given: Given, { session }: Context) {
  const { deviceClientId, url, keys = null, verificationCode = null, expires = null, types = null, ...more } = given;
  const wrong = Object.keys(more);
  const client = TEXT.read(deviceClientId);
  if (client === undefined) wrong.push("deviceClientId");
  const endpoint = TEXT.read(url);
  if (endpoint === undefined) wrong.push("url");
  const sealedTo = keys === null ? undefined : readKeys(keys);
  if (keys !== null && !sealedTo) wrong.push("keys");
  if (verificationCode !== null) wrong.push("verificationCode");
  const expiresMs = expires === null ? undefined : UTC_DATE.read(expires);
  if (expires !== null && expiresMs === undefined) wrong.push("expires");
  const wanted = types === null ? undefined : list(TEXT).read(types);
  if (types !== null && wanted === undefined) wrong.push("types");
  if (client === undefined || endpoint === undefined || wrong.length > 0) throw invalidProperties(...wrong);
  const one = await session.createPushSubscription({ client, url: endpoint, keys: sealedTo, types: wanted, expiresMs });
  const { id, expires: set, ...made } = objectOf(one);
  const unsaid = Object.entries(made).filter(([name]) => !Object.hasOwn(given, name));
  return { ...Object.fromEntries(unsaid), id, ...(set !== expires && { expires: set }) };
}

/** Undefined for what is none: RFC 8620 §7.2 has the keys of the Push API, base64url without padding. */
function readKeys(value: unknown): PushSubscriptionKeys | undefined {
  if (!isObject(value) || Object.keys(value).some((name) => name !== "p256dh" && name !== "auth")) return undefined;
  const [p256dh, auth] = [bytesOf(value.p256dh), bytesOf(value.auth)];
  return p256dh && auth ? { p256dh, auth } : undefined;
}

function bytesOf(value: unknown): Uint8Array | undefined {
  if (typeof value !== "string" || !/^[\w-]{1,200}={0,2}$/.test(value)) return undefined;
  const plain = value.replaceAll("-", "+").replaceAll("_", "/").replace(/=+$/, "");
  if (plain.length % 4 === 1) return undefined;
  const text = atob(plain);
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** Resolves with what is otherwise than it was asked for; null for nothing. Throws SetRefusal, PushRefusal. */
async function update(id: string, given: Given, { session }: Context): Promise<Given | null> {
  const known = parsePushId(id);
  if (known === undefined) throw new SetRefusal({ type: "notFound" });
  const shown = (await session.pushSubscriptions()).find(({ id: one }) => one === known);
  const asked = shown ? withoutWhatIs(given, objectOf(shown), FIXED) : given;
  const change: { code?: string; expiresMs?: number | undefined; types?: readonly string[] | undefined } = {};
  const wrong: string[] = [];
  for (const { property, key, value } of readPatch(asked)) {
    const isRight = key === undefined && read(property, value, change);
    if (!isRight) wrong.push(property);
  }
  if (wrong.length > 0) throw invalidProperties(...wrong);
  const one = await session.updatePushSubscription(known, change);
  if (!one) throw new SetRefusal({ type: "notFound" });
  const expires = formatReceived(one.expiresMs);
  return Object.hasOwn(given, "expires") && given.expires !== expires ? { expires } : null;
}

/** An unverified one's code is null, as it is shown. */
const FIXED: ReadonlySet<string> = new Set(["id", "deviceClientId", "verificationCode"]);

function read(
  property: string,
  value: unknown,
  change: { code?: string; expiresMs?: number | undefined; types?: readonly string[] | undefined },
): boolean {
  switch (property) {
    case "verificationCode": {
      const code = TEXT.read(value);
      if (code === undefined) return false;
      change.code = code;
      return true;
    }
    case "expires":
      change.expiresMs = value === null ? undefined : UTC_DATE.read(value);
      return value === null || change.expiresMs !== undefined;
    case "types":
      change.types = value === null ? undefined : list(TEXT).read(value);
      return value === null || change.types !== undefined;
    default:
      // A property that can't be changed can't be repeated either: no answer tells its value.
      return false;
  }
}
