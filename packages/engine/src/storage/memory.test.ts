import { expect, test } from "vitest";
import { objectStoreContract } from "./contract.ts";
import { MemoryPlace } from "./memory.ts";

objectStoreContract("memory", async () => {
  const place = new MemoryPlace(() => 1);
  const [store, other] = [place.open(), place.open()];
  return { store, other, dispose: () => store.dispose() };
});

test("a lost answer was done, a late put is done when it is released, an unavailable one is not", async () => {
  const place = new MemoryPlace();
  const store = place.open();
  let late: () => void = () => undefined;
  place.fault = (_, name) => {
    if (name === "n/lost") return { kind: "lost-answer" };
    if (name === "n/away") return { kind: "unavailable" };
    return {
      kind: "late",
      release: (run) => {
        late = run;
      },
    };
  };
  for (const [name, code] of [
    ["n/lost", "unknown"],
    ["n/away", "unavailable"],
    ["n/late", "unknown"],
  ] as const)
    await expect(store.put(name, new Uint8Array(1))).rejects.toMatchObject({ code });
  expect([...place.objects.keys()]).toEqual(["n/lost"]);
  late();
  expect([...place.objects.keys()]).toEqual(["n/lost", "n/late"]);
});
