import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CODE_PAGES, type CodePage, decode, type Element, encode, type PageTag } from "wbxml";
import { assert, command, type Interop, need, temporaryFolder } from "./harness.ts";

const PYACTIVESYNC = "pyactivesync==0.17.0";
const INSTALL_MAX_MS = 300_000;

/** Each line of its input is a document in hex; each of its output what pyactivesync reads, and writes of that again. */
const SCRIPT = `
import json, sys
sys.path.insert(0, sys.argv[1])
from pyactivesync._wbxml import WBXMLReader, WBXMLWriter, wtag

def build(node):
    path, _, children = node
    page, name = path.split(".", 1)
    texts = [c[1] for c in children if c[0] == "#text"]
    return wtag(page, name, [build(c) for c in children if not c[0].startswith("#")], text=texts[0] if texts else None)

for line in sys.stdin:
    [root] = WBXMLReader(bytes.fromhex(line)).parse()
    known = [c for c in root[2] if ".0x" not in c[0]]
    writer = WBXMLWriter()
    if ".0x" not in root[0] and not root[0].startswith("page"):
        build((root[0], None, known))(writer)
    print(json.dumps({"names": [c[0] for c in root[2]], "written": writer.render().hex()}))
`;

/** Names that others write in another way: see the note on names in the package's README. */
const plain = (name: string): string => name.toLowerCase();

/** A document with all tags of a page, each with its token as text. */
function pageDocument({ tags }: CodePage, isKnown: (tag: PageTag) => boolean = () => true): Element {
  const empty = { children: [], content: null, isOpaque: false, offset: 0 };
  const children = tags
    .filter(isKnown)
    .map(({ name, token, isOpaque }) => ({ ...empty, tag: name, content: isOpaque ? null : `t${token}` }));
  return { ...empty, tag: tags[0]!.name, children };
}

/** Our tables and bytes, read by Debian's libwbxml (up to 16.0) and by PyPI's pyactivesync (16.1). */
export const wbxml: Interop = async (steps) => {
  need({ "libwbxml2-utils": "/usr/bin/wbxml2xml", "python3-pip": "/usr/bin/pip3" });
  const folder = await temporaryFolder("wbxml");

  for (const page of CODE_PAGES)
    await steps.step(`libwbxml reads page ${page.number} and writes the same bytes`, async () => {
      const known = page.tags.filter(({ since }) => since !== "16.1");
      if (known.length === 0) return;
      const bytes = encode(pageDocument(page, (tag) => known.includes(tag)));
      const [ours, xml, theirs] = ["ours.wbxml", "page.xml", "theirs.wbxml"].map((name) => join(folder, name));
      await writeFile(ours!, bytes);
      const read = await command("/usr/bin/wbxml2xml", ["-l", "ACTIVESYNC", "-m", "0", "-o", xml!, ours!]);
      assert(read.code === 0, read.out + read.err);
      const names = [...(await readFile(xml!, "utf8")).matchAll(/<(\w+)/g)].map(([, name]) => plain(name!));
      const expected = [known[0]!, ...known].map(({ name }) => plain(name.split(":")[1]!));
      assert(
        names.join() === expected.join(),
        `${names.filter((name, at) => name !== expected[at])} against ${expected.filter((name, at) => name !== names[at])}`,
      );
      const wrote = await command("/usr/bin/xml2wbxml", ["-n", "-a", "-v", "1.3", "-o", theirs!, xml!]);
      assert(wrote.code === 0, wrote.out + wrote.err);
      assert(Buffer.compare(await readFile(theirs!), bytes) === 0, "other bytes");
    });

  await steps.step("pyactivesync reads all pages as they are meant, and what it writes is read", async () => {
    const target = join(folder, "python");
    const pip = await command(
      "/usr/bin/pip3",
      ["install", "--quiet", "--target", target, PYACTIVESYNC],
      "",
      INSTALL_MAX_MS,
    );
    assert(pip.code === 0, pip.err);
    const input = CODE_PAGES.map((page) => `${Buffer.from(encode(pageDocument(page))).toString("hex")}\n`).join("");
    const { out, err } = await command("/usr/bin/python3", ["-c", SCRIPT, target], input);
    const lines = out.trim().split("\n");
    assert(lines.length === CODE_PAGES.length, err);
    let compared = 0;
    const different: string[] = [];
    for (const [number, page] of CODE_PAGES.entries()) {
      const { names, written } = JSON.parse(lines[number]!) as { names: string[]; written: string };
      for (const [at, { name }] of page.tags.entries()) {
        const theirs = names[at]!.split(".")[1]!;
        if (theirs.startsWith("0x")) continue;
        compared++;
        if (plain(theirs) !== plain(name.split(":")[1]!)) different.push(`${name}: ${theirs}`);
      }
      if (written.length <= 8) continue;
      const bytes = Buffer.from(written, "hex");
      assert(Buffer.compare(encode(decode(bytes)), bytes) === 0, `page ${number}: other bytes`);
    }
    assert(compared > 200, `only ${compared} tags compared`);
    assert(different.length === 0, different.join("; "));
  });
};
