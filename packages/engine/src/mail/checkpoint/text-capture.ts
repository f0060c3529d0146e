import { HEADER_BYTES_MAX } from "../contents/header.ts";
import {
  encodeTextPage,
  isKept,
  joinedTexts,
  LIST_FIELDS,
  listTexts,
  NOT_KNOWN,
  PRESENT,
  SEPARATOR,
  TextRunWriter,
} from "../contents/list-text.ts";
import type { NewDerivedPage } from "./derived-capture.ts";

/** Begins a page of texts that lists show. */
export const newTextPage: NewDerivedPage = async (emails, before, source) => {
  const runs = before === undefined ? [] : await source.readTexts(before);
  const known = runs.map((run) => ({ ...run, all: joinedTexts(run).split(SEPARATOR) }));
  const writers = LIST_FIELDS.map(() => new TextRunWriter(emails));
  return {
    copy(at) {
      if (at >= (known[0]?.status.length ?? 0)) return false;
      for (const [field, { status, all }] of known.entries())
        if (status[at] !== NOT_KNOWN) writers[field]!.set(at, status[at] === PRESENT ? all[at] : undefined);
      return true;
    },
    add(at, header) {
      // Of one that is kept in part nothing is told.
      if (header.text.length >= HEADER_BYTES_MAX) return;
      for (const [field, name] of LIST_FIELDS.entries()) {
        const texts = listTexts(header, name);
        if (isKept(texts)) writers[field]!.set(at, texts[0]);
      }
    },
    end: () => encodeTextPage(writers.map((writer) => writer.end())),
  };
};
