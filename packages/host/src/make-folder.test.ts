import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { makeFolder } from "./make-folder.ts";

test("a folder is made with what leads there, for its user alone; one that is there stays", async () => {
  const root = await mkdtemp(join(tmpdir(), "restante-folder-"));
  const deep = join(root, "a", "b", "c");
  await Promise.all([makeFolder(deep), makeFolder(deep), makeFolder(join(root, "a", "d"))]);
  await makeFolder(deep);
  expect((await stat(deep)).mode & 0o777).toBe(0o700);
  expect((await stat(join(root, "a"))).mode & 0o777).toBe(0o700);
  await rm(root, { recursive: true });
});

test("where none can be made that is told at once: below a file, as a file, and where the system takes none", async () => {
  const root = await mkdtemp(join(tmpdir(), "restante-folder-"));
  await writeFile(join(root, "file"), "");
  await expect(makeFolder(join(root, "file", "a", "b"))).rejects.toMatchObject({ code: "ENOTDIR" });
  await expect(makeFolder(join(root, "file"))).rejects.toMatchObject({ code: "EEXIST" });
  // Node's own recursive mkdir does not return from this one.
  await expect(makeFolder("/proc/restante/a/b")).rejects.toMatchObject({ code: "ENOENT" });
  await rm(root, { recursive: true });
});
