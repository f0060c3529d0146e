/** Doubles for the tests of other packages. */
export { isSameRecord, makeRing, recipientRecord, signingKeyPair } from "../crypto/index.ts";
export { dropbox, mailText, signer, stream } from "./account-kit.ts";
export { extent, stride } from "./extent.ts";
export { HandTime, settle } from "./hand-time.ts";
export { S3Double, type S3Fault } from "./s3-double.ts";
export { FIRST, quickArgon2, SECOND, setUpAda } from "./ways-in-kit.ts";
