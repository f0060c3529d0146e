import { beforeEach, describe, expect, test } from "vitest";
import { MemoryPlace } from "../../storage/memory.ts";
import { bytes, clock, crypto, makeAccount, outboundQueue, platform, signer } from "../../testing/account-kit.ts";
import { backUpAccount, restoreAccount } from "../moving/back-up-account.ts";
import { deleteAccount } from "../moving/delete-account.ts";
import type { User, UserDirectory } from "../sign-in/users.ts";
import { DEVICE_UNSEEN_MS, DeviceStates } from "./device-states.ts";

const PLACE = { device: "phone", place: "inbox" };
let place: MemoryPlace;
let ring: Awaited<ReturnType<typeof makeAccount>>["ring"];
let prefix: string;
let user: User;
let logged: string[];

const states = (from: MemoryPlace = place) =>
  new DeviceStates({
    store: from.open(),
    prefix,
    platform: { ...platform, log: ({ event }) => void logged.push(event) },
    ring: ring(),
  });
const names = (from: MemoryPlace = place): string[] =>
  [...from.objects.keys()].filter((name) => name.includes("/device/"));

beforeEach(async () => {
  place = new MemoryPlace(() => clock.now++);
  ({ ring, prefix, user } = await makeAccount(place));
  logged = [];
});

describe("what a phone holds", () => {
  test("is found by its key, in every process, and by no other", async () => {
    await states().write(PLACE, "k1", bytes("one"));
    const other = states();
    expect(await other.read(PLACE, "k1")).toEqual(bytes("one"));
    for (const key of ["k2", "", "../k1", "K1", "k".repeat(41)]) expect(await other.read(PLACE, key)).toBeUndefined();
    expect(await other.read({ ...PLACE, place: "drafts" }, "k1")).toBeUndefined();
    expect(await other.read({ ...PLACE, device: "tablet" }, "k1")).toBeUndefined();
  });

  test("tells the store neither device nor folder", async () => {
    await states().write(PLACE, "k1", bytes("one"));
    expect(names()[0]).toMatch(/^[0-9a-f]{32}\/device\/[0-9a-f]{32}\/[0-9a-f]{32}\/k1$/);
    expect(
      Buffer.concat([...place.objects.values()].map(({ bytes: sealed }) => Buffer.from(sealed))).includes("inbox"),
    ).toBe(false);
  });

  test("that was damaged, or lies where another lay, is not there, and that is logged", async () => {
    const own = states();
    await own.write(PLACE, "k1", bytes("one"));
    await own.write(PLACE, "k2", bytes("two"));
    const [one, two] = names();
    const { bytes: sealed } = place.objects.get(one!)!;
    place.write(two!, sealed);
    expect(await own.read(PLACE, "k2")).toBeUndefined();
    place.write(
      one!,
      Uint8Array.from(sealed, (octet, at) => (at === 100 ? octet ^ 1 : octet)),
    );
    expect(await own.read(PLACE, "k1")).toBeUndefined();
    expect(logged).toHaveLength(2);
  });

  test("is listed and removed by place, by device, and after 90 days", async () => {
    const own = states();
    for (const key of ["k1", "k2", "k3"]) await own.write(PLACE, key, bytes("x"));
    await own.write({ ...PLACE, place: "sent" }, "k1", bytes("x"));
    await own.write({ device: "tablet", place: "inbox" }, "k1", bytes("x"));
    await own.remove(PLACE, ["k1", "k3", "gone"]);
    expect(await own.keys(PLACE)).toEqual(["k2"]);
    await own.forget("phone");
    expect(names()).toHaveLength(1);
    await own.sweep();
    expect(names()).toHaveLength(1);
    clock.now += DEVICE_UNSEEN_MS + 60_000;
    await own.write(PLACE, "k9", bytes("x"));
    await own.sweep();
    expect([await own.keys(PLACE), names().length]).toEqual([["k9"], 1]);
  });

  test("goes along with the account, and leaves with it", async () => {
    await states().write(PLACE, "k1", bytes("one"));
    place.write(`${prefix}slot/password-1`, bytes("a slot"));
    const copy = new MemoryPlace(() => clock.now++);
    await backUpAccount({ from: place.open(), to: copy.open(), prefix });
    expect(names(copy)).toEqual(names());
    const back = new MemoryPlace(() => clock.now++);
    await restoreAccount({ from: copy.open(), to: back.open(), prefix, signer, random: crypto.random });
    expect(await states(back).read(PLACE, "k1")).toEqual(bytes("one"));
    const users = { remove: async () => undefined } as unknown as UserDirectory;
    await deleteAccount({ store: place.open(), signer, users, queue: outboundQueue(place.open()) }, user);
    expect(names()).toEqual([]);
  });
});
