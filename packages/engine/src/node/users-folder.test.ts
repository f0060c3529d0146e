import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeRing, recipientRecord, rotateRing } from "../crypto/index.ts";
import { crypto } from "../testing/account-kit.ts";
import { UsersFolder } from "./users-folder.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "restante-users-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const make = (address: string) => {
  const ring = makeRing(crypto);
  return { ring, user: { address, record: recipientRecord(ring) } };
};

test("of many who add one address at once, in two processes, one does; nothing else is left in the folder", async () => {
  const folders = [new UsersFolder(folder), new UsersFolder(folder)];
  const tries = Array.from({ length: 8 }, (_, n) => folders[n % 2]!.add(make("ada@example.org").user));
  const results = await Promise.allSettled(tries);
  expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  for (const result of results)
    if (result.status === "rejected") expect(result.reason).toMatchObject({ code: "already-exists" });
  expect(await readdir(folder)).toEqual(["ada%40example.org.json"]);
});

test("what another process changes is seen at once: a new key, a removal, the address given to somebody else", async () => {
  const [here, there] = [new UsersFolder(folder), new UsersFolder(folder)];
  const { ring, user } = make("ada@example.org");
  await there.add(user);
  expect(await here.find("Ada@Example.org")).toEqual(user);
  const rotated = { ...user, record: recipientRecord(rotateRing(crypto, ring)) };
  await there.update(rotated);
  expect((await here.find(user.address))?.record.keyVersion).toBe(2);
  // An older record never takes the place of a newer one.
  await there.update(user);
  expect((await here.find(user.address))?.record.keyVersion).toBe(2);
  await there.remove(user.address);
  expect(await here.find(user.address)).toBeUndefined();
  const other = make(user.address).user;
  await there.add(other);
  expect(await here.find(user.address)).toEqual(other);
});

test("a name without its domain finds a user where it is unique", async () => {
  const users = new UsersFolder(folder);
  const ada = make("ada@example.org").user;
  await users.add(ada);
  expect(await users.findLocal("ADA")).toEqual(ada);
  await users.add(make("ada@example.net").user);
  expect(await users.findLocal("ada")).toBeUndefined();
  for (const odd of ["../ada@example.org", "a/b@example.org", `${"x".repeat(300)}@example.org`, ""])
    expect(await users.find(odd)).toBeUndefined();
});

test("an address is found by each form of its domain, the exact name wins, and no form is given twice", async () => {
  const users = new UsersFolder(folder, { anyForm: true });
  const [unicode, ascii] = ["ada@bücher.example", "ada@xn--bcher-kva.example"].map((address) => make(address).user);
  await users.add(unicode!);
  for (const form of ["ada@xn--bcher-kva.example", "ADA@BU\u0308CHER.example", "ada@XN--BCHER-KVA.example"])
    expect((await users.find(form))?.address).toBe("ada@bücher.example");
  await expect(users.add(ascii!)).rejects.toMatchObject({ code: "already-exists" });
  // One that was made before they were one.
  const exact = new UsersFolder(folder);
  expect(await exact.find(ascii!.address)).toBeUndefined();
  await exact.add(ascii!);
  expect(await users.find(ascii!.address)).toEqual(ascii);
  expect(await users.find(unicode!.address)).toEqual(unicode);
  expect(await users.list()).toHaveLength(2);
  await users.remove(unicode!.address);
  expect((await users.find(unicode!.address))?.address).toBe(ascii!.address);
});
