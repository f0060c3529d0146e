import { EngineError } from "../../errors.ts";
import type { Mail } from "../../mail/mail.ts";
import type { NewRecord, StateClaim } from "../../mail/ops/op.ts";
import { encodeSubmission, SUBMISSION, type Submission } from "./submission.ts";

/** Makes of a submission what it is to be; undefined for one that stays. Called again where the submission changed meanwhile. */
export type SubmissionChange = (one: Submission) => Submission | undefined;

/** Submissions that one op changes, and how often a change is made upon a newer one. */
const CHANGED_AT_ONCE = 100;
const CHANGE_TRIES = 20;

interface Waiting<Result> {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}
interface WaitingChange extends Waiting<Submission | undefined> {
  readonly id: string;
  readonly change: SubmissionChange;
  tries: number;
  /** One of those that it was made with was too large. */
  isAlone: boolean;
}
interface Prepared {
  readonly claim: StateClaim;
  readonly after: readonly Submission[];
  readonly made: readonly { readonly waiting: WaitingChange; readonly result: Submission | undefined }[];
}
interface WaitingWrite extends Waiting<undefined> {
  readonly written: readonly Submission[];
  readonly forgotten: readonly string[];
}

/**
 * Writes the submissions of an account, in turns. An op that changes some holds only if no other was written since it was made:
 * those of one process would refuse each other, the more the more mail is submitted. So what came during a turn is changed by one
 * op of the next, and before what is new.
 */
export class SubmissionWriter {
  readonly #mail: Mail;
  readonly #find: (id: string) => Promise<Submission | undefined>;
  #changes: WaitingChange[] = [];
  #writes: WaitingWrite[] = [];
  #isRunning = false;

  constructor(mail: Mail, find: (id: string) => Promise<Submission | undefined>) {
    this.#mail = mail;
    this.#find = find;
  }

  /** Writes submissions and forgets others, by one op, whatever they were. Errors: those of `writeRecords`. */
  async write(written: readonly Submission[], forgotten: readonly string[]): Promise<void> {
    await new Promise<undefined>((resolve, reject) => {
      this.#writes.push({ written, forgotten, resolve, reject });
      this.#start();
    });
  }

  /** Changes a submission, upon what it is when the change is made: several processes and several parts of one may change it at
   * once. Resolves with what it is then; undefined if there is none. Errors: `unavailable`, `unknown-outcome`, `too-large`,
   * `conflict` where others never let it. */
  change(id: string, change: SubmissionChange): Promise<Submission | undefined> {
    return new Promise((resolve, reject) => {
      this.#changes.push({ id, change, tries: 0, isAlone: false, resolve, reject });
      this.#start();
    });
  }

  #start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    while (this.#changes.length > 0 || this.#writes.length > 0) {
      const prepared = await this.#prepare(this.#takeChanges());
      // In this order, so that they may share an entry of the log.
      const changing = this.#push(prepared);
      const writing = this.#writes.splice(0).map(async ({ written, forgotten, resolve, reject }) => {
        const records = [
          ...written.map(recordOf),
          ...forgotten.map((id) => ({ type: SUBMISSION, id, value: undefined })),
        ];
        await this.#mail.writeRecords(records).then(() => resolve(undefined), reject);
      });
      await Promise.all([changing, ...writing]);
    }
    // In the turn in which there was nothing left: who comes later starts it again.
    this.#isRunning = false;
  }

  #takeChanges(): WaitingChange[] {
    // Those that are made alone stand first.
    return this.#changes.splice(0, this.#changes[0]?.isAlone ? 1 : CHANGED_AT_ONCE);
  }

  /** Makes these changes upon the present state. Of those that fail by themselves their askers hear now. */
  async #prepare(changes: readonly WaitingChange[]): Promise<Prepared> {
    const { epoch, records } = this.#mail.state;
    const claim = { type: SUBMISSION, epoch, modSeq: records.changed(SUBMISSION) };
    const found = await Promise.allSettled(changes.map(({ id }) => this.#find(id)));
    const after = new Map<string, Submission>();
    const made: Prepared["made"][number][] = [];
    for (const [at, waiting] of changes.entries()) {
      const before = found[at]!;
      if (before.status === "rejected") {
        waiting.reject(before.reason);
        continue;
      }
      // Two changes of one submission are made one upon the other.
      const one = after.get(waiting.id) ?? before.value;
      try {
        const changed = one && waiting.change(one);
        if (changed) after.set(waiting.id, changed);
        made.push({ waiting, result: changed ?? one });
      } catch (error) {
        waiting.reject(error);
      }
    }
    return { claim, after: [...after.values()], made };
  }

  async #push({ claim, after, made }: Prepared): Promise<void> {
    try {
      if (after.length > 0) await this.#mail.writeRecords(after.map(recordOf), claim);
    } catch (error) {
      const code = error instanceof EngineError ? error.code : undefined;
      const again: WaitingChange[] = [];
      for (const { waiting } of made) {
        const isAgain = code === "conflict" ? ++waiting.tries < CHANGE_TRIES : code === "too-large" && made.length > 1;
        waiting.isAlone ||= code === "too-large";
        if (isAgain) again.push(waiting);
        else waiting.reject(error);
      }
      this.#changes.unshift(...again);
      return;
    }
    for (const { waiting, result } of made) waiting.resolve(result);
  }
}

function recordOf(submission: Submission): NewRecord {
  return { type: SUBMISSION, id: submission.id, value: encodeSubmission(submission) };
}
