import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConfig } from "@restante/host";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "..");
const PAGE = readFileSync(join(ROOT, "docs/operating.md"), "utf8");

function sources(): readonly string[] {
  return ["apps", "packages"].flatMap((kind) =>
    readdirSync(join(ROOT, kind)).flatMap((name) => {
      const folder = join(ROOT, kind, name, "src");
      return readdirSync(join(ROOT, kind, name)).includes("src")
        ? readdirSync(folder, { recursive: true, withFileTypes: true })
            .filter((entry) => entry.name.endsWith(".ts") && !/\.test\.ts$|-kit\.ts$/.test(entry.name))
            .map((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8"))
        : [];
    }),
  );
}

test("each setting is told", () => {
  const { file: _, ...sections } = readConfig("/dev/null", {});
  const names = Object.entries(sections).flatMap(([section, keys]) =>
    // The log's bucket has those of the other.
    section === "s3log" ? [] : Object.keys(keys).map((key) => `${section}.${key}`),
  );
  expect(names.length).toBeGreaterThan(80);
  expect(names.filter((name) => !PAGE.includes(`${name}\``) && !PAGE.includes(`[${name}]`))).toEqual([]);
});

test("each line of the log has what to do", () => {
  const text = sources().join("\n");
  const events = new Set(
    [...text.matchAll(/\bevent: "([^"]+)"|#warn\("([^"]+)"/g)].map(([, event, warned]) => (event ?? warned)!),
  );
  // These two are no log lines: apps tell an IMAP connection's end and a socket's event among themselves.
  for (const inner of ["closed", "connect"]) expect(events.delete(inner)).toBe(true);
  expect(events.size).toBeGreaterThan(60);
  expect([...events].filter((event) => !PAGE.includes(`\`${event}\``))).toEqual([]);
});

test("each section that the page sends to is there", () => {
  const anchors = [...PAGE.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replaceAll(/[^\w\s-]/g, "")
      .replaceAll(" ", "-"),
  );
  const sent = [PAGE, readFileSync(join(ROOT, "README.md"), "utf8")].flatMap((page) => [
    ...page.matchAll(/\]\((?:docs\/operating\.md)?#([\w-]+)\)/g),
  ]);
  expect(sent.length).toBeGreaterThan(10);
  expect(sent.map(([, anchor]) => anchor).filter((anchor) => !anchors.includes(anchor!))).toEqual([]);
});

test("each piece of configuration that is shown is one", () => {
  const pages = ["docs/operating.md", "README.md"].map((name) => readFileSync(join(ROOT, name), "utf8"));
  const indented = pages.flatMap((page) => [...page.matchAll(/(?:^ {4}.*\n|^\n(?= {4}))+/gm)].map(([block]) => block));
  const fenced = pages.flatMap((page) => [...page.matchAll(/^```toml\n([^`]*)^```$/gm)].map(([, block]) => block!));
  // fail2ban's section begins with a capital.
  const blocks = [...indented, ...fenced].filter((block) => /^\s*\[[a-z]+\]$/m.test(block));
  expect(blocks.length).toBeGreaterThan(8);
  const folder = mkdtempSync(join(tmpdir(), "restante-docs-"));
  const file = join(folder, "restante.toml");
  for (const block of blocks) {
    writeFileSync(file, block);
    expect(() => readConfig(file, {}), block).not.toThrow();
  }
  rmSync(folder, { recursive: true });
});
