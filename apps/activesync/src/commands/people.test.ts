import { expect, test } from "vitest";
import { allOf, openPhone, type TestPhone, textOf } from "../activesync-kit.ts";
import { empty, group, leaf } from "../protocol/elements.ts";

// People whom the owner has written to, as Search, Find and ResolveRecipients know them.

async function writer(version: 14 | 16.1 = 16.1): Promise<TestPhone> {
  const { phone } = await openPhone(version);
  for (let n = 0; n < 30; n++) await phone.append(`To: Bob${n} <bob${n}@x.org>\r\nSubject: s\r\n\r\nx\r\n`, "Sent");
  return phone;
}
const gal = (words: string, range: string, ...more: ReturnType<typeof leaf>[]) =>
  group(
    "Search:Search",
    group(
      "Search:Store",
      leaf("Search:Name", "GAL"),
      leaf("Search:Query", words),
      group("Search:Options", leaf("Search:Range", range), ...more),
    ),
  );
const find = (id: string, range: string, criterion: ReturnType<typeof leaf>, ...more: ReturnType<typeof leaf>[]) =>
  group(
    "Find:Find",
    leaf("Find:SearchId", id),
    group(
      "Find:ExecuteSearch",
      group(
        criterion.tag === "Find:Query" && criterion.children.length > 0
          ? "Find:MailBoxSearchCriterion"
          : "Find:GalSearchCriterion",
        criterion,
        group("Find:Options", leaf("Find:Range", range), ...more),
      ),
    ),
  );
const words = (text: string) => group("Find:Query", leaf("Find:FreeText", text));

test("how many there are is told of all pages, and the last page ends", async () => {
  const phone = await writer();
  const told = async (range: string) => {
    const root = await phone.command("Search", gal("bob", range));
    const results = allOf(root, "Gal:EmailAddress").map(({ content }) => content);
    return [textOf(allOf(root, "Search:Store")[0], "Search:Status"), results.length, textOf(root, "Search:Total")];
  };
  expect(await told("0-9")).toEqual(["1", 10, "30"]);
  expect(await told("20-99")).toEqual(["1", 10, "30"]);
  expect(await told("30-39")).toEqual(["12", 0, undefined]);
  const found = await phone.command("Find", find("s", "0-9", leaf("Find:Query", "bob")));
  expect([textOf(found, "ItemOperations:Store"), textOf(found, "Find:Range"), textOf(found, "Find:Total")]).toEqual([
    ...["GAL", "0-9", "30"],
  ]);
});

test("who asks for pictures is told that there are none, from 14.1 on", async () => {
  const phone = await writer();
  const status = (root: Parameters<typeof allOf>[0]) => textOf(allOf(root, "Gal:Picture")[0], "Gal:Status");
  expect(status(await phone.command("Search", gal("bob1", "0-0", empty("Search:Picture"))))).toBe("173");
  expect(status(await phone.command("Search", gal("bob1", "0-0")))).toBeUndefined();
  const asked = find("s", "0-0", leaf("Find:Query", "bob"), empty("Find:Picture"));
  expect(status(await phone.command("Find", asked))).toBe("173");
  const older = await writer(14);
  expect(status(await older.command("Search", gal("bob1", "0-0", empty("Search:Picture"))))).toBeUndefined();
});

test("a search begins with its first page; the later ones of one that did are told", async () => {
  const phone = await writer();
  const status = async (id: string, range: string, criterion = words("subject:s")) =>
    textOf(allOf(await phone.command("Find", find(id, range, criterion)), "Find:Response")[0], "Find:Status");
  expect(await status("a", "5-9")).toBe("4");
  expect([await status("a", "0-4"), await status("a", "5-9"), await status("b", "5-9")]).toEqual(["1", "1", "4"]);
  expect(await status("c", "1-2", leaf("Find:Query", "bob"))).toBe("4");
  for (let n = 0; n < 8; n++) await status(`later ${n}`, "0-0");
  expect(await status("a", "5-9")).toBe("4");
});

test("each of a hundred recipients is looked for in one list of people", async () => {
  const phone = await writer();
  const { session } = phone;
  let reads = 0;
  const counting = new Proxy(session, {
    get(of, name) {
      const value: unknown = Reflect.get(of, name, of);
      if (name === "readHeaders") reads++;
      return typeof value === "function" ? value.bind(of) : value;
    },
  });
  const counted = Object.assign(phone, { context: { ...phone.context, session: counting } });
  const to = Array.from({ length: 100 }, (_, n) => leaf("ResolveRecipients:To", `bob${n}`));
  const root = await counted.command("ResolveRecipients", group("ResolveRecipients:ResolveRecipients", ...to));
  const statuses = allOf(root, "ResolveRecipients:Response").map((one) => textOf(one, "ResolveRecipients:Status"));
  expect(new Set(statuses)).toEqual(new Set(["1", "2", "4"]));
  expect(reads).toBe(1);
});

test("as many words as a query may have terms are looked for, and no more", async () => {
  const phone = await writer();
  const status = async (count: number) => {
    const text = Array.from({ length: count }, (_, n) => `a${n}`).join(" ");
    const query = group("Search:Query", group("Search:And", leaf("Search:FreeText", text)));
    const root = group("Search:Search", group("Search:Store", leaf("Search:Name", "Mailbox"), query));
    return textOf(allOf(await phone.command("Search", root), "Search:Store")[0], "Search:Status");
  };
  expect([await status(100), await status(101)]).toEqual(["1", "8"]);
});
