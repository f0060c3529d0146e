import type { DevicePlace } from "@restante/engine";
import type { Context } from "../context.ts";
import { type CollectionState, encodeState, newKey, readState } from "./collection-state.ts";

/** Where a phone's states of one folder lie. */
export function placeOf({ deviceId }: Pick<Context, "deviceId">, folderId: string): DevicePlace {
  return { device: deviceId, place: folderId };
}

/** The state of a key, and results of earlier requests with the same key, whose answers may have been lost. */
export interface FoundState {
  readonly state: CollectionState;
  /** Results of requests that used this key already. */
  readonly repeated: CollectionState["results"];
  /** Keys that are good for nothing any more once another is told. */
  readonly stale: readonly string[];
}

/** Undefined for a key that means nothing. `brings`: whether the request has commands, which another process may have carried out
 * by this key already. Errors: `unavailable`. */
export async function findState(
  context: Context,
  folderId: string,
  key: string,
  brings: boolean,
): Promise<FoundState | undefined> {
  const { session, phone } = context;
  const place = placeOf(context, folderId);
  const state = await readState(session.devices, place, key);
  if (!state) return undefined;
  const previous = state.previous === "" ? [] : [state.previous];
  // Told here, and nothing was told after it, as far as is known here: nothing else is there.
  if (!brings && phone.keys.get(folderId) === key) return { state, repeated: [], stale: previous };
  const others = (await session.devices.keys(place)).filter((other) => other !== key);
  const repeated: CollectionState["results"][number][] = [];
  for (const other of others) {
    if (other === state.previous) continue;
    const next = await readState(session.devices, place, other);
    if (next?.previous === key) repeated.push(...next.results);
  }
  return { state, repeated, stale: others };
}

/** Keeps what a phone holds from now on, and resolves with its key once that is durable. Errors: `unavailable`. */
export async function keepState(
  context: Context,
  folderId: string,
  next: CollectionState,
  stale: readonly string[],
): Promise<string> {
  const { session, phone, random, log } = context;
  const place = placeOf(context, folderId);
  const key = newKey(random);
  await session.devices.write(place, key, encodeState(next));
  phone.keys.set(folderId, key);
  // Nobody waits for it; what stays is found and removed later.
  session.devices.remove(place, stale).catch((error: unknown) => {
    phone.keys.delete(folderId);
    log({ level: "warn", event: "a phone's old states can't be removed", error });
  });
  return key;
}

/** States of a folder that are kept while it is not known which of them their phone goes on from. */
const STATES_MAX = 4;

/** A phone that starts again and again uses none of its starts: all but the last go, once there are many. Errors: `unavailable`. */
export async function removeStarts(context: Context, folderId: string, last: string): Promise<void> {
  const { devices } = context.session;
  const place = placeOf(context, folderId);
  const others = (await devices.keys(place)).filter((key) => key !== last);
  if (others.length <= STATES_MAX) return;
  const states = new Map<string, CollectionState>();
  for (const key of others) {
    const state = await readState(devices, place, key);
    if (state) states.set(key, state);
  }
  const used = new Set([...states.values()].map(({ previous }) => previous));
  const isUnused = (key: string): boolean => states.get(key)?.previous === "" && !used.has(key);
  await devices.remove(
    place,
    others.filter((key) => !states.has(key) || isUnused(key)),
  );
}

/** The state that was told last of a folder; undefined where a phone never synchronized it. Errors: `unavailable`. */
export async function lastState(context: Context, folderId: string): Promise<CollectionState | undefined> {
  const { session, phone } = context;
  const place = placeOf(context, folderId);
  const known = phone.keys.get(folderId);
  const told = known === undefined ? undefined : await readState(session.devices, place, known);
  // Where it is gone, another process has told what came after it.
  if (told) return told;
  const keys = await session.devices.keys(place);
  const states = new Map<string, CollectionState>();
  for (const key of keys) {
    const state = await readState(session.devices, place, key);
    if (state) states.set(key, state);
  }
  const used = new Set([...states.values()].map(({ previous }) => previous));
  const [last] = [...states].filter(([key]) => !used.has(key));
  return last?.[1];
}
