import type { DatabaseSync } from "node:sqlite";
import { APPLICATION_ID, SCHEMA_VERSION } from "./protocol.ts";

/** The tables of a new store: docs/formats/embedded-store.md. */
export const TABLES: string = `
  CREATE TABLE objects (
    row INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created INTEGER NOT NULL,
    size INTEGER NOT NULL, bytes BLOB, file TEXT);
  CREATE TABLE floors (prefix TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE counters (date INTEGER NOT NULL, row INTEGER NOT NULL);
  INSERT INTO counters VALUES (0, 0);
  PRAGMA application_id = ${APPLICATION_ID};`;
export const FILES_INDEX = "CREATE INDEX files ON objects (file) WHERE file IS NOT NULL";

/** Before the first table: these take no effect later. Of this size a small commit writes half of what pages of 8192
 * octets would, and a large one less too. */
export const SHAPE = "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL;";

/** Makes the tables of a store in an empty database. */
export function makeSchema(database: DatabaseSync): void {
  database.exec(`${SHAPE} ${TABLES} ${FILES_INDEX}; PRAGMA user_version = ${SCHEMA_VERSION}`);
}
