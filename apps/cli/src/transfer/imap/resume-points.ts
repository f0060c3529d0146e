import { createHash } from "node:crypto";
import type { AccountSession } from "@restante/engine";

/** Up to which message of another server's mailbox all are in the account: RFC 9051 §2.3.1.1. */
export interface ResumePoint {
  readonly uidValidity: string;
  readonly uid: number;
}

/** The records' type: sealed, as all of an account. */
const TYPE = "import-point";

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
    if (!value) return undefined;
    const { uidValidity, uid } = JSON.parse(Buffer.from(value).toString("utf8")) as ResumePoint;
    return { uidValidity, uid };
  }

  async write(path: string, { uidValidity, uid }: ResumePoint): Promise<void> {
    const value = new Uint8Array(Buffer.from(JSON.stringify({ uidValidity, uid })));
    await this.#session.writeRecords([{ type: TYPE, id: this.#id(path), value }]);
  }

  #id(path: string): string {
    return createHash("sha256")
      .update(JSON.stringify([this.#source, path]))
      .digest("base64url");
  }
}
