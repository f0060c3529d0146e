import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { objectStoreContract } from "../../storage/contract.ts";
import { extent } from "../../testing/extent.ts";
import { S3Double, type S3Fault, type S3Request } from "../../testing/s3-double.ts";
import { Hints } from "../hints.ts";
import { PART_BYTES, S3_LIMITS, type S3Limits } from "./settings.ts";
import { openS3Store, type S3Store } from "./store.ts";

const QUICK: S3Limits = {
  ...S3_LIMITS,
  connectMs: 5000,
  answerMs: 5000,
  bodyIdleMs: 5000,
  retryMs: 5,
  pollUrgentMs: 20,
};

const open: { dispose(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.dispose();
});

async function makeDouble(): Promise<S3Double> {
  const double = await S3Double.start();
  open.push({ dispose: () => double.stop() });
  return double;
}

async function openStore(double: S3Double, more = {}, limits = QUICK): Promise<S3Store> {
  const store = await openS3Store({ ...double.settings, ...more }, limits);
  open.push(store);
  return store;
}

for (const [name, prefix] of [
  ["s3", ""],
  ["s3 under a prefix", "some/where/"],
] as const)
  objectStoreContract(
    name,
    async () => {
      const double = await S3Double.start();
      const settings = { ...double.settings, prefix };
      const limits = { ...S3_LIMITS, pollUrgentMs: 20 };
      const [store, other] = [await openS3Store(settings, limits), await openS3Store(settings, limits)];
      return {
        store,
        other,
        async dispose() {
          await Promise.all([store.dispose(), other.dispose()]);
          await double.stop();
        },
      };
    },
    { floors: false },
  );

/** Lets the first so many requests that match fail. */
function failing(times: number, fault: S3Fault, match: (request: S3Request) => boolean = () => true) {
  let left = times;
  return (request: S3Request): S3Fault | undefined => (match(request) && left-- > 0 ? fault : undefined);
}
const bytes = (size: number): Uint8Array => new Uint8Array(size).map((_, at) => at % 251);
async function* pieces(size: number, piece = 300_000): AsyncGenerator<Uint8Array> {
  const all = bytes(size);
  for (let at = 0; at < size; at += piece) yield all.subarray(at, at + piece);
}
/** Limits for a fault: those that the clock judges take short ones, the others have time on a busy machine. */
const limitsFor = ({ kind }: S3Fault): S3Limits =>
  kind === "hang" || kind === "half" ? { ...QUICK, answerMs: extent(500, 150), bodyIdleMs: extent(500, 150) } : QUICK;
const busy: S3Fault = { kind: "refused", status: 503, code: "ServiceUnavailable" };

test.each<S3Fault>([busy, { kind: "cut" }, { kind: "hang" }, { kind: "lost-answer" }, { kind: "half" }])(
  "%j once or twice is not noticed",
  async (fault) => {
    const double = await makeDouble();
    const store = await openStore(double, {}, limitsFor(fault));
    double.fault = failing(2, fault);
    await store.put("a/body/1", bytes(1000));
    double.fault = failing(2, fault);
    expect((await store.putIfAbsent("a/log/00000000000001", bytes(1000))).outcome).toBe("stored");
    double.fault = failing(2, fault);
    expect(await store.get("a/body/1", { start: 10, end: 20 })).toMatchObject({
      bytes: bytes(20).subarray(10),
      size: 1000,
    });
    double.fault = failing(2, fault);
    expect((await store.list("a/")).objects).toHaveLength(2);
    double.fault = failing(2, fault);
    await store.delete(["a/body/1"]);
    expect([...double.objects.keys()]).toEqual(["a/log/00000000000001"]);
  },
);

