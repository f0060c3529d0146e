/** Octets of a blob that Blob/upload makes, sources that it is made of, and octets of which a digest is made. */
export const BLOB_BYTES_MAX: number = 50 * 2 ** 20;
export const DATA_SOURCES_MAX = 64;
/** Octets that one answer of Blob/get gives as text, which is made in one turn. */
export const GIVEN_BYTES_MAX: number = 12 * 2 ** 20;

/** Limits of blobs in the session object: RFC 9404 §3.1. */
export const BLOB_CAPABILITY: Readonly<Record<string, unknown>> = {
  maxSizeBlobSet: BLOB_BYTES_MAX,
  maxDataSources: DATA_SOURCES_MAX,
  supportedTypeNames: ["Email", "Mailbox", "Thread"],
  supportedDigestAlgorithms: ["sha", "sha-256"],
};
