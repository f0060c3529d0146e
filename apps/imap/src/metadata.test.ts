import type { ReadMailbox } from "@restante/engine";
import { expect, test } from "vitest";
import { deleteMailbox } from "./commands/create.ts";
import { METADATA_ENTRIES_MAX, METADATA_VALUE_BYTES_MAX } from "./limits.ts";
import { forgetEntries, readEntries, writeEntries } from "./metadata.ts";
import type { Session } from "./session.ts";

/** An account's registers. */
function account() {
  const values = new Map<string, Uint8Array>();
  const recordOf = (id: string) => ({ id, value: values.get(id) });
  const mail = {
    state: { records: { find: (_: string, id: string) => recordOf(id), list: () => [...values.keys()].map(recordOf) } },
    readRecord: async (_: string, id: string) => values.get(id),
    async writeRecords(records: readonly { readonly id: string; readonly value: Uint8Array | undefined }[]) {
      for (const { id, value } of records)
        if (value) values.set(id, value);
        else values.delete(id);
    },
  };
  return { session: { mail, formatName: (path: string) => path } as unknown as Session, values };
}

const box = (id: string): ReadMailbox => ({ id, path: `box ${id}` }) as unknown as ReadMailbox;
const entries = (count: number) =>
  new Map(Array.from({ length: count }, (_, at) => [`/private/${at}`, Uint8Array.of(at & 255)] as const));

test("annotations of an account are bounded, in number and size; those that are there may change", async () => {
  const { session, values } = account();
  await writeEntries(session, box("1"), entries(METADATA_ENTRIES_MAX));
  await expect(writeEntries(session, box("2"), entries(1))).rejects.toMatchObject({ code: "over-quota" });
  await writeEntries(session, box("1"), entries(1));
  const large = new Map([["/private/1", new Uint8Array(METADATA_VALUE_BYTES_MAX + 1)]]);
  await expect(writeEntries(session, box("1"), large)).rejects.toMatchObject({ code: "too-large" });
  expect(values.size).toBe(METADATA_ENTRIES_MAX);
});

test("those of a mailbox that is gone end, and no other's", async () => {
  const { session, values } = account();
  await writeEntries(session, box("1"), entries(2));
  await writeEntries(session, box("11"), entries(1));
  await writeEntries(session, undefined, entries(1));
  await forgetEntries(session, box("1"));
  expect([...values.keys()]).toEqual(["11 /private/0", " /private/0"]);
});

test("DELETE ends those of the mailbox", async () => {
  const { session, values } = account();
  await writeEntries(session, box("1"), entries(1));
  const mail = { ...session.mail, getMailbox: () => box("1"), delete: async () => undefined };
  await deleteMailbox.run("x", { ...session, mail } as never, { uid: false, utf8: false, tag: "t" });
  expect(values.size).toBe(0);
});

test("levels are those of the name", async () => {
  const { session } = account();
  const names = ["/private/a", "/private/a/b", "/private/a/b/c", "/private/ab"];
  await writeEntries(session, undefined, new Map(names.map((name) => [name, Uint8Array.of(0, 1)])));
  const told = async (depth: 0 | 1 | number): Promise<string[]> => {
    const wanted = { entries: ["/private/a"], depth: depth as 0, maxSize: 100 };
    return (await readEntries(session, undefined, wanted)).answer?.match(/\/private\S*/g) ?? [];
  };
  expect(await told(0)).toEqual(["/private/a"]);
  expect(await told(1)).toEqual(["/private/a", "/private/a/b"]);
  expect(await told(Number.POSITIVE_INFINITY)).toEqual(["/private/a", "/private/a/b", "/private/a/b/c"]);
});