test.each<[S3Fault, string, string]>([
  [busy, "unknown", "unavailable"],
  [{ kind: "cut" }, "unknown", "unavailable"],
  [{ kind: "hang" }, "unknown", "unavailable"],
  [{ kind: "lost-answer" }, "unknown", "unavailable"],
  [{ kind: "refused", status: 403, code: "AccessDenied" }, "unavailable", "unavailable"],
  [{ kind: "refused", status: 503, code: "SlowDown" }, "unavailable", "unavailable"],
  [{ kind: "refused", status: 409, code: "ConditionalRequestConflict" }, "unavailable", "unavailable"],
  [{ kind: "refused", status: 503, code: "ServiceUnavailable", message: "No space left on device" }, "full", "full"],
  [{ kind: "refused", status: 507, code: "Insufficient" }, "full", "full"],
])("%j for good: a write is %s, a read %s", async (fault, write, read) => {
  const double = await makeDouble();
  const store = await openStore(double, {}, { ...limitsFor(fault), attempts: 2 });
  double.fault = () => fault;
  await expect(store.put("a/body/1", bytes(9))).rejects.toMatchObject({ name: "StoreError", code: write });
  await expect(store.putIfAbsent("a/log/1", bytes(9))).rejects.toMatchObject({ code: write });
  await expect(store.delete(["a/body/1"])).rejects.toMatchObject({ code: write });
  await expect(store.get("a/body/1")).rejects.toMatchObject({ code: read });
  await expect(store.list("a/")).rejects.toMatchObject({ code: read });
});

test("a store that nobody reaches has surely done nothing", async () => {
  const double = await makeDouble();
  const store = await openStore(double);
  await double.stop();
  await expect(store.put("a/body/1", bytes(9))).rejects.toMatchObject({ code: "unavailable" });
});

test("who was first after a lost answer is found out by the bytes", async () => {
  const double = await makeDouble();
  const [store, other] = [await openStore(double), await openStore(double)];
  await other.putIfAbsent("a/log/00000000000001", bytes(5));
  double.fault = failing(1, { kind: "cut" });
  expect((await store.putIfAbsent("a/log/00000000000001", bytes(6))).outcome).toBe("exists");
});

test("a large stream goes in parts, each tried again, and whole or not at all", async () => {
  const double = await makeDouble();
  const store = await openStore(double);
  const size = 2 * PART_BYTES + 12_345;
  double.fault = failing(2, busy, ({ query }) => query.has("partNumber"));
  await store.put("a/body/large", pieces(size));
  expect(Buffer.compare(double.objects.get("a/body/large")!.bytes, bytes(size))).toBe(0);
  await store.put("a/body/exact", pieces(2 * PART_BYTES));
  expect(double.objects.get("a/body/exact")!.bytes.length).toBe(2 * PART_BYTES);
  double.fault = failing(1, { kind: "lost-answer" }, ({ method, query }) => method === "POST" && query.has("uploadId"));
  await store.put("a/body/lost", pieces(size));
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield* pieces(size);
    throw new Error("client is gone");
  }
  await expect(store.put("a/body/broken", broken())).rejects.toThrow("client is gone");
  double.fault = ({ query }) => (query.get("partNumber") === "2" ? busy : undefined);
  await expect(store.put("a/body/away", pieces(size))).rejects.toMatchObject({ code: "unavailable" });
  expect([...double.objects.keys()].sort()).toEqual(["a/body/exact", "a/body/large", "a/body/lost"]);
  expect(double.uploads.size).toBe(0);
});

test("uploads that killed processes left are aborted a day later, by the store's dates", async () => {
  const double = await makeDouble();
  const store = await openStore(double);
  double.fault = ({ query }) => (query.has("partNumber") || query.has("uploadId") ? busy : undefined);
  await expect(store.put("a/body/away", pieces(2 * PART_BYTES))).rejects.toMatchObject({ code: "unavailable" });
  double.fault = () => undefined;
  expect(await store.sweepUploads()).toBe(0);
  expect(double.uploads.size).toBe(1);
  double.now = () => Date.now() + 25 * 60 * 60_000;
  expect(await store.sweepUploads()).toBe(1);
  expect(double.uploads.size).toBe(0);
});

