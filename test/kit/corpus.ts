import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const FOLDER = join(import.meta.dirname, "../../packages/mime/testdata/bodystructure");

export interface CorpusMail {
  readonly name: string;
  /** Line ends are CRLF, as mail comes over SMTP; one character a byte. */
  readonly text: string;
}

/** The reference mails, as they would be delivered. */
export function corpusMails(groups: readonly string[] = ["dxflrs", "rfc", "thirdparty", "malformed"]): CorpusMail[] {
  return groups.flatMap((group) =>
    readdirSync(join(FOLDER, group))
      .filter((file) => file.endsWith(".eml"))
      .map((file) => {
        const raw = readFileSync(join(FOLDER, group, file), "latin1").replace(/\r*\n/g, "\r\n");
        return { name: `${group}/${file}`, text: raw.endsWith("\r\n") ? raw : `${raw}\r\n` };
      }),
  );
}
