import type { Pace } from "@restante/engine";
import { RequestError } from "./errors.ts";
import { DEPTH_MAX, NAMES_MAX, VALUES_MAX } from "./limits.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const COLON = 0x3a;
const COMMA = 0x2c;
/** Characters between two looks whether it is the others' turn. */
const CHARS_AT_ONCE: number = 64 * 1024;
/** The escape of half a character, which may yet have its other half beside it. */
const HALF = /\\u[dD][89a-fA-F]/;

/** An open list, or an open object with its names so far. Most objects have few. */
interface Level {
  readonly isObject: boolean;
  isName: boolean;
  first: string | undefined;
  names: Set<string> | undefined;
}

/**
 * The value that octets of I-JSON stand for: RFC 7493, RFC 8620 §1.5. Throws RequestError `notJSON` for broken UTF-8, bad
 * grammar, half characters and names that an object has twice; `limit` where it is deeper than {@link DEPTH_MAX}, or an object has more
 * than {@link NAMES_MAX} names, or all of it more than {@link VALUES_MAX} values.
 */
export async function parseIJson(bytes: Uint8Array, pace: Pace): Promise<unknown> {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    await checkSize(text, pace);
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof RequestError) throw error;
    throw new RequestError("notJSON", "The request is no JSON");
  }
  await checkNames(text, pace);
  return value;
}

/** Before it is parsed, in one turn: a parser may go down with every level, and is slow where there are very many names or values. */
async function checkSize(text: string, pace: Pace): Promise<void> {
  let depth = 0;
  let last = 0;
  let commas = 0;
  /** Of the object at each level. */
  const names = new Uint32Array(DEPTH_MAX + 1);
  for (let at = 0; at < text.length; at++) {
    if (at - last > CHARS_AT_ONCE) {
      last = at;
      if (pace.isOver()) await pace.take();
    }
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(text, at);
        break;
      case COMMA:
        if (++commas > VALUES_MAX) throw new RequestError("limit", "The request has too many values", "maxValues");
        break;
      case OPEN_LIST:
      case OPEN_OBJECT:
        if (++depth > DEPTH_MAX) throw new RequestError("limit", "The request is nested too deeply", "maxDepth");
        names[depth] = 0;
        break;
      case COLON:
        if (++names[depth]! > NAMES_MAX) throw new RequestError("limit", "An object has too many names", "maxNames");
        break;
      case CLOSE_LIST:
      case CLOSE_OBJECT:
        depth--;
    }
  }
}

/** Of a text that is JSON. */
async function checkNames(text: string, pace: Pace): Promise<void> {
  const levels: Level[] = [];
  let last = 0;
  for (let at = 0; at < text.length; at++) {
    if (at - last > CHARS_AT_ONCE) {
      last = at;
      if (pace.isOver()) await pace.take();
    }
    const level = levels.at(-1);
    switch (text.charCodeAt(at)) {
      case QUOTE: {
        const end = endOfString(text, at);
        const raw = text.slice(at, end + 1);
        if (HALF.test(raw) && !(JSON.parse(raw) as string).isWellFormed())
          throw new RequestError("notJSON", "A string has half a character");
        if (level?.isObject && level.isName)
          addName(level, raw.includes("\\") ? (JSON.parse(raw) as string) : raw.slice(1, -1));
        at = end;
        break;
      }
      case OPEN_LIST:
        levels.push({ isObject: false, isName: false, first: undefined, names: undefined });
        break;
      case OPEN_OBJECT:
        levels.push({ isObject: true, isName: true, first: undefined, names: undefined });
        break;
      case CLOSE_LIST:
      case CLOSE_OBJECT:
        levels.pop();
        break;
      case COLON:
        level!.isName = false;
        break;
      case COMMA:
        if (level) level.isName = level.isObject;
    }
  }
}

function addName(level: Level, name: string): void {
  if (level.first === undefined) {
    level.first = name;
    return;
  }
  level.names ??= new Set([level.first]);
  if (level.names.has(name)) throw new RequestError("notJSON", "An object has a name twice");
  level.names.add(name);
}

/** Where the string's closing quote stands; the text's end if it has none. */
function endOfString(text: string, start: number): number {
  for (let from = start + 1; ; ) {
    const end = text.indexOf('"', from);
    if (end < 0) return text.length;
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === BACKSLASH) slashes++;
    if (slashes % 2 === 0) return end;
    from = end + 1;
  }
}
