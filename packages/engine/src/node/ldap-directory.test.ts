import { createServer, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { encodeRecipientRecord, makeRing, recipientRecord } from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import { crypto } from "../testing/account-kit.ts";
import { LdapDirectory, type LdapOptions } from "./ldap-directory.ts";
import { Turns } from "./turns.ts";

const ADA = { entry: "uid=ada,dc=example,dc=org", address: "ada@example.org", record: undefined };
/** BindResponse (RFC 4511 §4.2.2) and ExtendedResponse (§4.12) with a result code, an empty name and empty words. */
const answer = (id: number, tag: number, code: number): Buffer =>
  Buffer.from([0x30, 12, 2, 1, id, tag, 7, 0x0a, 1, code, 4, 0, 4, 0]);
const BIND = 0x61;
const EXTENDED = 0x78;
const SUCCESS = 0;

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A peer that answers the first octets of each connection by `behave`; tells what it was sent. */
async function peer(behave: (socket: Socket, request: Buffer, connection: number) => void) {
  const sent: Buffer[] = [];
  const server = createServer((socket) => {
    closers.push(() => socket.destroy());
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      sent.push(chunk);
      behave(socket, chunk, sent.length);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => server.close());
  const { port } = server.address() as { readonly port: number };
  return { url: new URL(`ldap://127.0.0.1:${port}`), sent, close: () => server.close() };
}

const open = (url: URL, more: Partial<LdapOptions> = {}): Promise<LdapDirectory> =>
  LdapDirectory.open({
    url,
    startTls: false,
    ca: undefined,
    bindDn: "",
    bindPassword: "",
    base: "dc=example,dc=org",
    filter: "(objectClass=person)",
    addressAttribute: "mail",
    loginAttribute: "uid",
    keyAttribute: "restantePublicKey",
    bucketAttribute: "",
    accessKeyAttribute: "",
    secretKeyAttribute: "",
    quotaBytesAttribute: "",
    quotaMessagesAttribute: "",
    place: () => undefined,
    limit: () => undefined,
    log: () => undefined,
    connectTimeoutMs: 10_000,
    answerTimeoutMs: 10_000,
    ...more,
  });
/** For a directory that never answers. */
const IMPATIENT = { connectTimeoutMs: 200, answerTimeoutMs: 200 };
const unavailable = { code: "unavailable" };

describe("a directory's answer to a bind", () => {
  const judge = async (code: number): Promise<boolean> => {
    const { url } = await peer((socket, request) => socket.write(answer(request[4]!, BIND, code)));
    return (await open(url)).isPassword(ADA, "sesame");
  };
  test("success lets in; what says that the password is wrong does not", async () => {
    expect(await judge(SUCCESS)).toBe(true);
    // invalidCredentials, constraintViolation, noSuchObject, inappropriateAuthentication, unwillingToPerform
    for (const code of [49, 19, 32, 48, 53]) expect(await judge(code)).toBe(false);
  });
  test("any other is the directory's trouble, a referral too", async () => {
    // operationsError, referral, confidentialityRequired, busy, unavailable, other
    for (const code of [1, 10, 13, 51, 52, 80]) await expect(judge(code)).rejects.toMatchObject(unavailable);
  });
  test("an empty password is asked of nobody", async () => {
    const { url, sent } = await peer((socket, request) => socket.write(answer(request[4]!, BIND, SUCCESS)));
    expect(await (await open(url)).isPassword(ADA, "")).toBe(false);
    expect(sent).toEqual([]);
  });
});

describe("a directory that is in trouble is away, never a wrong password", () => {
  const trouble: Readonly<Record<string, (socket: Socket) => void>> = {
    "says nothing": () => undefined,
    "hangs up": (socket) => socket.destroy(),
    "says what is no LDAP": (socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"),
  };
  test.each(Object.entries(trouble))("it %s", async (_name, behave) => {
    const directory = await open((await peer(behave)).url, IMPATIENT);
    await expect(directory.isPassword(ADA, "sesame")).rejects.toMatchObject(unavailable);
    await expect(directory.findPerson("ada")).rejects.toMatchObject(unavailable);
  });
  test("nobody listens", async () => {
    const { url, close } = await peer(() => undefined);
    close();
    await expect((await open(url)).find(ADA.address)).rejects.toMatchObject(unavailable);
  });
});

describe("StartTLS", () => {
  const reasonOf = async (
    behave: (socket: Socket, request: Buffer, connection: number) => void,
    more: Partial<Parameters<typeof open>[1]> = {},
  ): Promise<string> => {
    const { url, sent } = await peer(behave);
    const directory = await open(url, { startTls: true, ...more });
    const error = await directory.isPassword(ADA, "sesame").catch((thrown: unknown) => thrown);
    expect(error).toMatchObject(unavailable);
    expect(Buffer.concat(sent).includes("sesame")).toBe(false);
    return String((error as EngineError).cause);
  };
  test("refused: no password goes out in the clear", async () => {
    expect(await reasonOf((socket) => socket.write(answer(1, EXTENDED, 2)))).toMatch("refused");
  });
  test("agreed to, then silence", async () => {
    const silent = await reasonOf(
      (socket, _request, n) => n === 1 && socket.write(answer(1, EXTENDED, SUCCESS)),
      IMPATIENT,
    );
    expect(silent).toMatch("timeout");
  });
  test.each([1, 13, 14])("%i octets of a forged answer behind the agreement are no directory's", async (length) => {
    const forged = answer(2, BIND, SUCCESS).subarray(0, length);
    const both = Buffer.concat([answer(1, EXTENDED, SUCCESS), forged]);
    expect(await reasonOf((socket, _request, n) => n === 1 && socket.write(both))).toMatch("malformed");
  });
  test("an answer in pieces and with long lengths is read; one without an end is not waited for", async () => {
    const long = Buffer.from([0x30, 0x84, 0, 0, 0, 16, 2, 1, 1, EXTENDED, 0x84, 0, 0, 0, 7, 0x0a, 1, 2, 4, 0, 4, 0]);
    const pieces = (socket: Socket, _request: Buffer, n: number): void => {
      if (n > 1) return;
      socket.write(long.subarray(0, 7));
      setTimeout(() => socket.write(long.subarray(7)), 20);
    };
    expect(await reasonOf(pieces)).toMatch("(2)");
    const endless = Buffer.from([0x30, 0x84, 0x7f, 0xff, 0xff, 0xff]);
    expect(await reasonOf((socket) => socket.write(endless))).toMatch("malformed");
  });
});

test("so many lookups run at once, so many wait in order, and the next is told to come again", async () => {
  const turns = new Turns({ runningMax: 2, waitingMax: 1 });
  const ends: (() => void)[] = [];
  const work = (): Promise<number> => new Promise((resolve) => ends.push(() => resolve(ends.length)));
  const three = [1, 2, 3].map(() => turns.take(work));
  expect(ends).toHaveLength(2);
  await expect(turns.take(work)).rejects.toMatchObject(unavailable);
  ends[0]!();
  await three[0];
  await expect.poll(() => ends.length).toBe(3);
  for (const end of ends) end();
  await Promise.all(three);
  await expect(turns.take(async () => Promise.reject(new EngineError("corrupt", "")))).rejects.toMatchObject({
    code: "corrupt",
  });
  expect(await turns.take(async () => 7)).toBe(7);
});

/** BER: RFC 4511 §5.1. */
function ber(tag: number, ...content: readonly (Buffer | string | number)[]): Buffer {
  const body = Buffer.concat(content.map((one) => (typeof one === "number" ? Buffer.from([one]) : Buffer.from(one))));
  const { length } = body;
  const head = length < 0x80 ? [tag, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), body]);
}

/** SearchResultEntry and SearchResultDone: RFC 4511 §4.5.2. */
function found(id: number, attributes: Readonly<Record<string, readonly string[]>>): Buffer {
  const list = Object.entries(attributes).map(([name, all]) =>
    ber(0x30, ber(0x04, name), ber(0x31, ...all.map((value) => ber(0x04, value)))),
  );
  const entry = ber(0x64, ber(0x04, ADA.entry), ber(0x30, ...list));
  const done = ber(0x65, ber(0x0a, SUCCESS), ber(0x04), ber(0x04));
  return Buffer.concat([ber(0x30, ber(0x02, id), entry), ber(0x30, ber(0x02, id), done)]);
}

describe("what an account may hold", () => {
  const record = recipientRecord(makeRing(crypto));
  const key = Buffer.from(encodeRecipientRecord(record)).toString("base64");
  const named = { quotaBytesAttribute: "mailQuota", quotaMessagesAttribute: "mailCount" };
  async function told(attributes: Readonly<Record<string, readonly string[]>>, more: Partial<LdapOptions> = named) {
    const limits: unknown[] = [];
    const events: string[] = [];
    const { url } = await peer((socket, request) => {
      // A length of more octets says how many.
      const head = 2 + (request[1]! >= 0x80 ? request[1]! & 0x7f : 0);
      if (request.includes("person")) socket.write(found(request[head + 2]!, attributes));
    });
    const directory = await open(url, {
      limit: (account, own) => limits.push([account, own]),
      log: ({ event }) => events.push(event),
      ...more,
    });
    await directory.find(ADA.address);
    return { limits, events };
  }
  const ada = { mail: [ADA.address], restantePublicKey: [key] };
  const account = Buffer.from(record.account).toString("hex");

  test("is read whenever its owner is looked up, each number for itself", async () => {
    const { limits } = await told({ ...ada, mailQuota: ["5000"], MAILCOUNT: ["0"] });
    expect(limits).toEqual([[account, { bytes: 5000, messages: 0 }]]);
    expect((await told({ ...ada, mailcount: ["7"] })).limits).toEqual([[account, { messages: 7 }]]);
    // It was there before, and is no more.
    expect((await told(ada)).limits).toEqual([[account, {}]]);
    expect((await told({ ...ada, mailQuota: ["5000"] }, {})).limits).toEqual([[account, {}]]);
  });

  test("is as for all where it is no number, and that is logged", async () => {
    for (const values of [["5 GB"], ["-1"], [""], ["1", "2"], ["9".repeat(16)]]) {
      const { limits, events } = await told({ ...ada, mailQuota: values });
      expect([limits, events]).toEqual([[[account, {}]], ["a quota in the directory is no number"]]);
    }
  });

  test("is nothing yet of somebody who has no account", async () => {
    expect((await told({ mail: [ADA.address], mailQuota: ["5000"] })).limits).toEqual([]);
  });
});
