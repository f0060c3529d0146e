import { spawnSync } from "node:child_process";
import { mkdtemp, open, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const BLOCK_BYTES = 4096;
/** Pieces in which a file that fills the disk is written, larger ones first. */
const PIECES: readonly number[] = [1024 * 1024, 64 * 1024, BLOCK_BYTES];

/** A file system of its own, in memory. Mounting it needs root. */
export interface SmallDisk {
  readonly folder: string;
  freeBytes(): Promise<number>;
  /** Another program's file takes all room but this much. */
  fill(name: string, leaveBytes: number): Promise<void>;
  unmount(): Promise<void>;
}

export async function mountSmallDisk(bytes: number): Promise<SmallDisk> {
  const folder = await mkdtemp(join(tmpdir(), "restante-disk-"));
  run("mount", "-t", "tmpfs", "-o", `size=${bytes},mode=700`, "restante-test", folder);
  const freeBytes = async (): Promise<number> => {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  };
  return {
    folder,
    freeBytes,
    async fill(name, leaveBytes) {
      const file = await open(join(folder, name), "a");
      for (const piece of PIECES) {
        const zeros = Buffer.alloc(piece);
        while ((await freeBytes()) >= leaveBytes + piece) await file.write(zeros);
      }
      await file.close();
    },
    async unmount() {
      run("umount", folder);
      await rm(folder, { recursive: true });
    },
  };
}

function run(command: string, ...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} failed: ${error?.message ?? stderr}`);
}
