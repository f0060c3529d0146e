/** The engine's second door: what needs Node. */
export { nodePlatform } from "./node/crypto-platform.ts";
export { openEmbeddedStore } from "./node/embedded/store.ts";
export { UsersFolder } from "./node/users-folder.ts";
export { witnessFolder } from "./node/witness-folder.ts";
