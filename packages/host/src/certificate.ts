import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { ConfigError } from "./config-error.ts";

/** A certificate chain and its key, each in PEM; `facts` are of the server's own certificate. */
export interface Certificate {
  readonly chain: Buffer;
  readonly key: Buffer;
  readonly facts: X509Certificate;
}

const DAY_MS = 86_400_000;
/** A certificate that ends so soon is told of each day. */
export const EXPIRY_WARNING_DAYS = 14;

/** Reads the files of `tls.cert` and `tls.key`. Throws ConfigError where they can't be read, or don't belong together. */
export async function readCertificate(certFile: string, keyFile: string): Promise<Certificate> {
  if (keyFile === "") throw new ConfigError("tls.key is missing, and tls.cert is of no use without it");
  const [chain, key] = await Promise.all([read("tls.cert", certFile), read("tls.key", keyFile)]);
  const facts = parse("tls.cert", certFile, () => new X509Certificate(chain));
  const privateKey: KeyObject = parse("tls.key", keyFile, () => createPrivateKey(key));
  if (!facts.checkPrivateKey(privateKey)) throw new ConfigError(`tls.key: ${keyFile} is not the key of ${certFile}`);
  return { chain, key, facts };
}

async function read(setting: string, file: string): Promise<Buffer> {
  return readFile(file).catch((error: Error) => {
    throw new ConfigError(`${setting}: ${file} can't be read: ${error.message}`);
  });
}

function parse<T>(setting: string, file: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new ConfigError(`${setting}: ${file} holds no PEM that can be used: ${(error as Error).message}`);
  }
}

/** When a certificate ends, in milliseconds since 1970. */
export function endOf(facts: X509Certificate): number {
  return Date.parse(facts.validTo);
}

/** Reasons why mail programs refuse a certificate at this time, or soon. `names` are those by which they know the server. */
export function certificateProblems(
  facts: X509Certificate,
  { nowMs, names }: { readonly nowMs: number; readonly names: readonly string[] },
): readonly string[] {
  const problems = [];
  const days = Math.floor((endOf(facts) - nowMs) / DAY_MS);
  if (Date.parse(facts.validFrom) > nowMs) problems.push(`it begins only on ${facts.validFrom}`);
  if (endOf(facts) <= nowMs) problems.push(`it ended on ${facts.validTo}`);
  else if (days < EXPIRY_WARNING_DAYS) problems.push(`it ends within ${days + 1} days, on ${facts.validTo}`);
  for (const name of names) if (!isNamed(facts, name)) problems.push(`it does not name ${name}`);
  return problems;
}

function isNamed(facts: X509Certificate, name: string): boolean {
  return (isIP(name) === 0 ? facts.checkHost(name) : facts.checkIP(name)) !== undefined;
}
