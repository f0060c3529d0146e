import { createHash } from "node:crypto";
import type { AccountSession } from "@restante/engine";

/** Up to which message of another server's mailbox all are in the account: RFC 9051 §2.3.1.1. */
export interface ResumePoint {
  readonly uidValidity: string;
  readonly uid: number;
}

/** The records' type: sealed, as all of an account. */
const TYPE = "import-point";
/** Of its value: docs/formats/import.md. */
const FORMAT = 1;

/** Where an import from another server goes on, by the path of its mailbox. Kept in the account that it goes to. */
export class ResumePoints {
  readonly #session: Pick<AccountSession, "readRecord" | "writeRecords">;
  readonly #source: string;

  /** `source` tells it from other sources, and from the same one that goes to other mailboxes. */
  constructor(session: Pick<AccountSession, "readRecord" | "writeRecords">, source: string) {
    this.#session = session;
    this.#source = source;
  }

  async read(path: string): Promise<ResumePoint | undefined> {
    const value = await this.#session.readRecord(TYPE, this.#id(path));
    return value && parsePoint(Buffer.from(value).toString("utf8"));
  }

  async write(path: string, { uidValidity, uid }: ResumePoint): Promise<void> {
    const value = new Uint8Array(Buffer.from(JSON.stringify([FORMAT, uidValidity, uid])));
    await this.#session.writeRecords([{ type: TYPE, id: this.#id(path), value }]);
  }

  #id(path: string): string {
    return createHash("sha256")
      .update(JSON.stringify([this.#source, path]))
      .digest("base64url");
  }
}

/** Undefined of what another version wrote: then all is looked at anew. */
function parsePoint(text: string): ResumePoint | undefined {
  try {
    const [format, uidValidity, uid] = JSON.parse(text) as readonly unknown[];
    const isOurs = format === FORMAT && typeof uidValidity === "string" && Number.isSafeInteger(uid);
    return isOurs ? { uidValidity, uid: uid as number } : undefined;
  } catch {
    return undefined;
  }
}
