import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { Phone } from "./phone.ts";
import { decode, encode, type Tree } from "./wbxml.ts";
import { base64Query, partsOf } from "./wire.ts";

test("the query in base64, as others published it", () => {
  const device = { deviceId: "v140Device", deviceType: "SmartPhone" };
  expect(base64Query({ command: "Sync", version: "14.0", ...device })).toBe("jAAJBAp2MTQwRGV2aWNlAApTbWFydFBob25l");
  const full = base64Query({
    command: "SmartReply",
    version: "12.1",
    deviceId: "d",
    deviceType: "t",
    policyKey: 0x01020304,
    params: { CollectionId: "5", ItemId: "5:1", SaveInSent: "T" },
    multipart: true,
  });
  expect(Buffer.from(full, "base64").toString("hex")).toBe(
    "790309040164" + "0404030201" + "0174" + "010135" + "0303353a31" + "070103",
  );
});

test("a multipart answer is taken apart", () => {
  const body = Buffer.concat([Buffer.from("0200000014000000030000001700000002000000", "hex"), Buffer.from("abcde")]);
  expect(partsOf(body).map(String)).toEqual(["abc", "de"]);
  expect(() => partsOf(body.subarray(0, -1))).toThrow();
});

/** A server that gives these answers, one after the other. */
async function server(
  ...answers: readonly (Tree | undefined)[]
): Promise<{ readonly port: number; readonly got: string[] }> {
  const got: string[] = [];
  const left = [...answers];
  const http = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.once("end", () => {
      const bytes = Buffer.concat(chunks);
      got.push(bytes.length === 0 ? "" : decode(bytes).toString());
      const answer = left.shift();
      const body = answer ? encode(answer) : new Uint8Array();
      const type = answer ? { "content-type": "application/vnd.ms-sync.wbxml" } : {};
      response.writeHead(200, { ...type, "content-length": body.length }).end(body);
    });
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void http.close());
  return { port: (http.address() as AddressInfo).port, got };
}

function phoneFor(port: number, loses: () => boolean = () => false): Phone {
  return new Phone(
    { port, user: "u", password: "p", deviceId: "D1", deviceType: "Test", version: "16.1", loses },
    { window: 2 },
  );
}

const FOLDERS: Tree = [
  "FolderHierarchy:FolderSync",
  ["Status", "1"],
  ["SyncKey", "f1"],
  ["Changes", ["Count", "1"], ["Add", ["ServerId", "i"], ["ParentId", "0"], ["DisplayName", "Inbox"], ["Type", "2"]]],
];
const sync = (key: string, ...more: readonly Tree[]): Tree => [
  "AirSync:Sync",
  ["Collections", ["Collection", ["SyncKey", key], ["CollectionId", "i"], ["Status", "1"], ...more]],
];
const add = (id: string): Tree => [
  "Add",
  ["ServerId", id],
  ["ApplicationData", ["Email:Subject", `s${id}`], ["Email:Read", "0"], ["Email:Flag"]],
];

test("a phone takes what a server says, and holds it", async () => {
  const { port, got } = await server(
    FOLDERS,
    sync("1"),
    sync("2", ["MoreAvailable"], ["Commands", add("a"), add("b")]),
    sync("3", ["Commands", add("c"), ["Delete", ["ServerId", "a"]]]),
    sync("4", [
      "Commands",
      ["Change", ["ServerId", "b"], ["ApplicationData", ["Email:Flag", ["Status", "2"]]]],
      ["SoftDelete", ["ServerId", "c"]],
    ]),
    undefined,
  );
  using phone = phoneFor(port);
  await phone.folderSync();
  expect(await phone.syncAll(phone.inbox)).toBe(2);
  await phone.read(phone.inbox, "b");
  expect(Object.fromEntries(phone.inbox.items)).toEqual({ b: { Subject: "sb", Read: "1", Flag: { Status: "2" } } });
  await phone.syncAll(phone.inbox);
  expect([phone.inbox.key, got.at(-1)]).toEqual(["4", expect.stringContaining("SyncKey 4")]);
});

test.each<readonly [string, Tree]>([
  ["an Add of what is there", sync("2", ["Commands", add("a"), add("a")])],
  ["a Change of what is not", sync("2", ["Commands", ["Change", ["ServerId", "x"], ["ApplicationData"]]])],
  ["a Delete of what is not", sync("2", ["Commands", ["Delete", ["ServerId", "x"]]])],
  ["empty Commands", sync("2", ["Commands"])],
  ["empty Responses", sync("2", ["Responses"])],
  ["empty Collections", ["AirSync:Sync", ["Collections"]]],
  ["another order", sync("2", ["Commands", add("a")], ["MoreAvailable"])],
  ["more than its window", sync("2", ["Commands", add("a"), add("b"), add("c")])],
  [
    "a folder that nobody asked for",
    ["AirSync:Sync", ["Collections", ["Collection", ["SyncKey", "2"], ["CollectionId", "j"], ["Status", "1"]]]],
  ],
])("a phone does not bear %s", async (_what, answer) => {
  const { port } = await server(FOLDERS, sync("1"), answer);
  using phone = phoneFor(port);
  await phone.folderSync();
  await expect(phone.syncAll(phone.inbox)).rejects.toThrow();
});

test("a lost answer makes the same request come again", async () => {
  let loses = false;
  const { port, got } = await server(
    FOLDERS,
    sync("1"),
    sync("2", ["Commands", add("a")]),
    sync("2", ["Commands", add("a")]),
  );
  using phone = phoneFor(port, () => loses);
  await phone.folderSync();
  await phone.sync([{ folder: phone.inbox }]);
  loses = true;
  await phone.sync([{ folder: phone.inbox }]);
  expect([got.length, got[3], [...phone.inbox.items.keys()]]).toEqual([4, got[2], ["a"]]);
  expect(phone.wire.counts).toEqual({ sent: 4, lost: 1 });
});
