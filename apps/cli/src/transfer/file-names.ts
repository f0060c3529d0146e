/** Octets that a file's name may have on most file systems; `.sbd` must fit as well. */
const FILE_NAME_BYTES_MAX = 250;
/** Characters and names to escape: those with a meaning for file systems, endings that sources pass over, and the parts of a
 * Maildir. */
const ESCAPED =
  /^\.|[\u0000-\u001f\u007f%\\/:*?"<>|]|\.(?=(?:sbd|msf|i?mbox|dat|plist|json|html|log|emlx?|msg)$)|[. ]$|^t(?=able_of_contents$|mp$)|^c(?=ur$)|^n(?=ew$)/gi;

/**
 * A level of a mailbox's path as the name of a file or folder: what file systems or our own endings mean is escaped.
 * Throws RangeError if it is too long for one.
 */
export function fileNameOf(level: string): string {
  const name = level.replace(ESCAPED, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
  if (Buffer.byteLength(name) > FILE_NAME_BYTES_MAX) throw new RangeError(`no file can have the name ${name}`);
  return name;
}

/** The level of a path that {@link fileNameOf} gave this name; a name that can't be decoded stands for itself. */
export function levelOf(fileName: string): string {
  try {
    return decodeURIComponent(fileName);
  } catch {
    return fileName;
  }
}
