/** The engine's second door: what needs Node. */
export { nodePlatform } from "./node/crypto-platform.ts";
export { backupEmbeddedStore, restoreEmbeddedStore } from "./node/embedded/backup.ts";
export { openEmbeddedStore } from "./node/embedded/store.ts";
export { UsersFolder } from "./node/users-folder.ts";
export { markRestored, witnessFolder } from "./node/witness-folder.ts";
