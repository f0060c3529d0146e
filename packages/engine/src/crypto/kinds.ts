/** What kinds of sealed object there are. The numbers stand in stored bytes: they are never changed or used again. */
export const KINDS = {
  entry: 1,
  manifest: 2,
  columns: 3,
  rows: 4,
  headers: 5,
  references: 6,
  body: 7,
  note: 8,
  slot: 9,
  "body-key": 10,
  "slot-label": 11,
  ticket: 12,
  values: 16,
  hashes: 17,
  texts: 18,
  outbound: 19,
  claim: 20,
  "outbound-mail": 21,
  device: 22,
} as const;
export type Kind = keyof typeof KINDS;