test("every answer has the store's date, whatever our clock says", async () => {
  const double = await makeDouble();
  const store = await openStore(double);
  double.now = () => 1_000_000_000_000;
  expect(await store.put("a/note/1", bytes(9))).toEqual({ now: 1_000_000_000_000 });
  double.now = () => 1_000_000_060_000;
  expect(await store.get("a/note/1")).toMatchObject({ created: 1_000_000_000_000, now: 1_000_000_060_000 });
  expect(await store.get("a/note/none")).toEqual({ found: false, now: 1_000_000_060_000 });
  expect((await store.list("a/")).objects).toMatchObject([{ created: 1_000_000_000_000 }]);
});

test("a store's date that lags behind its objects' makes no object younger than nothing", async () => {
  const double = await makeDouble();
  const store = await openStore(double);
  double.now = () => 1_000_000_001_000;
  await store.put("a/note/1", bytes(9));
  double.now = () => 1_000_000_000_000;
  expect(await store.get("a/note/1")).toMatchObject({ created: 1_000_000_001_000, now: 1_000_000_001_000 });
  expect(await store.get("a/note/1", { start: 3, end: 3 })).toMatchObject({ size: 9, now: 1_000_000_001_000 });
});

test("long lists come in pages, and a list out of order is refused", async () => {
  const double = await makeDouble();
  const store = await openStore(double);
  for (let n = 0; n < 2500; n++)
    double.objects.set(`a/note/${String(n).padStart(4, "0")}`, { bytes: Buffer.from("x"), created: 0 });
  double.objects.set("a/note/folder/", { bytes: Buffer.alloc(0), created: 0 });
  const { objects } = await store.list("a/note/");
  expect(objects).toHaveLength(2500);
  expect(double.requests).toHaveLength(3);
  expect((await store.list("a/note/", { after: "a/note/0999", limit: 1 })).objects[0]?.name).toBe("a/note/1000");
  expect((await store.list("a/note/", { after: "a/note/2400", limit: 1500 })).objects).toHaveLength(99);
  double.reverseLists = true;
  await expect(store.list("a/note/", { limit: 5 })).rejects.toMatchObject({ code: "unavailable" });
});

test("no more than so many requests are on their way at once, interactive ones first", async () => {
  const double = await makeDouble();
  const store = await openStore(double, {}, { ...QUICK, readsMax: 2, writesMax: 2 });
  const order: string[] = [];
  double.fault = ({ key }) => {
    order.push(key);
    return undefined;
  };
  const puts = ["1", "2"].map((n) => store.put(`a/pack/first${n}`, bytes(9)));
  puts.push(...["1", "2", "3"].map((n) => store.put(`a/pack/bulk${n}`, bytes(9), { priority: "bulk" })));
  puts.push(store.put("a/note/interactive", bytes(9)));
  await Promise.all(puts);
  expect(order.indexOf("a/note/interactive")).toBeLessThan(order.indexOf("a/pack/bulk1"));
});

test("an answer that drips is cut off: it must come at a least rate", async () => {
  const double = await makeDouble();
  const store = await openStore(
    double,
    {},
    { ...QUICK, answerMs: 300, bodyIdleMs: 300, attempts: 1, bytesPerSecondMin: 100_000 },
  );
  await store.put("a/body/1", bytes(1000));
  double.fault = () => ({ kind: "trickle" });
  await expect(store.get("a/body/1")).rejects.toMatchObject({ code: "unavailable" });
});

test("behind a store that hangs, who waits too long for a turn is told so; bulk work has time", async () => {
  const double = await makeDouble();
  const store = await openStore(
    double,
    {},
    { ...QUICK, readsMax: 1, writesMax: 1, attempts: 1, turnMs: 30, answerMs: 2000 },
  );
  const hangs = Promise.withResolvers<void>();
  const fault = failing(1, { kind: "hang" });
  double.fault = (request) => {
    hangs.resolve();
    return fault(request);
  };
  const first = store.put("a/note/1", bytes(9)).catch((error: unknown) => error);
  await hangs.promise;
  const bulk = store.put("a/pack/1", bytes(9), { priority: "bulk" });
  // It was never sent, so nothing is unknown about it.
  await expect(store.put("a/note/2", bytes(9))).rejects.toMatchObject({ code: "unavailable" });
  expect(double.requests).toHaveLength(1);
  await bulk;
  expect(await first).toMatchObject({ code: "unknown" });
});

