import { expect, test } from "vitest";
import { ResumePoints } from "./resume-points.ts";

function place(): { readonly records: Map<string, Uint8Array>; readonly open: (source: string) => ResumePoints } {
  const records = new Map<string, Uint8Array>();
  const session: ConstructorParameters<typeof ResumePoints>[0] = {
    readRecord: async (type, id) => records.get(`${type} ${id}`),
    writeRecords: async (written) => {
      for (const { type, id, value } of written) records.set(`${type} ${id}`, value!);
    },
  };
  return { records, open: (source) => new ResumePoints(session, source) };
}

test("a point is of one source and one mailbox; its record tells neither", async () => {
  const { records, open } = place();
  await open("a").write("Secret", { uidValidity: "4294967295", uid: 7 });
  expect(await open("a").read("Secret")).toEqual({ uidValidity: "4294967295", uid: 7 });
  expect(await open("a").read("secret")).toBeUndefined();
  expect(await open("b").read("Secret")).toBeUndefined();
  expect([...records.keys()].join()).toMatch(/^import-point [\w-]{43}$/);
});

test.each(["", "null", "{}", '[2,"1",1]', "[1,1,1]", '[1,"1","1"]'])(
  "what another version wrote is no point: %s",
  async (text) => {
    const { records, open } = place();
    await open("a").write("INBOX", { uidValidity: "1", uid: 1 });
    for (const key of records.keys()) records.set(key, Buffer.from(text));
    expect(await open("a").read("INBOX")).toBeUndefined();
  },
);
