import { readFile } from "node:fs/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { position } from "../../bay/position.ts";
import type { PageStore } from "../../bay/snapshots.ts";
import { visible } from "../../testing/account-kit.ts";
import { captureSource, loadWhole, nameAsStores } from "../../testing/checkpoint-kit.ts";
import { GOLDEN } from "../../testing/golden-kit.ts";
import { step, World } from "../../testing/world-kit.ts";
import type { MailState } from "../state/state.ts";
import { captureMail, loadMail } from "./snapshot.ts";
import { encodeState } from "./state-fields.ts";

/** All that a checkpoint keeps of a state, but for the names of its pages. */
function kept(state: MailState): unknown {
  const tables = [state.memberships, state.emails].map((table) =>
    Array.from({ length: table.chunkCount }, (_, chunk) => Buffer.from(table.encodeChunk(chunk)).toString("hex")),
  );
  const { emailNumbers, tailStart, heldEmails } = state;
  return [encodeState(state), tables, emailNumbers, tailStart, heldEmails.bytes, heldEmails.count, visible(state)];
}

/** Pages that are given names, and those of an older program. */
function makePages(before: ReadonlyMap<string, Uint8Array>): PageStore {
  const pages = new Map(before);
  const name = (kind: string): string => `${kind}/ee${pages.size.toString(16).padStart(30, "0")}`;
  return {
    async write(_kind, content) {
      const given = name("page");
      pages.set(given, content.slice());
      return given;
    },
    async read(_kind, given) {
      const found = pages.get(given);
      if (!found) throw new RangeError(`no page ${given}`);
      return found;
    },
    packName: () => name("pack"),
    putPack: async (given, content) => {
      pages.set(given, content.slice());
    },
  };
}

const checkpoint = fc.record({
  steps: fc.array(step, { maxLength: 6 }),
  thorough: fc.constantFrom("changes", "changes", "sweep", "anew", "fails"),
});

test.each(["checkpoint-1", "checkpoint-2", "checkpoint-3", "checkpoint-3-shrunk", "checkpoint-4", "checkpoint-4-ids"])(
  "whatever happens to an account of %s, its checkpoints hold all of it",
  async (file) => {
    const bytes = new Uint8Array(await readFile(`${GOLDEN}/${file}`));
    await fc.assert(
      fc.asyncProperty(fc.array(checkpoint, { minLength: 1, maxLength: 5 }), async (history) => {
        const world = new World();
        const { state, objects } = await loadWhole(bytes);
        const store = makePages(nameAsStores(state, objects));
        world.state = state;
        state.silentBefore = 1_600_000_000_000;
        let covers = 100;
        for (const { steps, thorough } of history) {
          for (const one of steps) world.do(one);
          covers += 10;
          const how = thorough === "fails" ? "changes" : thorough;
          const limits = { removals: 3, goneMailboxes: 1 };
          const capture = captureMail(world.state, captureSource, { covers: position(covers), thorough: how, limits });
          const body = await capture.write(store);
          if (thorough === "fails") {
            capture.abandon();
            continue;
          }
          const seen = visible(world.state);
          const loaded = await loadMail(body, store, position(covers));
          if (how === "anew") {
            world.state = loaded;
            const again = captureMail(loaded, captureSource, { covers: position(covers + 1), thorough: "changes" });
            expect(kept(await loadMail(await again.write(store), store, position(covers + 1)))).toEqual(kept(loaded));
            again.abandon();
          } else {
            capture.commit(position(covers));
            expect(kept(loaded)).toEqual(kept(world.state));
          }
          if (how !== "anew") expect(visible(loaded)).toEqual(seen);
        }
      }),
      { numRuns: 15 },
    );
  },
);
