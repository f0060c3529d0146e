import { expect, test } from "vitest";
import {
  boolean,
  decode,
  type Element,
  empty,
  encode,
  group,
  integer,
  many,
  octets,
  one,
  optional,
  readValues,
  SchemaError,
  schema,
  text,
  writeValues,
} from "./index.ts";
import { fromHex, PREFERENCE_SYNC } from "./vectors-kit.ts";

const SYNC = schema(
  "AirSync:Sync",
  group({
    collections: one(
      "AirSync:Collections",
      group({
        list: many(
          "AirSync:Collection",
          group({
            syncKey: one("AirSync:SyncKey", text(4)),
            id: one("AirSync:CollectionId", text(64)),
            wantsChanges: optional("AirSync:GetChanges", boolean),
            windowSize: optional("AirSync:WindowSize", integer(0, 512)),
            more: optional("AirSync:MoreAvailable", empty),
            options: optional(
              "AirSync:Options",
              group({
                body: optional("AirSyncBase:BodyPreference", group({ type: one("AirSyncBase:Type", integer(1, 4)) })),
              }),
            ),
          }),
          2,
        ),
      }),
    ),
  }),
);
const MAIL = schema("ComposeMail:SendMail", group({ mime: one("ComposeMail:Mime", octets(8)) }));

const collection = (hex: string): Element => decode(fromHex(`03016A00 45 5C ${hex} 01 01`));
function fault(root: Element): string {
  try {
    readValues(SYNC, root);
  } catch (error) {
    if (error instanceof SchemaError) return `${error.code} ${error.tag}@${error.offset}`;
    throw error;
  }
  return "none";
}
const KEY = '4B 03 "1"00 01';
const ID = '52 03 "5"00 01';

test("a published document becomes values and the same bytes again", () => {
  const values = readValues(SYNC, decode(PREFERENCE_SYNC));
  expect(values).toEqual({
    collections: {
      list: [
        { syncKey: "1", id: "5", wantsChanges: true, windowSize: null, more: null, options: { body: { type: 2 } } },
      ],
    },
  });
  expect(readValues(SYNC, decode(encode(writeValues(SYNC, values))))).toEqual(values);
});

test("order is read liberally", () => {
  expect(readValues(SYNC, collection(`4F ${ID} 13 ${KEY} 01`))).toEqual(
    readValues(SYNC, collection(`4F ${KEY} ${ID} 13 01`)),
  );
});

test.each([
  [`4F ${KEY} ${ID} 01`, "none"],
  [`4F ${KEY} 01`, "missing AirSync:CollectionId@6"],
  [`4F ${KEY} ${ID} ${KEY} 01`, "double AirSync:SyncKey@17"],
  [`4F ${KEY} ${ID} 0E 01`, "unexpected AirSync:Status@17"],
  [`4F ${KEY} ${ID} 55 03 "513"00 01 01`, "invalid AirSync:WindowSize@17"],
  [`4F ${KEY} ${ID} 55 03 "-1"00 01 01`, "invalid AirSync:WindowSize@17"],
  [`4F ${KEY} ${ID} 55 03 "1e2"00 01 01`, "invalid AirSync:WindowSize@17"],
  [`4F ${KEY} ${ID} 15 01`, "invalid AirSync:WindowSize@17"],
  [`4F ${KEY} ${ID} 53 03 "2"00 01 01`, "invalid AirSync:GetChanges@17"],
  [`4F ${KEY} ${ID} 54 03 "2"00 01 01`, "invalid AirSync:MoreAvailable@17"],
  [`4F 4B 03 "12345"00 01 ${ID} 01`, "invalid AirSync:SyncKey@7"],
  [`4F 4B 03 FF 00 01 ${ID} 01`, "invalid AirSync:SyncKey@7"],
  [`4F 4B 0E 01 ${ID} 01`, "invalid AirSync:SyncKey@7"],
  ['4F 03 "x"00 01', "invalid AirSync:Collection@6"],
  [`4F ${KEY} ${ID} 01`.repeat(3), "many AirSync:Collection@30"],
])("%s: %s", (hex, expected) => {
  expect(fault(collection(hex))).toBe(expected);
});

test("another root is unexpected", () => {
  expect(fault(decode(fromHex("03016A00 14")))).toBe("unexpected AirSync:MoreAvailable@4");
});

test("false is read, and an opaque text too", () => {
  const [read] = readValues(SYNC, collection(`4F 4B C301 "1" 01 ${ID} 53 03 "0"00 01 01`)).collections.list;
  expect(read).toMatchObject({ syncKey: "1", wantsChanges: false });
});

test("octets are read from STR_I and OPAQUE, and written as OPAQUE", () => {
  const inline = decode(fromHex('03016A00 0015 45 50 03 "a"FF 00 01 01'));
  const opaque = fromHex('03016A00 0015 45 50 C302 "a"FF 01 01');
  expect(readValues(MAIL, inline)).toEqual(readValues(MAIL, decode(opaque)));
  expect(encode(writeValues(MAIL, readValues(MAIL, inline)))).toEqual(opaque);
  expect(() => readValues(MAIL, decode(fromHex('03016A00 0015 45 50 C309 "123456789" 01 01')))).toThrow(SchemaError);
});

test("a schema of an unknown tag, or of one tag twice, is a mistake of ours", () => {
  expect(() => one("AirSync:Nothing", boolean)).toThrow(TypeError);
  expect(() => schema("AirSync:Nothing", boolean)).toThrow(TypeError);
  const key = one("AirSync:SyncKey", boolean);
  expect(() => group({ a: key, b: key })).toThrow(TypeError);
});
