/** Published documents, in hex with texts in quotes. */
export const FOLDER_SYNC: Uint8Array = fromHex("03016A00 0007 56 52 03 30 00 01 01");
export const CONTACTS_SYNC: Uint8Array = fromHex(
  `03016A00 45 5C 4F 50 03 "contacts"00 01 4B 03 "2"00 01 52 03 "2"00 01 4E 03 "1"00 01 56 47 4D 03 "2:1"00 01 5D
  0011 4A 46 03 "1"00 01 4C 03 "0"00 01 4D 03 "1"00 01 01 0001 5E 03 "Funk, Don"00 01 5F 03 "Don"00 01 69 03 "Funk"00 01
  0011 56 03 "1"00 01 01 01 01 01 01 01`,
);
/** Sync with a body preference. */
export const PREFERENCE_SYNC: Uint8Array = fromHex(
  "03016A00 45 5C 4F 4B 03 3100 01 52 03 3500 01 13 57 0011 45 46 03 3200 01 01 01 01 01 01",
);

/** Octets from hex digits, with blanks anywhere and text in double quotes. */
export function fromHex(text: string): Uint8Array {
  return Uint8Array.from(
    [...text.matchAll(/"([^"]*)"|([0-9A-Fa-f]{2})/g)].flatMap(([, quoted, digits]) =>
      quoted === undefined ? [Number.parseInt(digits!, 16)] : [...new TextEncoder().encode(quoted)],
    ),
  );
}
