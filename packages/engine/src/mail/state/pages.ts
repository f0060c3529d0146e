import type { Fields } from "../../bay/fields.ts";
import type { Run } from "./reference-index.ts";

/** Emails of one row page and of one header page. */
export const PAGE_EMAILS = 64;

/** The pages and packs that a checkpoint's manifest names (docs/formats/checkpoint.md). */
export interface Pages {
  /** The last log entry that they hold. */
  readonly covers: number;
  /** Column pages, chunk by chunk. */
  readonly memberships: readonly string[];
  readonly emails: readonly string[];
  /** Row pages and header pages of the first `emailRows` emails, each of {@link PAGE_EMAILS}. */
  readonly rows: readonly string[];
  readonly headers: readonly string[];
  readonly emailRows: number;
  readonly membershipRows: number;
  readonly references: readonly Run[];
  readonly packs: readonly Pack[];
}

/** A pack holds the small bodies of emails from row `first` up to, not including, `end`: `count` of them. */
export interface Pack {
  readonly name: string;
  readonly first: number;
  readonly end: number;
  readonly count: number;
}

export const NO_PAGES: Pages = {
  covers: 0,
  memberships: [],
  emails: [],
  rows: [],
  headers: [],
  emailRows: 0,
  membershipRows: 0,
  references: [],
  packs: [],
};

export function encodePages(pages: Omit<Pages, "covers">): unknown[] {
  return [
    pages.memberships,
    pages.emails,
    pages.rows,
    pages.headers,
    pages.emailRows,
    pages.membershipRows,
    pages.references.map((run) => [run.entries, run.pages.map(({ name, first }) => [name, first])]),
    pages.packs.map(({ name, first, end, count }) => [name, first, end, count]),
  ];
}

/** Throws RangeError on anything that {@link encodePages} does not make. */
export function readPages(fields: Fields, covers: number): Pages {
  const pages: Pages = {
    covers,
    memberships: fields.texts(),
    emails: fields.texts(),
    rows: fields.texts(),
    headers: fields.texts(),
    emailRows: fields.integer(),
    membershipRows: fields.integer(),
    references: fields.list((run) => ({
      entries: run.integer(),
      pages: run.list((page) => ({ name: page.text(), first: page.bytes(8) })),
    })),
    packs: fields.list((pack) => ({
      name: pack.text(),
      first: pack.integer(),
      end: pack.integer(),
      count: pack.integer(),
    })),
  };
  fields.end();
  return pages;
}

/** The names of all objects that the pages are. */
export function* namesIn(pages: Pages): Generator<string> {
  yield* pages.memberships;
  yield* pages.emails;
  yield* pages.rows;
  yield* pages.headers;
  for (const run of pages.references) for (const { name } of run.pages) yield name;
  for (const { name } of pages.packs) yield name;
}
