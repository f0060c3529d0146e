/** Doubles for the tests of other packages. */
export { S3Double, type S3Fault } from "./s3-double.ts";
