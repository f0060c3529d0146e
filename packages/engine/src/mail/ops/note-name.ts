import { hexText } from "../../bay/entry.ts";
import { folderOf } from "../../storage/object-kinds.ts";

/** Names of notes, `note/<milliseconds in 12 hex><16 random hex>`: they sort by time of delivery. */
export function noteName(timeMs: number, random: Uint8Array): string {
  return notesFrom(timeMs) + hexText(random);
}

/** A name that sorts before all notes of this time, in ms since 1970, and later ones. */
export function notesFrom(timeMs: number): string {
  return `${folderOf("note")}${Math.max(0, Math.floor(timeMs)).toString(16).padStart(12, "0")}`;
}

/** The time in a note's name, in ms since 1970; 0 for a name of another form. */
export function timeOfNote(name: string): number {
  const hex = /^note\/([0-9a-f]{12})/.exec(name)?.[1];
  return hex === undefined ? 0 : Number.parseInt(hex, 16);
}
