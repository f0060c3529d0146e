import type { ObjectStore } from "@restante/engine";

/** Deeds that whoever has the store can do to one object. */
export interface Target {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Another object of its kind. */
  readonly other: { readonly name: string; readonly bytes: Uint8Array } | undefined;
  /** One of its kind of an account that another owner has: sealed, and signed, with other keys. */
  readonly foreign: Uint8Array;
}
export type Deed = (store: ObjectStore, target: Target) => Promise<unknown>;
const changed = (change: (bytes: Uint8Array) => Uint8Array): Deed => {
  return (store, { name, bytes }) => store.put(name, change(bytes.slice()));
};
export const flippedAt = (share: number): Deed =>
  changed((bytes) => {
    bytes[Math.floor(bytes.length * share)]! ^= 1;
    return bytes;
  });
export const DEEDS: Readonly<Record<string, Deed>> = {
  deleted: (store, { name }) => store.delete([name]),
  cut: changed((bytes) => bytes.subarray(0, bytes.length >> 1)),
  "one octet flipped": flippedAt(0.5),
  zeroed: changed((bytes) => bytes.fill(0)),
  forged: changed((bytes) => bytes.map((_, at) => (at * 7919 + 13) & 0xff)),
  "another account's": (store, { name, foreign }) => store.put(name, foreign),
  swapped: async (store, { name, bytes, other }) => {
    if (!other) return;
    await store.put(name, other.bytes);
    await store.put(other.name, bytes);
  },
};
