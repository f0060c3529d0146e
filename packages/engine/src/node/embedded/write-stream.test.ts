import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeStream } from "./write-stream.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "restante-stream-"));
});
afterEach(() => rm(folder, { recursive: true }));

test("a stream is in the file as it came, whatever its pieces, also where its maker uses one buffer again", async () => {
  const sizes = fc.array(fc.integer({ min: 0, max: 700_000 }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(sizes, async (pieces) => {
      const path = join(folder, "file");
      const handle = await open(path, "w");
      const one = new Uint8Array(700_000);
      const whole: Buffer[] = [];
      const size = await writeStream(
        handle,
        (async function* () {
          for (const [at, length] of pieces.entries()) {
            one.fill(at + 1);
            whole.push(Buffer.from(one.subarray(0, length)));
            yield one.subarray(0, length);
          }
        })(),
      );
      await handle.close();
      const written = await readFile(path);
      expect(written.equals(Buffer.concat(whole))).toBe(true);
      expect(size).toBe(written.length);
    }),
    { numRuns: 50 },
  );
});

test("it fails as its source does, or as the file does, and then nothing is being written any more", async () => {
  const handle = await open(join(folder, "file"), "w");
  const piece = new Uint8Array(600_000);
  async function* breaks() {
    yield piece;
    throw new RangeError("no more");
  }
  await expect(writeStream(handle, breaks())).rejects.toThrow("no more");
  await handle.close();
  const read = await open(join(folder, "file"), "r");
  let given = 0;
  async function* endless() {
    for (;;) {
      given++;
      yield piece;
    }
  }
  await expect(writeStream(read, endless())).rejects.toMatchObject({ code: "EBADF" });
  expect(given).toBeLessThan(5);
  await read.close();
});
