import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Hints } from "./hints.ts";

let folder: string;
const open: Hints[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "restante-hints-"));
});
afterEach(async () => {
  for (const hints of open.splice(0)) hints.dispose();
  await rm(folder, { recursive: true, force: true });
});

function hear(warn: (error: unknown) => void = () => undefined): { readonly hints: Hints; readonly heard: string[] } {
  const hints = new Hints(join(folder, "hints"), warn);
  open.push(hints);
  const heard: string[] = [];
  hints.listen((prefix) => heard.push(prefix));
  return { hints, heard };
}

test("what one process wrote the others hear once, and itself not; nothing stays in the folder", async () => {
  const [one, two, three] = [hear(), hear(), hear()];
  one.hints.tell("0a1b/note/0123");
  await vi.waitFor(() => expect([two.heard, three.heard]).toEqual([["0a1b/note/"], ["0a1b/note/"]]));
  await vi.waitFor(async () => expect(await readdir(join(folder, "hints"))).toEqual([]));
  two.hints.tell("0a1b/log/00000000000001");
  await vi.waitFor(() => expect(one.heard).toEqual(["0a1b/log/"]));
  expect(three.heard).toEqual(["0a1b/note/", "0a1b/log/"]);
  // Nobody watches for these.
  two.hints.tell("0a1b/body/0123");
  two.hints.tell("store/creates");
  two.hints.tell("0a1b/log/00000000000002");
  await vi.waitFor(() => expect(one.heard).toEqual(["0a1b/log/", "0a1b/log/"]));
});

test("other files mean nothing, and a folder that can't be made is told once and costs only time", async () => {
  const { heard } = hear();
  for (const name of ["note", "0a.body.00.1", "..note.00.1", "0a.note.zz.1"])
    await writeFile(join(folder, "hints", name), "");
  const other = hear();
  other.hints.tell("0a/note/1");
  await vi.waitFor(() => expect(heard).toEqual(["0a/note/"]));
  await writeFile(join(folder, "file"), "");
  const warn = vi.fn();
  const hints = new Hints(join(folder, "file"), warn);
  hints.tell("0a/note/1");
  expect(warn).toHaveBeenCalledTimes(1);
  hints.dispose();
});
