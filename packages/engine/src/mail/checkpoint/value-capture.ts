import type { PageStore } from "../../bay/snapshots.ts";
import type { ReadState } from "../state/read-state.ts";
import type { ValuePage } from "../state/records.ts";
import type { EmailSource } from "./email-capture.ts";

/** Large values of records, each in a page of its own: those that lie in log entries go over, all others stay. */
export function captureValues(state: ReadState, source: EmailSource): (pages: PageStore) => Promise<ValuePage[]> {
  const large = [...state.records.all()].filter(({ value }) => value && "place" in value);
  return async (pages) => {
    const written: ValuePage[] = [];
    for (const record of large) {
      const { type, id, modSeq, value } = record;
      const place = value && "place" in value ? value.place : undefined;
      const name = place?.in === "page" ? place.name : await pages.write("values", await source.readValue(record));
      written.push({ type, id, modSeq, name });
    }
    return written;
  };
}
