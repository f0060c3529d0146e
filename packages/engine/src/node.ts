/** The engine's second door: what needs Node. */

export { addressForms, addressKey } from "./node/address-forms.ts";
export { BlockCache } from "./node/cache/block-cache.ts";
export { CachedStore } from "./node/cache/cached-store.ts";
export { nodePlatform } from "./node/crypto-platform.ts";
export { backupEmbeddedStore, restoreEmbeddedStore, settleEmbeddedStore } from "./node/embedded/backup.ts";
export { findDamage, openDamagedStore } from "./node/embedded/damaged-store.ts";
export { type RebuildReport, rebuildEmbeddedStore } from "./node/embedded/rebuild.ts";
export { openEmbeddedStore } from "./node/embedded/store.ts";
export { endedFolder } from "./node/ended-folder.ts";
export { Hints } from "./node/hints.ts";
export { LdapDirectory, type LdapOptions } from "./node/ldap-directory.ts";
export type { S3Settings } from "./node/s3/settings.ts";
export { openS3Store, type S3Store } from "./node/s3/store.ts";
export { UsersFolder } from "./node/users-folder.ts";
export { markRestored, witnessFolder } from "./node/witness-folder.ts";
export { AccountStores } from "./storage/account-stores.ts";
export { CheckedStore } from "./storage/checked-store.ts";
export { MemoryPlace } from "./storage/memory.ts";
export { RecentStore } from "./storage/recent-store.ts";
export { SplitStore } from "./storage/split-store.ts";
