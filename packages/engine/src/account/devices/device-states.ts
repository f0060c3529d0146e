import { hexText } from "../../bay/entry.ts";
import { listObjects } from "../../bay/list-objects.ts";
import { asStoreFailure } from "../../bay/store-failure.ts";
import {
  CryptoError,
  currentVersion,
  keyedHash,
  keyVersionOf,
  openObject,
  purposeKey,
  type Ring,
  type SealContext,
  sealObject,
  utf8,
} from "../../crypto/index.ts";
import { folderOf } from "../../storage/object-kinds.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import type { Platform } from "../platform.ts";

/** A device that wrote nothing for so long is forgotten: it starts again when it comes back. */
export const DEVICE_UNSEEN_MS: number = 90 * 24 * 60 * 60_000;
/** Characters of a key. */
const KEY = /^[0-9a-z]{1,40}$/;

export interface DeviceStatesOptions {
  readonly store: ObjectStore;
  readonly prefix: string;
  readonly platform: Platform;
  readonly ring: Ring;
}

/** Which device, and which of its places: a folder, or the list of folders. The store sees keyed hashes of both. */
export interface DevicePlace {
  readonly device: string;
  readonly place: string;
}

/**
 * States of phones, as far as the server must know them (docs/formats/device.md): immutable sealed objects, each named by
 * the key that its phone was told. No log entry comes of them, so nobody is woken. A state that the store lost or put back
 * costs its phone a new start and nothing else.
 */
export class DeviceStates {
  readonly #options: DeviceStatesOptions;

  constructor(options: DeviceStatesOptions) {
    this.#options = options;
  }

  /** Undefined where there is none, or none that opens. Errors: `unavailable`. */
  async read(at: DevicePlace, key: string): Promise<Uint8Array | undefined> {
    if (!KEY.test(key)) return undefined;
    const name = this.#folder(at) + key;
    const got = await asStoreFailure(this.#options.store.get(this.#options.prefix + name));
    if (!got.found) return undefined;
    try {
      return openObject(this.#context(name, keyVersionOf(got.bytes)), got.bytes);
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error;
      this.#options.platform.log({ level: "warn", event: "a phone's state does not open: it starts again", name });
      return undefined;
    }
  }

  /** Durable when it resolves. `key`: up to 40 of 0-9 and a-z, never used before. Errors: `unavailable`, `over-quota`. */
  async write(at: DevicePlace, key: string, value: Uint8Array): Promise<void> {
    const { store, prefix, ring } = this.#options;
    const name = this.#folder(at) + key;
    await asStoreFailure(
      store.put(prefix + name, sealObject(this.#context(name, currentVersion(ring).version), value)),
    );
  }

  /** The keys of a place. Errors: `unavailable`. */
  async keys(at: DevicePlace): Promise<string[]> {
    const { store, prefix } = this.#options;
    const folder = prefix + this.#folder(at);
    const keys: string[] = [];
    for await (const { name } of listObjects(store, folder)) keys.push(name.slice(folder.length));
    return keys;
  }

  /** Errors: `unavailable`. */
  async remove(at: DevicePlace, keys: readonly string[]): Promise<void> {
    const { store, prefix } = this.#options;
    if (keys.length === 0) return;
    const folder = prefix + this.#folder(at);
    await asStoreFailure(
      store.delete(
        keys.map((key) => folder + key),
        { essential: true },
      ),
    );
  }

  /** Removes all that is kept of a device. Errors: `unavailable`. */
  async forget(device: string): Promise<void> {
    const names: string[] = [];
    for await (const { name } of listObjects(this.#options.store, this.#options.prefix + this.#deviceFolder(device)))
      names.push(name);
    await asStoreFailure(this.#options.store.delete(names, { essential: true }));
  }

  /** Removes what is kept of devices that wrote nothing for {@link DEVICE_UNSEEN_MS}. Errors: `unavailable`. */
  async sweep(): Promise<void> {
    const { store, prefix } = this.#options;
    const folder = prefix + folderOf("device");
    const devices = new Map<string, { latest: number; readonly names: string[] }>();
    for await (const { name, created } of listObjects(store, folder)) {
      const device = name.slice(folder.length).split("/", 1)[0]!;
      const known = devices.get(device) ?? { latest: 0, names: [] };
      devices.set(device, known);
      known.latest = Math.max(known.latest, created);
      known.names.push(name);
    }
    if (devices.size === 0) return;
    const { now } = await asStoreFailure(store.list(folder, { limit: 1 }));
    const unseen = [...devices.values()].filter(({ latest }) => now - latest > DEVICE_UNSEEN_MS);
    if (unseen.length > 0)
      await asStoreFailure(
        store.delete(
          unseen.flatMap(({ names }) => names),
          { essential: true },
        ),
      );
  }

  #deviceFolder(device: string): string {
    return `${folderOf("device")}${this.#hash(device)}/`;
  }

  #folder({ device, place }: DevicePlace): string {
    return `${this.#deviceFolder(device)}${this.#hash(device, place)}/`;
  }

  /** By the first root's key, so that new keys change no name. */
  #hash(...texts: readonly string[]): string {
    const { ring } = this.#options;
    const key = purposeKey(ring, ring.versions[0]!.version, "device");
    return hexText(keyedHash(key, utf8(JSON.stringify(texts))).subarray(0, 16));
  }

  #context(name: string, version: number): SealContext {
    const { platform, ring } = this.#options;
    const key = purposeKey(ring, version, "device");
    return { platform: platform.crypto, key, keyVersion: version, account: ring.account, kind: "device", id: name };
  }
}
