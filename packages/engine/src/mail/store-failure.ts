import { asEngineError } from "../bay/linear-bay.ts";

/** A store's answer, with its failures as the engine's. */
export async function asStoreFailure<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw asEngineError(error);
  }
}
