import { afterEach, describe, expect, test } from "vitest";
import { S3_LIMITS } from "../node/s3/settings.ts";
import { openS3Store } from "../node/s3/store.ts";
import { S3Double } from "../testing/s3-double.ts";
import { CheckedStore } from "./checked-store.ts";
import { probeCreates } from "./creates.ts";

const open: { dispose(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.dispose();
});

const random = (size: number): Uint8Array => globalThis.crypto.getRandomValues(new Uint8Array(size));
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

async function makeDouble(creates: S3Double["creates"] = "atomic"): Promise<S3Double> {
  const double = await S3Double.start();
  double.creates = creates;
  open.push({ dispose: () => double.stop() });
  return double;
}

/** A process of its own. */
async function openChecked(double: S3Double): Promise<CheckedStore> {
  const store = await openS3Store(double.settings, { ...S3_LIMITS, attempts: 1 });
  const checked = new CheckedStore(store, random);
  open.push(checked);
  return checked;
}

describe("create-if-absent", () => {
  test("is believed where every race had one winner; the verdict binds, and the probe leaves nothing else", async () => {
    const double = await makeDouble();
    for (const name of ["a/log/00000000000001", "a/log/00000000000002"])
      expect((await (await openChecked(double)).putIfAbsent(name, bytes("1"))).outcome).toBe("stored");
    expect([...double.objects.keys()].sort()).toEqual([
      "a/log/00000000000001",
      "a/log/00000000000002",
      "store/creates",
    ]);
    expect(double.objects.get("store/creates")!.bytes.toString()).toBe('{"format":1,"creates":"atomic"}\n');
  });

  test.each(["ignored", "unknown", "lying"] as const)(
    "that is %s is found out: nothing is written, and why is said",
    async (creates) => {
      const double = await makeDouble(creates);
      const store = await openChecked(double);
      await expect(store.put("a/note/1", bytes("1"))).rejects.toMatchObject({ code: "invalid" });
      await expect(store.putIfAbsent("a/log/00000000000001", bytes("1"))).rejects.toThrow(/merge mode/);
      expect([...double.objects.keys()]).toEqual(["store/creates"]);
      expect((await store.get("a/note/1")).found).toBe(false);
    },
  );

  test("the liar passes a probe that asks one after another", async () => {
    const double = await makeDouble("lying");
    const store = await openS3Store(double.settings);
    open.push(store);
    expect((await store.putIfAbsent("a/log/00000000000001", bytes("1"))).outcome).toBe("stored");
    expect((await store.putIfAbsent("a/log/00000000000001", bytes("2"))).outcome).toBe("exists");
    expect(await probeCreates(store, random)).toBe("none");
  });

  test("the bucket's verdict is not overruled by a process that finds another", async () => {
    const double = await makeDouble();
    await (await openChecked(double)).check();
    double.creates = "ignored";
    await expect((await openChecked(double)).check()).rejects.toThrow(/"none".*"atomic"/);
    const other = await makeDouble("ignored");
    await expect((await openChecked(other)).check()).rejects.toThrow(/merge mode/);
    other.creates = "atomic";
    await expect((await openChecked(other)).check()).rejects.toThrow(/"atomic".*"none"/);
  });

  test("of a store that is away nothing is concluded, and what was asked for was surely not done", async () => {
    const double = await makeDouble();
    const store = await openChecked(double);
    double.fault = () => ({ kind: "lost-answer" });
    await expect(store.put("a/note/1", bytes("1"))).rejects.toMatchObject({ code: "unavailable" });
    double.fault = () => undefined;
    await store.put("a/note/1", bytes("1"));
    expect(double.objects.has("a/note/1")).toBe(true);
  });

  test("a verdict that can't be read is none", async () => {
    const double = await makeDouble();
    double.objects.set("store/creates", { bytes: Buffer.from('{"format":2}'), created: 0 });
    await expect((await openChecked(double)).check()).rejects.toThrow(/can't be read/);
  });
});
