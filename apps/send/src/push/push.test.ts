import { createECDH, createPublicKey, randomBytes, verify } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { makeCertificate } from "@restante/host/certificate-kit";
import { decrypt } from "http_ece";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encryptPush, PUSH_BYTES_MAX } from "./encrypt.ts";
import { Reach } from "./reach.ts";
import { Vapid } from "./vapid.ts";
import { PUSH_MS, WebPush } from "./web-push.ts";

const text = (value: string): Uint8Array => Buffer.from(value, "base64url");

/** RFC 8291 appendix A. */
const RFC = {
  plain: Buffer.from("When I grow up, I want to be a watermelon"),
  privateKey: text("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"),
  p256dh: text("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"),
  auth: text("BTBZMqHH6r4Tts7J_aSIgg"),
  salt: text("DGv6ra1nlYgDCS1FRnbzlw"),
  body:
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_" +
    "yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN",
};

function device() {
  const privateKey = createECDH("prime256v1");
  const keys = { p256dh: privateKey.generateKeys(), auth: randomBytes(16) };
  const open = (body: Buffer): Buffer =>
    decrypt(body, { version: "aes128gcm", privateKey, authSecret: keys.auth.toString("base64url") });
  return { keys, open };
}

describe("a push message", () => {
  test("is the RFC's, octet by octet", () => {
    const { plain, p256dh, auth, salt, privateKey } = RFC;
    const body = encryptPush(plain, { p256dh, auth }, { salt, privateKey });
    expect(Buffer.from(body).toString("base64url")).toBe(RFC.body);
  });

  test("of any length is opened by somebody else's program, and by no other device", () => {
    for (const length of [0, 1, 15, 16, 17, 100, 1000, PUSH_BYTES_MAX]) {
      const { keys, open } = device();
      const plain = randomBytes(length);
      const body = Buffer.from(encryptPush(plain, keys));
      expect(body.length).toBeLessThanOrEqual(4096);
      expect(open(body).equals(plain)).toBe(true);
      expect(() => device().open(body)).toThrow();
    }
    expect(() => encryptPush(new Uint8Array(PUSH_BYTES_MAX + 1), device().keys)).toThrow(RangeError);
  });

  test("to what is no point of the curve is refused", () => {
    const p256dh = new Uint8Array(65).fill(4);
    expect(() => encryptPush(new Uint8Array(1), { p256dh, auth: new Uint8Array(16) })).toThrow(RangeError);
  });

  test("says who sends it, to one service, for half a day: RFC 8292", () => {
    let now = 1_700_000_000_000;
    const make = () => new Vapid({ seed: new Uint8Array(32).fill(7), contact: "mailto:a@example.org", now: () => now });
    const vapid = make();
    expect(make().publicKey).toBe(vapid.publicKey);
    const point = text(vapid.publicKey);
    expect([point.length, point[0]]).toEqual([65, 4]);
    const value = vapid.authorization("https://push.example.net");
    const [, token, key] = /^vapid t=([\w.-]+), k=([\w-]+)$/.exec(value)!;
    expect(key).toBe(vapid.publicKey);
    const [head, claims, signature] = token!.split(".");
    expect(JSON.parse(String(Buffer.from(text(head!))))).toEqual({ typ: "JWT", alg: "ES256" });
    const exp = now / 1000 + 12 * 60 * 60;
    expect(JSON.parse(String(Buffer.from(text(claims!))))).toEqual({
      aud: "https://push.example.net",
      exp,
      sub: "mailto:a@example.org",
    });
    const half = (at: number): string => Buffer.from(point.subarray(at, at + 32)).toString("base64url");
    const jwk = { kty: "EC", crv: "P-256", x: half(1), y: half(33) };
    const publicKey = createPublicKey({ format: "jwk", key: jwk });
    const options = { key: publicKey, dsaEncoding: "ieee-p1363" } as const;
    expect(verify("sha256", Buffer.from(`${head}.${claims}`), options, text(signature!))).toBe(true);
    expect(vapid.authorization("https://push.example.net")).toBe(value);
    expect(vapid.authorization("https://other.example.net")).not.toBe(value);
    now += 7 * 60 * 60_000;
    expect(vapid.authorization("https://push.example.net")).not.toBe(value);
  });
});

