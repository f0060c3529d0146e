import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scan } from "@restante/mime";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openEml } from "./eml.ts";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "restante-parts-"));
});
afterEach(() => rm(root, { recursive: true }));

const PLACE = "Archiv.mbox/Messages";

async function put(file: string, content: string | Uint8Array): Promise<void> {
  await mkdir(join(root, file, ".."), { recursive: true });
  await writeFile(join(root, file), content);
}

async function putPartial(number: number, text: string): Promise<void> {
  await put(`${PLACE}/${number}.partial.emlx`, `${Buffer.byteLength(text)}\n${text}<plist></plist>`);
}

async function read(): Promise<{ readonly texts: readonly string[]; readonly problems: readonly string[] }> {
  const source = await openEml(root);
  const texts: string[] = [];
  for (const { mails } of source.folders)
    for await (const mail of mails()) {
      const once = Buffer.concat(await Array.fromAsync(mail.open())).toString("latin1");
      expect(Buffer.concat(await Array.fromAsync(mail.open())).toString("latin1")).toBe(once);
      texts.push(once);
    }
  return { texts, problems: source.problems };
}

const marked = (fields: string): string => `--b\n${fields}X-Apple-Content-Length: 1\n 2\n\n`;
const HEAD = "Subject: two\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nwords\n";

/** The decoded leaves of a text, in order. */
function leavesOf(text: string): Buffer[] {
  const bytes = Buffer.from(text, "latin1");
  return scan(bytes).root.children.map(({ bodyStart, bodyEnd, encoding }) =>
    encoding === "base64"
      ? Buffer.from(text.slice(bodyStart, bodyEnd), "base64")
      : Buffer.from(text.slice(bodyStart, bodyEnd), "latin1"),
  );
}

test.each([0, 1, 56, 57, 58, 114, 65_536, 200_001])(
  "a part of %d octets is put where it was left out",
  async (size) => {
    const octets = Buffer.from(Array.from({ length: size }, (_, at) => (at * 7) & 255));
    const fields = "Content-Type: image/png\nContent-Transfer-Encoding: base64\n";
    await putPartial(12, `${HEAD}${marked(fields)}\n--b\nX-Last: 1\n\nend\n--b--\n`);
    await put(`Archiv.mbox/Attachments/12/2/picture.png`, octets);
    await put(`Archiv.mbox/Attachments/12/2/.DS_Store`, "x");
    const { texts, problems } = await read();
    expect(problems).toEqual([]);
    const [first, second, third] = leavesOf(texts[0]!);
    expect([first!.toString(), third!.toString()]).toEqual(["words", "end"]);
    expect(second!.equals(octets)).toBe(true);
    expect(texts[0]).not.toContain("X-Apple");
    expect(texts[0]).not.toMatch(/[^\r]\n|^.{77}/m);
  },
);

test("parts of any encoding, at any depth, with and without a line before what follows", async () => {
  const inner = `Content-Type: multipart/mixed; boundary=c\n\n--c\nContent-Type: text/plain\nContent-Transfer-Encoding:\n quoted-printable\nX-Apple-Content-Length: 5\n\n--c--\n`;
  const message = `${marked("Content-Type: message/rfc822\n")}`;
  const beside = marked("Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n");
  await putPartial(3, `${HEAD}--b\n${inner}${message}${beside}\n--b--\n`);
  await put("Archiv.mbox/Attachments/3/2.1/a.txt", "Grüße\n");
  await put("Archiv.mbox/Attachments/3/3/mail.eml", "Subject: in\n\nx\n");
  await put(`${PLACE}/3.4.emlxpart`, "a=20b\n");
  const { texts, problems } = await read();
  expect(problems).toEqual([]);
  const { root: tree } = scan(Buffer.from(texts[0]!, "latin1"));
  expect(tree.children.map(({ type, encoding }) => [type, encoding])).toEqual([
    ["text", "7bit"],
    ["multipart", "7bit"],
    ["message", "7bit"],
    ["text", "quoted-printable"],
  ]);
  const leaf = tree.children[1]!.children[0]!;
  expect(leaf.encoding).toBe("base64");
  expect(Buffer.from(texts[0]!.slice(leaf.bodyStart, leaf.bodyEnd), "base64").toString()).toBe("Grüße\n");
  expect(texts[0]).toContain("\r\n\r\nSubject: in\r\n\r\nx\r\n");
  expect(texts[0]).toContain("\r\n\r\na=20b\r\n");
});

test("a part that is nowhere, is a link, or may be one of two files is named; the rest of its mail comes whole", async () => {
  await putPartial(5, `${HEAD}${marked("")}${marked("")}${marked("")}${marked("")}\n--b--\n`);
  await put("Archiv.mbox/Attachments/5/2/a", "here");
  await put("Archiv.mbox/Attachments/5/4/a", "x");
  await put("Archiv.mbox/Attachments/5/4/b", "x");
  await put("secret", "secret");
  await mkdir(join(root, "Archiv.mbox/Attachments/5/5"));
  await symlink("../../../../secret", join(root, "Archiv.mbox/Attachments/5/5/a"));
  await putPartial(6, "Subject: nothing is said\n\nx\n");
  const { texts, problems } = await read();
  const own = problems.filter((problem) => problem.includes("partial.emlx"));
  expect(own).toHaveLength(2);
  expect(own[0]).toMatch(/5\.partial\.emlx comes in without its part 3, 4, 5:/);
  expect(own[1]).toMatch(/6\.partial\.emlx comes in without its attachments/);
  const five = texts.find((text) => text.includes("Subject: two"))!;
  expect(leavesOf(five)[1]!.toString()).toBe("here");
  expect(five.match(/X-Apple-Content-Length/g)).toHaveLength(3);
  expect(texts.join("")).not.toContain("secret");
});

test("an empty part that says nothing, and one that has text, stay as they are", async () => {
  const text = `${HEAD}--b\nX-Apple-Content-Length: 4\n\ntext\n--b\nContent-Type: text/plain\n\n\n${marked("")}\n--b--\n`;
  await putPartial(7, text);
  for (const part of ["2", "3", "4"]) await put(`Archiv.mbox/Attachments/7/${part}/a`, part);
  const { texts, problems } = await read();
  expect(problems).toEqual([]);
  expect(leavesOf(texts[0]!).map(String)).toEqual(["words", "text", "", "4"]);
});
