/** Versions of the protocol that are served: MS-ASHTTP §2.2.1.1.2. Each request is treated by its own. */
export type Version = 12.1 | 14 | 14.1 | 16 | 16.1;

/** As they are told, and as a header has them; in the base64 query they are a tenth of its octet. */
export const VERSIONS: ReadonlyMap<string, Version> = new Map([
  ["12.1", 12.1],
  ["14.0", 14],
  ["14.1", 14.1],
  ["16.0", 16],
  ["16.1", 16.1],
]);
