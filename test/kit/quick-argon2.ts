import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";

/**
 * `node --import` of this makes any process of Restante, and its threads, one that derives keys in no time: many tests sign
 * in, and few are about what a guess costs. What slots say stays as it is, so that all else takes its usual way; but no
 * process without this opens them.
 */
const { argon2Sync } = crypto;
crypto.argon2Sync = (algorithm, parameters) => argon2Sync(algorithm, { ...parameters, memory: 8, passes: 1 });
syncBuiltinESMExports();
