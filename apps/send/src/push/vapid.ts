import { createECDH, createPrivateKey, hkdfSync, type KeyObject, sign } from "node:crypto";

/** Seconds that a signed claim is good for, and after which another is made: RFC 8292 §2 allows a day. */
const CLAIM_SECONDS: number = 12 * 60 * 60;
/** Claims that are kept, one an origin. */
const CLAIMS_MAX = 256;

export interface VapidOptions {
  /** 32 secret octets that the key pair is made of. */
  readonly seed: Uint8Array;
  /** The operator's contact for push services: `mailto:` or `https:`; "" for none. */
  readonly contact: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** How push services know this server: RFC 8292. The key pair follows from the seed, so that all hosts of a store have it. */
export class Vapid {
  /** P-256, uncompressed, base64url: what clients subscribe by (RFC 9749 §3). */
  readonly publicKey: string;
  readonly #options: VapidOptions;
  readonly #key: KeyObject;
  readonly #claims = new Map<string, { readonly token: string; readonly renewAt: number }>();

  constructor(options: VapidOptions) {
    this.#options = options;
    const pair = makePair(options.seed);
    const point = pair.getPublicKey();
    this.publicKey = point.toString("base64url");
    const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((half) => half.toString("base64url"));
    const d = padded(pair.getPrivateKey()).toString("base64url");
    this.#key = createPrivateKey({ format: "jwk", key: { kty: "EC", crv: "P-256", x: x!, y: y!, d } });
  }

  /** The value of the Authorization field for a push service: RFC 8292 §3. */
  authorization(origin: string): string {
    return `vapid t=${this.#tokenFor(origin)}, k=${this.publicKey}`;
  }

  #tokenFor(origin: string): string {
    const now = this.#options.now();
    const known = this.#claims.get(origin);
    if (known && known.renewAt > now) return known.token;
    const { contact } = this.#options;
    const expires = Math.floor(now / 1000) + CLAIM_SECONDS;
    const claims = { aud: origin, exp: expires, ...(contact !== "" && { sub: contact }) };
    const text = `${part({ typ: "JWT", alg: "ES256" })}.${part(claims)}`;
    const signature = sign("sha256", Buffer.from(text), { key: this.#key, dsaEncoding: "ieee-p1363" });
    const token = `${text}.${signature.toString("base64url")}`;
    this.#claims.delete(origin);
    this.#claims.set(origin, { token, renewAt: now + (CLAIM_SECONDS * 1000) / 2 });
    if (this.#claims.size > CLAIMS_MAX) this.#claims.delete(this.#claims.keys().next().value!);
    return token;
  }
}

function part(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

/** Of all numbers of 32 octets nearly each is a private key; else the next one is. */
function makePair(seed: Uint8Array): ReturnType<typeof createECDH> {
  const pair = createECDH("prime256v1");
  for (let count = 0; ; count++)
    try {
      pair.setPrivateKey(Buffer.from(hkdfSync("sha256", seed, new Uint8Array(0), Buffer.from(`vapid ${count}`), 32)));
      return pair;
    } catch (error) {
      if (count === 100) throw error;
    }
}

function padded(key: Buffer): Buffer {
  return Buffer.concat([Buffer.alloc(32 - key.length), key]);
}
