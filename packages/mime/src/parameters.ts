import { binaryBytes, decodeRaw } from "./binary.ts";
import { decodeCharset } from "./charset.ts";
import { decodeWords } from "./encoded-words.ts";
import { PARAMETERS_MAX } from "./limits.ts";
import { isSpace, readQuoted, skipSpace } from "./tokens.ts";

/** A field of a value and parameters: Content-Type, Content-Disposition: RFC 2045 §5.1, RFC 2183. Names are in lower
 * case, values as they are written (binary text). */
export interface Parameterized {
  readonly value: string;
  readonly parameters: readonly Parameter[];
}
export interface Parameter {
  readonly name: string;
  readonly value: string;
}

const SPECIAL = new Set([...'()<>@,;:\\"/[]?= \t\r\n']);

export function parseParameterized(text: string): Parameterized {
  let at = skipSpace(text, 0);
  const start = at;
  while (at < text.length && text[at] !== ";" && text[at] !== "(") at++;
  const value = text.slice(start, at).trim().toLowerCase();
  at = skipSpace(text, at);
  const parameters: Parameter[] = [];
  const names = new Set<string>();
  while (at < text.length && parameters.length < PARAMETERS_MAX) {
    const semicolon = text.indexOf(";", at);
    if (semicolon < 0) break;
    const read = readParameter(text, skipSpace(text, semicolon + 1));
    if (read.parameter && !names.has(read.parameter.name)) {
      names.add(read.parameter.name);
      parameters.push(read.parameter);
    }
    at = read.end;
  }
  return { value, parameters };
}

function readParameter(text: string, at: number): { readonly parameter?: Parameter; readonly end: number } {
  const start = at;
  while (at < text.length && !SPECIAL.has(text[at]!)) at++;
  const name = text.slice(start, at).toLowerCase();
  at = skipSpace(text, at);
  if (text[at] !== "=" || name === "") return { end: at };
  at = skipSpace(text, at + 1);
  if (text[at] === '"') {
    const quoted = readQuoted(text, at);
    return { parameter: { name, value: quoted.value }, end: quoted.end };
  }
  const from = at;
  // Unquoted values with characters that should have been quoted are common: take all up to the next semicolon.
  while (at < text.length && text[at] !== ";" && text[at] !== "(" && !isSpace(text.charCodeAt(at))) at++;
  return { parameter: { name, value: text.slice(from, at) }, end: at };
}

export function findParameter(parameters: readonly Parameter[], name: string): string | undefined {
  return parameters.find((parameter) => parameter.name === name)?.value;
}

/** A parameter's value as Unicode: continuations, charset and percent signs (RFC 2231), encoded-words and raw UTF-8
 * (as many programs write them). */
export function decodeParameter(parameters: readonly Parameter[], name: string): string | undefined {
  const byName = new Map(parameters.map((parameter) => [parameter.name, parameter.value]));
  const extended = byName.get(`${name}*`);
  if (extended !== undefined) return decodeExtended(extended);
  const pieces = piecesOf(parameters, name);
  if (pieces.length > 0) return decodePieces(pieces);
  const plain = byName.get(name);
  return plain === undefined ? undefined : decodeWords(plain);
}

interface Piece {
  readonly value: string;
  readonly encoded: boolean;
}

/** `name*0`, `name*1*`, … in their order, up to the first that is missing. */
function piecesOf(parameters: readonly Parameter[], name: string): Piece[] {
  const byName = new Map(parameters.map((parameter) => [parameter.name, parameter.value]));
  const pieces: Piece[] = [];
  for (let number = 0; number < PARAMETERS_MAX; number++) {
    const plain = byName.get(`${name}*${number}`);
    const encoded = plain === undefined ? byName.get(`${name}*${number}*`) : undefined;
    if (plain === undefined && encoded === undefined) break;
    pieces.push({ value: plain ?? encoded!, encoded: encoded !== undefined });
  }
  return pieces;
}

function octetsOf(pieces: readonly Piece[]): { readonly charset: string; readonly octets: string } {
  const [first] = pieces;
  const head = first!.encoded ? splitCharset(first!.value) : { charset: "", rest: first!.value };
  const octets = pieces
    .map(({ value, encoded }, number) => {
      const text = number === 0 ? head.rest : value;
      return encoded ? unescapePercent(text) : text;
    })
    .join("");
  return { charset: head.charset, octets };
}

function decodePieces(pieces: readonly Piece[]): string {
  const { charset, octets } = octetsOf(pieces);
  return charset === "" ? decodeRaw(octets) : decodeCharset(binaryBytes(octets), charset).text;
}

function decodeExtended(value: string): string {
  const { charset, rest } = splitCharset(value);
  const bytes = unescapePercent(rest);
  return charset === "" ? decodeRaw(bytes) : decodeCharset(binaryBytes(bytes), charset).text;
}

/** `charset'language'text`: RFC 2231 §4. */
function splitCharset(value: string): { readonly charset: string; readonly rest: string } {
  const match = /^([^']*)'[^']*'/.exec(value);
  return match ? { charset: match[1]!, rest: value.slice(match[0].length) } : { charset: "", rest: value };
}

function unescapePercent(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** A parameter's octets (binary), with its continuations joined (RFC 2231 §3) and percent signs undone, of no charset. */
export function parameterOctets(parameters: readonly Parameter[], name: string): string | undefined {
  const plain = findParameter(parameters, name);
  if (plain !== undefined) return plain;
  const extended = findParameter(parameters, `${name}*`);
  if (extended !== undefined) return unescapePercent(splitCharset(extended).rest);
  const pieces = piecesOf(parameters, name);
  return pieces.length === 0 ? undefined : octetsOf(pieces).octets;
}
