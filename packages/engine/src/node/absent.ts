/** For the `catch` of a file that may not be there. Throws every other error. */
export function absentIsUndefined(error: NodeJS.ErrnoException): undefined {
  if (error.code === "ENOENT") return undefined;
  throw error;
}
