import { openS3Store } from "@restante/engine/node";
import { S3Double } from "@restante/engine/testing";
import { expect, test } from "vitest";
import { countRequests, RequestHeads, requestKind } from "./counted-store.ts";

const ACCOUNT = "0123456789abcdef0123456789abcdef";

test("requests are found however they are cut, and bodies are not taken for requests", () => {
  const body = "GET /not/a/request HTTP/1.1\r\n\r\n";
  const sent = Buffer.from(
    `PUT /mail/a HTTP/1.1\r\nContent-Length: ${body.length}\r\n\r\n${body}GET /mail/b HTTP/1.1\r\nHost: x\r\n\r\n`,
  );
  for (let size = 1; size <= sent.length; size++) {
    const found: string[] = [];
    const heads = new RequestHeads((method, target) => found.push(`${method} ${target}`));
    for (let at = 0; at < sent.length; at += size) heads.read(sent.subarray(at, at + size));
    expect(found).toEqual(["PUT /mail/a", "GET /mail/b"]);
  }
});

test("a body whose end can't be known is refused", () => {
  const heads = new RequestHeads(() => undefined);
  expect(() => heads.read(Buffer.from("PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"))).toThrow(RangeError);
});

test("a request is told by its method and the kind of name", () => {
  expect(requestKind("PUT", `/mail/${ACCOUNT}/log/00000000000001`)).toBe("PUT log");
  expect(requestKind("GET", `/mail?list-type=2&prefix=${ACCOUNT}%2Fnote%2F`)).toBe("LIST note");
  expect(requestKind("POST", "/mail/?delete")).toBe("DELETE");
  expect(requestKind("PUT", "/mail/store/creates")).toBe("PUT store");
});

test("a store behind the counter answers as it does without it", async () => {
  const double = await S3Double.start();
  const { endpoint, region, bucket, accessKey, secretKey } = double.settings;
  const key = { accessKey, secretKey };
  await using counted = await countRequests({
    ...{ endpoint, region, bucket, key },
    [Symbol.asyncDispose]: () => double.stop(),
  });
  const store = await openS3Store(double.settingsFor(counted.endpoint));
  const content = new Uint8Array(300_000).fill(7);
  await store.put(`${ACCOUNT}/body/1`, content);
  const got = await store.get(`${ACCOUNT}/body/1`);
  expect(got.found && Buffer.compare(got.bytes, content)).toBe(0);
  await store.list(`${ACCOUNT}/note/`);
  await store.delete([`${ACCOUNT}/body/1`]);
  await store.dispose();
  expect(counted.counts()).toEqual({ "PUT body": 1, "GET body": 1, "LIST note": 1, DELETE: 1 });
});
