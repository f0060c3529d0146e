import { constants, webcrypto, type X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createSecureContext, type SecureContext, type SecureContextOptions, type SecureVersion } from "node:tls";
import { readCertificate } from "./certificate.ts";
import { writeNew } from "./keys.ts";
import { makeFolder } from "./make-folder.ts";

/** Two years, in days; a day of slack for clocks that are behind. */
const VALID_DAYS = 730;
const DAY_MS = 86_400_000;

/** TLS 1.3's, then those of TLS 1.2 with forward secrecy and authenticated encryption (RFC 9325 §4.2), in our order. */
const SUITES = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
];
/** Suites for very old phones: CBC, and key exchange by RSA. They stand behind all others. */
const OLD_SUITES = [
  "ECDHE-ECDSA-AES128-SHA",
  "ECDHE-RSA-AES128-SHA",
  "ECDHE-ECDSA-AES256-SHA",
  "ECDHE-RSA-AES256-SHA",
  "AES128-GCM-SHA256",
  "AES256-GCM-SHA384",
  "AES128-SHA256",
  "AES256-SHA256",
  "AES128-SHA",
  "AES256-SHA",
];

export interface TlsOptions {
  /** PEM files; empty for a certificate of our own, kept in `folder`. */
  readonly cert: string;
  readonly key: string;
  readonly folder: string;
  /** Key and chain in one, which somebody else puts there: used as soon as it is there, in place of our own. */
  readonly renewedFile?: string | undefined;
  readonly minVersion: SecureVersion;
  /** Also suites of TLS 1.2 with CBC or without forward secrecy. */
  readonly oldSuites: boolean;
}

/** The server's TLS: certificate and key, read again by `reload`. */
export class Tls {
  readonly #options: TlsOptions;
  readonly #onReload = new Set<(settings: SecureContextOptions) => void>();
  #facts: X509Certificate | undefined;
  #settings: SecureContextOptions | undefined;
  #context: SecureContext | undefined;

  constructor(options: TlsOptions) {
    this.#options = options;
  }

  get context(): SecureContext {
    if (!this.#context) throw new Error("certificates were not read");
    return this.#context;
  }

  /** The settings of the context, for a server that makes its own. */
  get settings(): SecureContextOptions {
    if (!this.#settings) throw new Error("certificates were not read");
    return this.#settings;
  }

  /** Of the certificate in force; undefined before the first reading. */
  get facts(): X509Certificate | undefined {
    return this.#facts;
  }

  /** Tells of each reading from now on. */
  onReload(listener: (settings: SecureContextOptions) => void): void {
    this.#onReload.add(listener);
  }

  /** Reads the files; those of a broken renewal leave the old ones in force, and throw. Throws ConfigError. */
  async reload(): Promise<void> {
    const { cert, key, folder, minVersion, oldSuites } = this.#options;
    const files = cert === "" ? await foundCertificate(folder, this.#options.renewedFile) : { cert, key };
    const certificate = await readCertificate(files.cert, files.key);
    const settings: SecureContextOptions = {
      cert: certificate.chain,
      key: certificate.key,
      minVersion,
      ciphers: [...SUITES, ...(oldSuites ? OLD_SUITES : [])].join(":"),
      honorCipherOrder: true,
      // A client could have handshakes done without end, on one connection.
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    };
    this.#context = createSecureContext(settings);
    this.#settings = settings;
    this.#facts = certificate.facts;
    for (const listener of this.#onReload) listener(settings);
  }
}

async function foundCertificate(
  folder: string,
  renewedFile: string | undefined,
): Promise<{ readonly cert: string; readonly key: string }> {
  if (renewedFile === undefined || !existsSync(renewedFile)) return ownCertificate(folder);
  return { cert: renewedFile, key: renewedFile };
}

/** A certificate for localhost, made at the first start. RSA-2048, which old phones need. */
async function ownCertificate(folder: string): Promise<{ readonly cert: string; readonly key: string }> {
  const files = { cert: join(folder, "localhost.pem"), key: join(folder, "localhost.key") };
  const found = await readFile(files.cert).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  if (found) return files;
  // x509 takes its parts from a container that wants this first.
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  x509.cryptoProvider.set(webcrypto as typeof globalThis.crypto);
  const algorithm = {
    name: "RSASSA-PKCS1-v1_5",
    hash: "SHA-256",
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
  };
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
  const now = Date.now();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=localhost",
    notBefore: new Date(now - DAY_MS),
    notAfter: new Date(now + VALID_DAYS * DAY_MS),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.SubjectAlternativeNameExtension([
        { type: "dns", value: "localhost" },
        { type: "ip", value: "127.0.0.1" },
        { type: "ip", value: "::1" },
      ]),
      new x509.BasicConstraintsExtension(false),
    ],
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  await makeFolder(folder);
  // The key first: a certificate without its key would not start.
  await writeNew(
    files.key,
    `-----BEGIN PRIVATE KEY-----\n${pkcs8.match(/.{1,64}/g)!.join("\n")}\n-----END PRIVATE KEY-----\n`,
  );
  await writeNew(files.cert, `${certificate.toString("pem")}\n`);
  return files;
}
