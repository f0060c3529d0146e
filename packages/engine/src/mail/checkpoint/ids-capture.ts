import { IdsPageWriter } from "../contents/thread-facts.ts";
import type { NewDerivedPage } from "./derived-capture.ts";

/** Begins a page of ids that messages are threaded by. */
export const newIdsPage: NewDerivedPage = async (emails, before, source) => {
  const known = before === undefined ? undefined : await source.readIds(before);
  const writer = new IdsPageWriter(emails);
  return {
    copy(at) {
      if (!known || at >= known.starts.length) return false;
      writer.copy(at, known);
      return true;
    },
    add: (at, header) => writer.set(at, source.threadFacts(header)),
    end: () => writer.end(),
  };
};
