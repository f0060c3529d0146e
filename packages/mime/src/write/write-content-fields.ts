import { FoldedLine, type HeaderStyle } from "./folded-line.ts";
import type { PartFields } from "./new-part.ts";
import { messageId, urlText, writeField } from "./write-field.ts";
import { assertToken, writeParameters } from "./write-parameters.ts";
import { writeText } from "./write-text.ts";

export interface ContentType {
  readonly type: string;
  readonly subtype: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** The fields of a part that RFC 2045 §3, RFC 2183, RFC 2557 and RFC 3282 describe, with their line ends. Throws RangeError for
 * what is no token, id or tag. */
export function writeContentFields(
  { type, subtype, parameters }: ContentType,
  encoding: string,
  fields: PartFields,
  style: HeaderStyle,
): string {
  const { disposition, fileName, id, description, language, location, headers } = fields;
  const lines: FoldedLine[] = [];
  const begin = (name: string, value?: string): FoldedLine => {
    const line = new FoldedLine(name);
    if (value !== undefined) line.piece(value);
    lines.push(line);
    return line;
  };
  assertToken(type);
  assertToken(subtype);
  const contentType = begin("Content-Type", `${type}/${subtype}`);
  const named = fileName !== undefined && disposition === undefined ? { name: fileName } : {};
  writeParameters(contentType, { ...parameters, ...named }, style);
  begin("Content-Transfer-Encoding", encoding);
  if (disposition !== undefined) {
    assertToken(disposition);
    const line = begin("Content-Disposition", disposition);
    if (fileName !== undefined) writeParameters(line, { filename: fileName }, style);
  }
  if (id !== undefined) begin("Content-ID", `<${messageId(id, style)}>`);
  if (description !== undefined) writeText(begin("Content-Description"), description, style);
  if (language && language.length > 0) writeLanguages(begin("Content-Language"), language);
  if (location !== undefined) begin("Content-Location", urlText(location));
  return lines.map(({ text }) => text).join("") + (headers ?? []).map((field) => writeFurther(field, style)).join("");
}

function writeLanguages(line: FoldedLine, language: readonly string[]): void {
  for (const [index, tag] of language.entries()) {
    if (!/^[A-Za-z0-9-]{1,60}$/.test(tag)) throw new RangeError("not a language tag");
    if (index > 0) line.close(",");
    line.piece(tag);
  }
}

/** Fields that are made of a part's other properties. */
const MADE: ReadonlySet<string> = new Set([
  ...["type", "transfer-encoding", "disposition", "id", "description", "language", "location"].map(
    (name) => `content-${name}`,
  ),
  "mime-version",
]);

function writeFurther(field: Parameters<typeof writeField>[0], style: HeaderStyle): string {
  if (MADE.has(field.name.toLowerCase())) throw new RangeError("a field that the writer makes");
  return writeField(field, style);
}