describe("whom a push may go to", () => {
  const INSIDE = [
    ...[
      "127.0.0.1",
      "127.9.9.9",
      "0.0.0.0",
      "10.1.2.3",
      "100.64.0.1",
      "169.254.169.254",
      "172.16.0.1",
      "172.31.255.255",
    ],
    ...["192.168.1.1", "192.0.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"],
    ...["::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "fe80::1", "fc00::1"],
    ...["fd12::1", "ff02::1", "2001:db8::1", "2001::1", "2002:7f00:1::", "100::1", "5f00::1"],
  ];
  test.each(INSIDE)("not to %s, nor to a name that leads there", async (address) => {
    const reach = new Reach({ allow: [], resolve: async () => [address] });
    await expect(reach.addressesOf("push.example.net")).rejects.toThrow("inside");
    await expect(reach.addressesOf(address.includes(":") ? `[${address}]` : address)).rejects.toThrow("inside");
    const both = new Reach({ allow: [], resolve: async () => ["8.8.8.8", address] });
    await expect(both.addressesOf("push.example.net")).rejects.toThrow("inside");
  });

  test("to others, and to whom the operator lets it", async () => {
    const open = new Reach({ allow: [], resolve: async () => ["8.8.8.8", "2606:4700::1"] });
    expect(await open.addressesOf("push.example.net")).toEqual(["8.8.8.8", "2606:4700::1"]);
    const allow = ["127.0.0.0/8", "::1", "push.home"];
    const home = new Reach({ allow, resolve: async () => ["10.0.0.1"] });
    expect(await home.addressesOf("PUSH.home")).toEqual(["10.0.0.1"]);
    expect(await home.addressesOf("127.1.1.1")).toEqual(["127.1.1.1"]);
    expect(await home.addressesOf("[::1]")).toEqual(["::1"]);
    await expect(home.addressesOf("other.home")).rejects.toThrow("inside");
    await expect(new Reach({ allow, resolve: async () => [] }).addressesOf("x")).rejects.toThrow("no address");
    for (const wrong of ["127.0.0.1/99", "a b", "10.0.0.0/8/8"])
      expect(() => new Reach({ allow: [wrong] })).toThrow(RangeError);
  });
});

describe("over HTTPS", () => {
  let server: Server;
  let ca: string;
  let port: number;
  /** How the service answers; and what it was sent. */
  let answer: (request: IncomingMessage, body: Buffer, respond: ServerResponse) => void;
  const came: { readonly request: IncomingMessage; readonly body: Buffer }[] = [];
  beforeAll(async () => {
    const made = await makeCertificate(["push.test", "localhost"], ["127.0.0.1"]);
    ca = made.cert;
    server = createServer(made, (request, respond) => {
      const pieces: Buffer[] = [];
      request.on("data", (piece: Buffer) => pieces.push(piece));
      request.on("end", () => {
        const body = Buffer.concat(pieces);
        came.push({ request, body });
        answer(request, body, respond);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    ({ port } = server.address() as AddressInfo);
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  const vapid = new Vapid({ seed: new Uint8Array(32).fill(7), contact: "", now: Date.now });
  const signal = new AbortController().signal;
  const transport = (more: Partial<ConstructorParameters<typeof WebPush>[0]> = {}): WebPush =>
    new WebPush({ vapid, ca, allow: ["127.0.0.0/8"], resolve: async () => ["127.0.0.1"], ...more });
  const message = (more: { readonly url?: string } = {}) => ({
    ...{ url: `https://push.test:${port}/x?y=z`, keys: undefined, content: { a: 1 } },
    ...{ ttlSeconds: 60, urgency: "high" as const },
    ...more,
  });

  test("a message goes to its service alone, encrypted, with its lifetime and urgency", async () => {
    answer = (_request, _body, respond) => respond.writeHead(201).end();
    await withTransport(transport(), async (push) => {
      const { keys, open } = device();
      expect(await push.push({ ...message(), keys }, signal)).toEqual({ outcome: "sent" });
      const { request, body } = came.at(-1)!;
      expect([request.method, request.url]).toEqual(["POST", "/x?y=z"]);
      expect(request.headers).toMatchObject({
        host: `push.test:${port}`,
        ttl: "60",
        urgency: "high",
        "content-encoding": "aes128gcm",
        authorization: vapid.authorization(`https://push.test:${port}`),
      });
      expect(JSON.parse(String(open(body)))).toEqual({ a: 1 });
      expect(await push.push(message(), signal)).toEqual({ outcome: "sent" });
      expect(came.at(-1)!.request.headers["content-encoding"]).toBeUndefined();
      expect(JSON.parse(String(came.at(-1)!.body))).toEqual({ a: 1 });
    });
  });

  test.each([
    [404, { outcome: "gone", reason: "HTTP 404" }],
    [410, { outcome: "gone", reason: "HTTP 410" }],
    [403, { outcome: "later", reason: "HTTP 403" }],
    [500, { outcome: "later", reason: "HTTP 500" }],
    [302, { outcome: "later", reason: "HTTP 302" }],
    [429, { outcome: "later", reason: "HTTP 429", afterMs: 120_000 }],
  ] as const)("the answer %i says what it says, and no redirect is followed", async (status, reply) => {
    answer = (_request, _body, respond) =>
      respond
        .writeHead(status, {
          location: `https://localhost:${port}/elsewhere`,
          ...(status === 429 && { "retry-after": "120" }),
        })
        .end();
    const before = came.length;
    await withTransport(transport(), async (push) => expect(await push.push(message(), signal)).toEqual(reply));
    expect(came).toHaveLength(before + 1);
  });

  test("an answer without end is cut off, and one that never comes is not waited for", async () => {
    answer = (_request, _body, respond) => {
      respond.writeHead(201);
      const fill = (): void => {
        while (respond.write(Buffer.alloc(65_536)));
        respond.once("drain", fill);
      };
      respond.on("error", () => undefined);
      fill();
    };
    await withTransport(transport(), async (push) => {
      expect(await push.push(message(), signal)).toEqual({ outcome: "sent" });
      answer = (_request, _body, respond) => respond.writeHead(201, { "x-long": "x".repeat(12_000) }).end();
      expect(await push.push(message(), signal)).toMatchObject({ outcome: "later", reason: "HPE_HEADER_OVERFLOW" });
      answer = () => undefined;
      const began = performance.now();
      expect(await push.push(message(), signal)).toMatchObject({ outcome: "later", reason: "no answer in time" });
      expect(performance.now() - began).toBeLessThan(PUSH_MS + 2_000);
    });
  }, 20_000);

  test("nobody inside is reached: by an address, a name, a name that changes, or what is no HTTPS", async () => {
    answer = (_request, _body, respond) => respond.writeHead(201).end();
    const before = came.length;
    const inside = { outcome: "later", reason: "an address of the name is inside the house" };
    let asked = 0;
    await withTransport(
      transport({ allow: [], resolve: async () => [asked++ === 0 ? "127.0.0.1" : "8.8.8.8"] }),
      async (push) => {
        expect(await push.push(message(), signal)).toEqual(inside);
        expect(await push.push(message({ url: `https://127.0.0.1:${port}/` }), signal)).toEqual(inside);
        expect(await push.push(message({ url: `https://[::ffff:127.0.0.1]:${port}/` }), signal)).toEqual(inside);
        expect(await push.push(message({ url: `https://2130706433:${port}/` }), signal)).toEqual(inside);
        expect(await push.push(message({ url: `https://0x7f.1:${port}/` }), signal)).toEqual(inside);
        expect(await push.push(message({ url: `http://127.0.0.1:${port}/` }), signal)).toMatchObject({
          outcome: "gone",
        });
      },
    );
    expect(came).toHaveLength(before);
  });

  test("a certificate of nobody, or of another name, is not believed", async () => {
    await withTransport(transport({ ca: undefined }), async (push) =>
      expect(await push.push(message(), signal)).toMatchObject({ outcome: "later" }),
    );
    await withTransport(transport(), async (push) =>
      expect(await push.push(message({ url: `https://other.test:${port}/` }), signal)).toEqual({
        outcome: "later",
        reason: "ERR_TLS_CERT_ALTNAME_INVALID",
      }),
    );
  });
});

async function withTransport(push: WebPush, work: (push: WebPush) => Promise<unknown>): Promise<void> {
  try {
    await work(push);
  } finally {
    push.dispose();
  }
}
