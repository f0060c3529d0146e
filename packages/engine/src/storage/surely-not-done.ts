import { StoreError } from "./object-store.ts";

/** For a step before the one that counts: whatever became of the step, what was asked for was not done. */
export async function surelyNotDone<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== "unknown") throw error;
    throw new StoreError("unavailable", error.message, { cause: error });
  }
}
