/**
 * Names of objects' files: 16 hex digits of the newest row at the time when the file was begun, and 16 that are random. A row
 * that names the file came later and so has a higher number. Of a file that a crash left, and of which nobody knows whether a
 * row names it, the rows since then tell. Older files have 32 random digits.
 */
const ROW_DIGITS = 16;
const FILE_NAME = /^[0-9a-f]{32}$/;

/** A name for a file that is begun now; `random` is 16 digits. */
export function fileName(newestRow: number, random: string): string {
  return newestRow.toString(16).padStart(ROW_DIGITS, "0") + random;
}

/** A row such that only later ones may name the file; 0 if its name does not tell. `newestRow` is that of the store by now. */
export function rowBefore(file: string, newestRow: number): number {
  const row = FILE_NAME.test(file) ? Number.parseInt(file.slice(0, ROW_DIGITS), 16) : Number.POSITIVE_INFINITY;
  // Random digits are higher than any row, but for one name of billions.
  return row <= newestRow ? row : 0;
}
