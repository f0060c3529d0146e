import { expect, test } from "vitest";
import { openClient } from "../jmap-kit.ts";
import { GIVEN_BYTES_MAX } from "./limits.ts";

test("no more octets are given as text than one turn makes; of more there is a digest, and a range", async () => {
  const client = await openClient();
  const data = [{ "data:asText": "x".repeat(2 ** 20) }];
  const piece = (await client.call("Blob/upload", { create: { a: { data } } })).created.a.id;
  const pieces = Array.from({ length: 13 }, () => ({ blobId: piece }));
  const { id } = (await client.call("Blob/upload", { create: { b: { data: pieces } } })).created.b;
  for (const name of ["data", "data:asText", "data:asBase64"])
    expect(await client.error("Blob/get", { ids: [id], properties: [name] })).toBe("requestTooLarge");
  const digest = await client.call("Blob/get", { ids: [id], properties: ["digest:sha-256", "size"] });
  expect(digest.list[0]).toMatchObject({ id, size: 13 * 2 ** 20, "digest:sha-256": expect.stringMatching(/=$/) });
  const range = await client.call("Blob/get", { ids: [id], properties: ["data:asBase64"], length: GIVEN_BYTES_MAX });
  expect(Buffer.from(range.list[0]["data:asBase64"], "base64").length).toBe(GIVEN_BYTES_MAX);
});
