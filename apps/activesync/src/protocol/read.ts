import { type Element, readValues, type Schema, SchemaError } from "wbxml";

/** The values of a request's document; undefined where there is none, or it is not as its schema says: most commands have a
 * status of their own for that. */
export function valuesOf<T>(schema: Schema<T>, body: Element | undefined): T | undefined {
  try {
    return body && readValues(schema, body);
  } catch (error) {
    if (error instanceof SchemaError) return undefined;
    throw error;
  }
}
