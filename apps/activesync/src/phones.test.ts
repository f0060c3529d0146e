import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { Phones } from "./phones.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

test.each(["alone", "receiving"] as const)("what came of a phone's last work is not kept: %s", async (way) => {
  const phone = new Phones().of("account", "device");
  const work = async (): Promise<WeakRef<object>> => new WeakRef(await phone[way](async () => ({ large: true })));
  const came = await work();
  for (let round = 0; round < 3; round++) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
  expect(came.deref()).toBeUndefined();
  expect(phone).toBeDefined();
});

test("work of a phone is done one after the other, whatever becomes of it", async () => {
  const phone = new Phones().of("account", "device");
  const order: string[] = [];
  const first = phone.alone(async () => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    order.push("first");
    throw new Error("fails");
  });
  const second = phone.alone(async () => void order.push("second"));
  await phone.receiving(async () => void order.push("beside"));
  await expect(first).rejects.toThrow("fails");
  await second;
  expect(order).toEqual(["beside", "first", "second"]);
});

test("phones are remembered as many as may be, the last used the longest", () => {
  const phones = new Phones();
  const [first, second] = [phones.of("a", "first"), phones.of("a", "second")];
  for (let n = 0; n < 19_998; n++) phones.of("a", `device ${n}`);
  expect(phones.of("a", "first")).toBe(first);
  phones.of("a", "another");
  expect(phones.of("a", "first")).toBe(first);
  expect(phones.of("a", "second")).not.toBe(second);
});
