import { expect, test } from "vitest";
import { openClient } from "../jmap-kit.ts";

test("what was looked for is marked, as HTML in which nothing else is", async () => {
  const client = await openClient();
  const text = "Subject: <b>Fox</b> & hound\r\n\r\nThe quick <i>brown</i> fox\r\njumps\r\n";
  const id = await client.append(1, { text });
  const other = await client.append(2);
  const snippets = await client.call("SearchSnippet/get", {
    filter: { operator: "OR", conditions: [{ text: "fox" }, { from: "x" }] },
    emailIds: [id, other, "mnone", id],
  });
  expect(snippets.list).toEqual([
    {
      emailId: id,
      subject: "&lt;b&gt;<mark>Fox</mark>&lt;/b&gt; &amp; hound",
      preview: expect.stringContaining("&lt;i&gt;brown&lt;/i&gt; <mark>fox</mark>"),
    },
    { emailId: other, subject: null, preview: null },
  ]);
  expect(snippets.notFound).toEqual(["mnone"]);
  const none = await client.call("SearchSnippet/get", { filter: { hasKeyword: "$seen" }, emailIds: [id] });
  expect(none).toMatchObject({ list: [{ emailId: id, subject: null, preview: null }], notFound: null });
});
