import { ReadingEnded } from "../../bay/log-end.ts";
import type { Sealer } from "../../bay/machine.ts";
import {
  CryptoError,
  type CryptoPlatform,
  currentVersion,
  hash,
  keyVersionOf,
  openObject,
  purposeKey,
  type Ring,
  sealObject,
} from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";

const PURPOSE = {
  entry: "log",
  manifest: "log",
  columns: "page",
  rows: "page",
  headers: "page",
  references: "page",
  values: "page",
  hashes: "page",
  texts: "page",
  ids: "page",
} as const;

/** The owner made new keys: a sign-in with them opens what was sealed since. */
export class NewKeys extends ReadingEnded {
  constructor(options?: ErrorOptions) {
    super("not-permitted", "the account has new keys: sign in again", options);
    this.name = "NewKeys";
  }
}

/** Bay's objects under the keys of a ring. */
export function ringSealer(platform: CryptoPlatform, ring: Ring): Sealer {
  const context = (kind: keyof typeof PURPOSE, id: string, version: number) => {
    const key = purposeKey(ring, version, PURPOSE[kind]);
    return { platform, key, keyVersion: version, account: ring.account, kind, id } as const;
  };
  return {
    seal: (kind, id, content) => sealObject(context(kind, id, currentVersion(ring).version), content),
    open(kind, id, bytes) {
      try {
        return openObject(context(kind, id, keyVersionOf(bytes)), bytes);
      } catch (cause) {
        const isUnknown = cause instanceof CryptoError && cause.code === "unknown-key";
        const isNewer = isUnknown && keyVersionOf(bytes) > currentVersion(ring).version;
        // Pages are named by a manifest that opened: new keys show there first.
        if (isNewer && (kind === "entry" || kind === "manifest")) throw new NewKeys({ cause });
        throw new EngineError("corrupt", "an object of the account does not open", { cause });
      }
    },
    hash,
  };
}
