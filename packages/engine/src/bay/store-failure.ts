import { CryptoError } from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import { StoreError } from "../storage/object-store.ts";

/** The engine's error for a store's. The store's own words, paths and SQL among them, are in `cause`: clients may read the
 * message. */
export function asEngineError(error: unknown): unknown {
  if (!(error instanceof StoreError)) return error;
  switch (error.code) {
    case "unknown":
      return new EngineError("unknown-outcome", "the store does not answer", { cause: error });
    case "full":
      return new EngineError("over-quota", "the store is full", { cause: error });
    case "damaged":
      return new EngineError("corrupt", "what is stored is damaged", { cause: error });
    default:
      return new EngineError("unavailable", "the store is not available, try again", { cause: error });
  }
}

/** The engine's error for sealed bytes that don't open: `corrupt`. */
export function asDamage(error: unknown): unknown {
  if (!(error instanceof CryptoError)) return asEngineError(error);
  return new EngineError("corrupt", "what is stored is damaged", { cause: error });
}

/** A store's answer, with its failures as the engine's. */
export async function asStoreFailure<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw asEngineError(error);
  }
}

/** The same; undefined for what is damaged. */
export async function orUndefinedIfDamaged<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof EngineError && error.code === "corrupt") return undefined;
    throw error;
  }
}

export function orDamage<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw asDamage(error);
  }
}

export async function* eachOrDamage(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* pieces;
  } catch (error) {
    throw asDamage(error);
  }
}