test("of what goes along nothing is unknown: what names it was not stored", async () => {
  const double = await makeDouble();
  const store = await openStore(double);
  const along = [{ name: "a/body/1", content: bytes(20_000) }];
  double.fault = ({ key }) => (key === "a/body/1" ? { kind: "lost-answer" } : undefined);
  const entry = store.putIfAbsent("a/log/00000000000001", bytes(9), { along });
  await expect(entry).rejects.toMatchObject({ code: "unavailable" });
  await expect(store.put("a/note/1", bytes(9), { along })).rejects.toMatchObject({ code: "unavailable" });
  expect([...double.objects.keys()]).toEqual(["a/body/1"]);
});

test("a clock that is off is set by the store's answer", async () => {
  const double = await makeDouble();
  const store = await openStore(double);
  double.fault = failing(1, { kind: "refused", status: 403, code: "RequestTimeTooSkewed" });
  await store.put("a/note/1", bytes(9));
  expect(double.objects.has("a/note/1")).toBe(true);
});

test("in a bucket that is not there no object is absent", async () => {
  const double = await makeDouble();
  const store = await openStore(double, { bucket: "another" });
  await expect(store.get("a/note/1")).rejects.toMatchObject({ code: "unavailable" });
  await expect(store.list("a/")).rejects.toMatchObject({ code: "unavailable" });
  await expect(store.putIfAbsent("a/log/00000000000001", bytes(9))).rejects.toMatchObject({ code: "unavailable" });
});

test("a source whose upload can't begin is told that nobody reads on", async () => {
  const double = await makeDouble();
  const store = await openStore(double);
  let closed = false;
  async function* source(): AsyncGenerator<Uint8Array> {
    try {
      yield* pieces(3 * PART_BYTES);
    } finally {
      closed = true;
    }
  }
  double.fault = () => busy;
  await expect(store.put("a/body/1", source())).rejects.toMatchObject({ code: "unavailable" });
  expect(closed).toBe(true);
});

test("over a Unix socket, with the bucket in the path or in the host's name; and where none is there", async () => {
  const folder = await mkdtemp(join(tmpdir(), "restante-s3-"));
  open.push({ dispose: () => rm(folder, { recursive: true }) });
  const double = await S3Double.start({ path: join(folder, "s3.sock") });
  const [byPath, byHost] = [await openStore(double), await openStore(double, { pathStyle: false })];
  await byPath.put("a/body/1", bytes(50_000));
  expect(await byHost.get("a/body/1")).toMatchObject({ found: true, size: 50_000 });
  expect(double.requests.map(({ host }) => host)).toEqual(["localhost", "mail.localhost"]);
  const { settings } = double;
  await double.stop();
  const late = await openS3Store(settings, QUICK);
  open.push(late);
  await expect(late.put("a/body/2", bytes(1))).rejects.toMatchObject({ code: "unavailable" });
});

test("a connection that does not stand in time is given up, and surely nothing was done", async () => {
  // It takes the connection and never says a word of TLS.
  const mute = createServer();
  await new Promise<void>((resolve) => mute.listen({ port: 0, host: "127.0.0.1" }, resolve));
  const sockets: Socket[] = [];
  mute.on("connection", (socket) => sockets.push(socket));
  open.push({
    async dispose() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => mute.close(resolve));
    },
  });
  const { port } = mute.address() as AddressInfo;
  const limits = { ...QUICK, attempts: 2, connectMs: 50, answerMs: 60_000 };
  const store = await openStore(await makeDouble(), { endpoint: `https://127.0.0.1:${port}` }, limits);
  await expect(store.put("a/body/1", bytes(1))).rejects.toMatchObject({ code: "unavailable" });
  expect(sockets).toHaveLength(2);
});

