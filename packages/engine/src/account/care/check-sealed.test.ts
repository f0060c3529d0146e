import { expect, test } from "vitest";
import { DAY, MINUTE, request, setUp, to } from "../../testing/outbound-kit.ts";
import { checkSealed } from "./check-sealed.ts";

test("objects of mail that waits are listed and are no damage; what killed processes left of others is told, once it is old", async () => {
  const { process, time, place } = await setUp();
  const { signIn } = await process({
    smarthost: ({ envelope }) => envelope.recipients.map(() => ({ state: "waiting", reply: "451 later" })),
  });
  const session = await signIn();
  await session.submit(request({}, `From: ada@example.org\r\n\r\n${"x\r\n".repeat(9_000)}`));
  await session.submit(request({ envelope: to("b@x.org"), holdUntilMs: time.now() + DAY }));
  await time.pass(MINUTE / 2);
  const kinds = ["vacation", "push", "request", "seen", "done"];
  for (const kind of kinds) place.write(`outbound/${kind}/${"5".repeat(32)}`, Uint8Array.of(1));
  const left = [`outbound/claim/${"6".repeat(32)}.000001`, `outbound/mail/${"7".repeat(32)}.0123456789abcdef`];
  for (const name of left) place.write(name, Uint8Array.of(1));
  const check = async () => {
    const leftovers: string[] = [];
    const objects = [];
    for await (const object of checkSealed(place.open(), (name) => leftovers.push(name))) objects.push(object);
    expect(objects.map(({ name }) => name)).toEqual([...place.objects.keys()].sort());
    expect(objects.filter(({ problem }) => problem !== undefined)).toEqual([]);
    return leftovers;
  };
  expect([...place.objects.keys()].filter((name) => /^outbound\/(?:mail|queue|claim)/.test(name))).toHaveLength(6);
  expect(await check()).toEqual([]);
  await time.pass(2 * 60 * MINUTE);
  expect(await check()).toEqual(left);
  // A mail that ends while the check reads leaves nothing.
  const leftovers: string[] = [];
  for await (const { name } of checkSealed(place.open(), (one) => leftovers.push(one)))
    if (name === left[1])
      for (const one of [...place.objects.keys()])
        if (one !== name && /^outbound\/(?:queue|claim|mail)/.test(one)) place.objects.delete(one);
  expect(leftovers).toEqual([left[1]]);
});
