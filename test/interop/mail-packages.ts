import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CorpusMail } from "../kit/corpus.ts";
import { assert, command, temporaryFolder } from "./harness.ts";

/**
 * Debian source packages that ship mails as data of their tests, each with its licence and the folders that hold them. They are
 * fetched by apt with lists of its own, so that the machine's stay as they are.
 */
const PACKAGES: Readonly<Record<string, { readonly licence: string; readonly folders: readonly string[] }>> = {
  notmuch: { licence: "GPL-3.0-or-later", folders: ["test/corpora"] },
  "kf5-messagelib": { licence: "GPL-2.0-or-later", folders: [""] },
  "libmail-deliverystatus-bounceparser-perl": { licence: "Artistic or GPL", folders: ["t/corpus"] },
  "flufl.bounce": { licence: "Apache-2.0", folders: ["flufl/bounce/tests/data"] },
  "golang-github-jhillyerd-enmime": { licence: "MIT", folders: [""] },
  rspamd: { licence: "Apache-2.0", folders: ["test/functional/messages"] },
  "cyrus-imapd": { licence: "BSD-4-Clause-like", folders: [""] },
  "public-inbox": { licence: "AGPL-3.0-or-later", folders: ["t"] },
  mairix: { licence: "GPL-2.0-only", folders: ["test"] },
  kmime: { licence: "LGPL-2.0-or-later", folders: ["autotests/data"] },
  gmime: { licence: "LGPL-2.1-or-later", folders: ["tests"] },
  "php-horde-mime": { licence: "LGPL-2.1", folders: [""] },
  bogofilter: { licence: "GPL-2.0-or-later", folders: [""] },
};

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const FETCH_MS = 120_000;
/** Larger ones say nothing more. */
const MAIL_BYTES_MAX = 200_000;

/** Mails of other programs' tests, each once, as they would be delivered. */
export async function packagedMails(): Promise<CorpusMail[]> {
  const folder = await temporaryFolder("mails");
  await fetchSources(folder);
  const mails = new Map<string, CorpusMail>();
  for (const [name, { folders }] of Object.entries(PACKAGES)) {
    const root = join(folder, "sources", name);
    const [top] = readdirSync(root);
    for (const within of folders)
      for (const { path, raw } of filesBelow(join(root, top!, within)))
        for (const text of mailsOf(raw)) {
          const key = createHash("sha256").update(text, "latin1").digest("hex");
          if (!mails.has(key)) mails.set(key, { name: `${name}/${path.slice(root.length + 1)}`, text });
        }
  }
  return [...mails.values()];
}

async function fetchSources(folder: string): Promise<void> {
  for (const name of ["lists/partial", "cache/archives/partial", "sources"])
    mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(
    join(folder, "debian.sources"),
    `Types: deb-src\nURIs: http://deb.debian.org/debian\nSuites: bookworm\nComponents: main\nSigned-By: ${KEYRING}\n`,
  );
  const config = join(folder, "apt.conf");
  writeFileSync(
    config,
    `Dir::Etc::sourcelist "${folder}/debian.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "${folder}/lists";
Dir::Cache "${folder}/cache";
Acquire::Languages "none";
APT::Sandbox::User "root";
`,
  );
  const run = async (program: string, args: readonly string[]): Promise<string> => {
    const { code, out, err } = await command(program, args, "", FETCH_MS);
    assert(code === 0, `${program} ${args.join(" ")}: ${err}`);
    return out;
  };
  await run("apt-get", [`-c=${config}`, "update", "-qq"]);
  for (const name of Object.keys(PACKAGES)) {
    const to = join(folder, "sources", name);
    mkdirSync(to);
    // apt-get writes into the folder where it runs.
    await run("sh", [
      "-c",
      'cd "$1" && apt-get -c="$2" source --download-only --tar-only -qq "$3"',
      "sh",
      folder,
      config,
      name,
    ]);
    const archive = readdirSync(folder).find((file) => file.startsWith(`${name}_`) && /\.orig\.tar\.\w+$/.test(file));
    assert(archive, `${name} has no archive`);
    await run("tar", ["-C", to, "-xf", join(folder, archive)]);
  }
}

function* filesBelow(folder: string): Generator<{ readonly path: string; readonly raw: string }> {
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) yield { path, raw: readFileSync(path, "latin1") };
  }
}

const KNOWN_FIELD =
  /^(?:from|to|cc|subject|date|received|message-id|return-path|content-type|mime-version|reply-to|sender|delivered-to):/i;
const FIELD_LINE = /^[!-9;-~]+:/;
const FROM_LINE = /^From .*\n/;

/** The mails of a file: it is one, or an mbox, or there are none. */
function mailsOf(raw: string): string[] {
  const pieces = FROM_LINE.test(raw) ? raw.split(/(?:^|\n\r?\n)From .*\d{4}.*\n/) : [raw];
  return pieces
    .filter((text) => text.length <= MAIL_BYTES_MAX && isMail(text))
    .map((text) => `${text.replace(/\r*\n/g, "\r\n").replace(/(?:\r\n)*$/, "")}\r\n`);
}

function isMail(text: string): boolean {
  const lines = text.split(/\r?\n\r?\n/, 1)[0]!.split("\n");
  const isHeader = lines.every((line, at) => FIELD_LINE.test(line) || (at > 0 && /^[ \t]/.test(line)));
  return isHeader && lines.filter((line) => KNOWN_FIELD.test(line)).length >= 2;
}
