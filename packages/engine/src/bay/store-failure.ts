import { EngineError } from "../errors.ts";
import { StoreError } from "../storage/object-store.ts";

/** What a store error means to who asked for a change. */
export function asEngineError(error: unknown): unknown {
  if (!(error instanceof StoreError)) return error;
  if (error.code === "unknown") return new EngineError("unknown-outcome", error.message, { cause: error });
  if (error.code === "full") return new EngineError("over-quota", "the store is full", { cause: error });
  if (error.code === "damaged") return new EngineError("corrupt", error.message, { cause: error });
  return new EngineError("unavailable", error.message, { cause: error });
}

/** A store's answer, with its failures as the engine's. */
export async function asStoreFailure<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw asEngineError(error);
  }
}