test.each([
  [{ endpoint: "ftp://x" }, "endpoint"],
  [{ endpoint: "http+unix://relative" }, "socket"],
  [{ bucket: "" }, "bucket"],
  [{ prefix: "no-slash" }, "prefix"],
])("the settings %j are refused", async (wrong, message) => {
  const settings = { ...new S3Double().settingsFor("http://127.0.0.1:1"), ...wrong };
  await expect(openS3Store(settings)).rejects.toThrow(message);
});

test("polls ask little: one name at a time until something came", async () => {
  const double = await makeDouble();
  const [store, other] = [await openStore(double), await openStore(double)];
  for (let n = 0; n < 5; n++) await other.put(`a/note/${n}`, bytes(1));
  double.requests.length = 0;
  const names: (string | undefined)[] = [];
  const rung = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
    });
  let wake: () => void = () => undefined;
  let ring = rung();
  const end = store.watch("a/note/", (name) => {
    names.push(name);
    wake();
  });
  await ring;
  ring = rung();
  await other.put("a/note/5", bytes(1));
  await ring;
  end();
  expect(names[0]).toBeUndefined();
  expect(names).toContain("a/note/5");
  const lists = double.requests.filter(({ method }) => method === "GET").map(({ query }) => query.get("max-keys"));
  expect(lists.slice(0, 2)).toEqual(["1000", "1"]);
});

test("who knows what is there has later names told alone, by one small list at a time", async () => {
  const double = await makeDouble();
  const [store, other] = [await openStore(double), await openStore(double)];
  for (let n = 0; n < 5; n++) await other.put(`a/log/${n}`, bytes(1));
  double.requests.length = 0;
  const name = new Promise<string | undefined>((resolve) => {
    const end = store.watch("a/log/", resolve, { after: "a/log/4" });
    open.push({ dispose: async () => end() });
  });
  await other.put("a/log/5", bytes(1));
  expect(await name).toBe("a/log/5");
  const [first] = double.requests.filter(({ method }) => method === "GET");
  expect([first?.query.get("max-keys"), first?.query.get("start-after")]).toEqual(["1", "a/log/4"]);
});

test("what another process of this host wrote rings at once, with no request, and what this one wrote rings once", async () => {
  const double = await makeDouble();
  const folder = await mkdtemp(join(tmpdir(), "restante-hints-"));
  open.push({ dispose: () => rm(folder, { recursive: true }) });
  const rarely = { ...QUICK, pollUrgentMs: 3_600_000, pollMs: 3_600_000 };
  const [store, other] = await Promise.all(
    [1, 2].map(async () => {
      const hints = new Hints(folder, (error) => expect.fail(String(error)));
      open.push({ dispose: async () => hints.dispose() });
      return openS3Store(double.settings, rarely, hints);
    }),
  );
  open.push(store!, other!);
  const rings: (string | undefined)[] = [];
  const rung = new Promise<void>((resolve) => {
    store!.watch("a/note/", (name) => rings.push(name) === 2 && resolve(), { after: "a/note/0" });
  });
  double.requests.length = 0;
  await store!.put("a/note/1", bytes(1));
  await other!.put("a/note/2", bytes(1));
  await rung;
  expect(rings).toEqual(["a/note/1", undefined]);
  expect(double.requests.map(({ method }) => method)).toEqual(["PUT", "PUT"]);
});

test("while nobody waits it is asked less often", async () => {
  const double = await makeDouble();
  const store = await openStore(double, {}, { ...QUICK, pollUrgentMs: 10, pollMs: 3_600_000 });
  let isUrgent = false;
  let looks = 0;
  let looked: () => void = () => undefined;
  double.fault = () => {
    looks++;
    looked();
    return undefined;
  };
  const end = store.watch("a/log/", () => undefined, { after: "a/log/4", isUrgent: () => isUrgent });
  open.push({ dispose: async () => end() });
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(looks).toBe(0);
  const look = new Promise<void>((resolve) => {
    looked = resolve;
  });
  isUrgent = true;
  await look;
});
