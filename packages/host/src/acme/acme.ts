import { createPrivateKey, randomBytes, X509Certificate } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { Agent } from "node:https";
import { join } from "node:path";
import { certificateProblems, endOf } from "../certificate.ts";
import { writeNew } from "../keys.ts";
import type { Log } from "../log.ts";
import { makeFolder } from "../make-folder.ts";
import { Challenges } from "./challenges.ts";

/** Of a certificate's life: when this much is left it is renewed. */
const RENEW_SHARE = 1 / 3;
/** How often it is looked at; also how long after a failure the next try comes. */
export const LOOK_MS: number = 60 * 60_000;

/** An authority's clock may be ahead of ours by so much. */
const CLOCK_SLACK_MS: number = 60 * 60_000;

export interface AcmeOptions {
  /** `mailto:…`, or an address. */
  readonly contact: string;
  /** The names that the certificate is to have. */
  readonly names: readonly string[];
  /** RFC 8555 §7.1.1. */
  readonly directory: string;
  /** PEM of the authority of the directory's own certificate; empty for the system's. */
  readonly caFile: string;
  /** Where the account's key and the certificate lie. */
  readonly folder: string;
  readonly now: () => number;
  readonly log: Log;
}

/** Key and chain in one file, so that no half of a renewal is ever read. */
export function acmeFile(folder: string): string {
  return join(folder, "acme.pem");
}

/** True if another certificate is needed by then: this one is old, or lacks a name that was added. */
export function isDue(facts: X509Certificate, names: readonly string[], nowMs: number): boolean {
  const [begins, ends] = [Date.parse(facts.validFrom), endOf(facts)];
  if (ends - nowMs < (ends - begins) * RENEW_SHARE) return true;
  return certificateProblems(facts, { nowMs: begins, names }).some((text) => text.includes("does not name"));
}

/** Throws where a chain is none for the key before it, or does not do what it was asked for. */
export function checkIssued(pem: string, names: readonly string[], nowMs: number): void {
  const facts = new X509Certificate(pem);
  if (!facts.checkPrivateKey(createPrivateKey(pem))) throw new Error("the authority's certificate is for another key");
  const [problem] = certificateProblems(facts, { nowMs: nowMs + CLOCK_SLACK_MS, names }).filter(
    (text) => !text.startsWith("it ends within"),
  );
  if (problem !== undefined) throw new Error(`the authority's certificate can't be used: ${problem}`);
}

/** A certificate of this host's own, had and renewed by itself: RFC 8555 with HTTP-01. */
export class Acme {
  readonly challenges: Challenges = new Challenges();
  readonly #options: AcmeOptions;

  constructor(options: AcmeOptions) {
    this.#options = options;
  }

  /** Has a new certificate if it is time. Resolves with whether there is a new one; throws why there is none. */
  async renewIfDue(): Promise<boolean> {
    const { folder } = this.#options;
    const pem = await readIfThere(acmeFile(folder));
    if (pem !== undefined && !isDue(new X509Certificate(pem), this.#options.names, this.#options.now())) return false;
    await makeFolder(folder);
    const certificate = await this.#order();
    // The next start reads the file: an authority's mistake must not keep the server from it.
    checkIssued(certificate, this.#options.names, this.#options.now());
    const temporary = `${acmeFile(folder)}.${randomBytes(8).toString("hex")}.new`;
    await writeFile(temporary, certificate, { mode: 0o600, flush: true });
    await rename(temporary, acmeFile(folder));
    return true;
  }

  /** Looks now and each hour, until `signal`. `onRenewed` is told of each new certificate. */
  start(every: (ms: number, work: () => void) => () => void, onRenewed: () => Promise<void>): () => void {
    const { log, names } = this.#options;
    let isBusy = false;
    const look = async (): Promise<void> => {
      if (isBusy) return;
      isBusy = true;
      try {
        if (!(await this.renewIfDue())) return;
        await onRenewed();
        log({ level: "info", event: "a new certificate is in force", names });
      } catch (error) {
        log({ level: "error", event: "a certificate can't be had, it is tried again in an hour", names, error });
      } finally {
        isBusy = false;
      }
    };
    void look();
    return every(LOOK_MS, () => void look());
  }

  async #order(): Promise<string> {
    const { contact, names, directory, caFile, folder } = this.#options;
    // Loaded only where it is needed.
    const acme = await import("acme-client");
    if (caFile !== "") acme.axios.defaults.httpsAgent = new Agent({ ca: await readFile(caFile) });
    const accountKey = await this.#accountKey(join(folder, "acme-account.key"), () =>
      acme.crypto.createPrivateEcdsaKey("P-256"),
    );
    const client = new acme.Client({ directoryUrl: directory, accountKey });
    const [key, csr] = await acme.crypto.createCsr(
      { altNames: [...names] },
      await acme.crypto.createPrivateRsaKey(2048),
    );
    const chain = await client.auto({
      csr,
      email: contact.replace(/^mailto:/, ""),
      termsOfServiceAgreed: true,
      challengePriority: ["http-01"],
      // From here our own name may lead elsewhere than from outside.
      skipChallengeVerification: true,
      challengeCreateFn: async (_authorization, { token }, answer) => this.challenges.add(token, answer),
      challengeRemoveFn: async (_authorization, { token }) => this.challenges.remove(token),
    });
    return `${String(key)}\n${chain}`;
  }

  /** The same at each renewal. */
  async #accountKey(file: string, make: () => Promise<Buffer>): Promise<string> {
    const known = await readIfThere(file);
    if (known !== undefined) return known;
    await writeNew(file, String(await make()));
    return readFile(file, "utf8");
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  return readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
    return undefined;
  });
}
