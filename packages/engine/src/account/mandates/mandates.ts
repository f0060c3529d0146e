import { EngineError } from "../../errors.ts";
import type { Contents } from "../../mail/contents/contents.ts";
import type { Mail } from "../../mail/mail.ts";
import type { StateClaim } from "../../mail/ops/op.ts";
import type { Platform } from "../platform.ts";
import type { Facts } from "./facts.ts";
import type { MandateKind, MandatePlace, MandateStore } from "./mandate-store.ts";
import {
  checkVacation,
  decodeVacation,
  encodeVacation,
  encodeVacationMandate,
  NO_VACATION,
  VACATION,
  VACATION_ID,
  type Vacation,
} from "./vacation.ts";

export interface MandatesOptions {
  readonly mail: Mail;
  readonly contents: Pick<Contents, "readValue">;
  readonly platform: Platform;
  readonly account: Uint8Array;
  readonly facts: () => Facts;
}

/** A mandate as its owner lists it: something that the server may do while nobody is signed in. */
export interface Mandate {
  readonly id: string;
  /** An answer while they are away, a device that is woken, a mail that waits to be sent. */
  readonly kind: MandateKind | "mail";
  /** The name by which its owner knows it: one line. */
  readonly about: string;
  /** Milliseconds since 1970: since when, and until when; undefined for what nobody knows. */
  readonly madeMs: number | undefined;
  readonly untilMs: number | undefined;
}
/** The mandate of the vacation. */
export const VACATION_MANDATE = "vacation";

/** How often a change is made upon a newer one. */
const CHANGE_TRIES = 20;

/**
 * The mandates of an account. The owner's wish is in the account's log; the server's part of it follows from that, and is
 * gone when the mandate ends.
 */
export class Mandates {
  readonly #options: MandatesOptions;
  #settled: Promise<void> | undefined;

  constructor(options: MandatesOptions) {
    this.#options = options;
  }

  /** The vacation response. Errors: `unavailable`, `corrupt`. */
  async vacation(): Promise<Vacation> {
    const { isDone, ...one } = (await this.#readVacation()) ?? { isDone: true, ...NO_VACATION };
    return one;
  }

  /**
   * Says it anew. When it resolves the server knows it, or knows nothing more. Errors: `invalid`, `too-large`, `not-permitted`
   * where nothing is answered, `conflict`, `unavailable`, `unknown-outcome`.
   */
  async setVacation(address: string, vacation: Vacation, ifState?: StateClaim): Promise<void> {
    checkVacation(vacation);
    if (vacation.isEnabled && !this.#options.platform.mandates)
      throw new EngineError("not-permitted", "this server answers nobody");
    // Killed from here on, the next opening does the rest.
    await this.#options.mail.writeRecords([recordOf(vacation, false)], ifState);
    await this.#settleVacation(address);
  }

  /** Mandates that last, besides mail that waits. Errors: `unavailable`, `corrupt`. */
  async list(): Promise<readonly Mandate[]> {
    const { isEnabled, subject = "", fromMs, untilMs } = await this.vacation();
    if (!isEnabled) return [];
    return [{ id: VACATION_MANDATE, kind: "vacation", about: subject, madeMs: fromMs, untilMs }];
  }

  /** Ends one. Resolves with whether there was one. Errors: as {@link setVacation}. */
  async end(address: string, id: string): Promise<boolean> {
    const vacation = await this.vacation();
    if (id !== VACATION_MANDATE || !vacation.isEnabled) return false;
    await this.setVacation(address, { ...vacation, isEnabled: false });
    return true;
  }

  /** Once an opening: what a process that was killed left out. */
  settle(address: string): Promise<void> {
    this.#settled ??= this.#settleVacation(address).catch((error: unknown) => {
      this.#settled = undefined;
      this.#options.platform.log({ level: "warn", event: "mandates can't be looked at", error });
    });
    return this.#settled;
  }

  /** Makes what the server knows what the record says. */
  async #settleVacation(address: string): Promise<void> {
    const { mail, platform } = this.#options;
    // Another process changes the server's part.
    if (!platform.mandates) return;
    let isDue = await this.#isLost();
    for (let tries = 1; ; tries++) {
      const { epoch, records } = mail.state;
      const claim = { type: VACATION, epoch, modSeq: records.changed(VACATION) };
      const one = await this.#readVacation();
      if (!one || (one.isDone && !isDue)) return;
      await this.#tellServer(address, one, platform.mandates);
      if (one.isDone) return;
      try {
        await mail.writeRecords([recordOf(one, true)], claim);
        return;
      } catch (error) {
        const isInTheWay = error instanceof EngineError && error.code === "conflict";
        if (!isInTheWay || tries === CHANGE_TRIES) throw error;
        // The process that came between may have told the server before this one did.
        isDue = true;
      }
    }
  }

  /** True if the server should have its part and does not: its key is another, or the account lies in another store. */
  async #isLost(): Promise<boolean> {
    const { platform, account } = this.#options;
    const one = await this.#readVacation();
    if (!one?.isDone || !one.isEnabled || (one.untilMs ?? Number.POSITIVE_INFINITY) <= platform.now()) return false;
    return (await platform.mandates?.read({ kind: "vacation", account, id: "" })) === undefined;
  }

  async #tellServer(address: string, vacation: Vacation, mandates: MandateStore): Promise<void> {
    const { account } = this.#options;
    const place: MandatePlace = { kind: "vacation", account, id: "" };
    if (vacation.isEnabled) {
      await mandates.put(place, encodeVacationMandate({ ...vacation, address }));
      await this.#options.facts().write(vacation);
      return;
    }
    await this.#options.facts().write(vacation);
    await mandates.end(place);
    await mandates.forgetAnswered(account);
  }

  async #readVacation(): Promise<(Vacation & { readonly isDone: boolean }) | undefined> {
    const { mail, contents } = this.#options;
    const record = mail.state.records.find(VACATION, VACATION_ID);
    if (!record?.value) return undefined;
    try {
      return decodeVacation(await contents.readValue(record));
    } catch (error) {
      // The record changed meanwhile.
      if (error instanceof EngineError && error.code === "expunged") return this.#readVacation();
      throw error;
    }
  }
}

function recordOf(vacation: Vacation, isDone: boolean) {
  return { type: VACATION, id: VACATION_ID, value: encodeVacation(vacation, isDone) };
}
