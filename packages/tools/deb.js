// The Debian package: the packed form, what it needs in the lockfile's versions, and Node 24, which Debian 12 has not.
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { pack } from "./pack.js";

const root = join(import.meta.dirname, "..", "..");
const ARCHITECTURES = { x64: "amd64", arm64: "arm64" };

/** Builds the package into `folder`; returns its path. Needs dpkg-deb. */
export async function makeDeb(folder) {
  const units = await import(pathToFileURL(join(root, "apps/cli/src/setup/units.ts")).href);
  const architecture = ARCHITECTURES[process.arch];
  if (architecture === undefined) throw new Error(`there is no Debian package for ${process.arch}`);
  const stage = join(folder, "stage");
  const lib = join(stage, "usr/lib/restante");
  pack(lib);
  for (const path of productionPackages())
    cpSync(join(root, path), join(lib, path), { recursive: true, dereference: true });
  install(join(root, `node_modules/node-linux-${process.arch}/bin/node`), join(lib, "bin/node"), 0o755);
  write(
    join(stage, "usr/bin/restante"),
    '#!/bin/sh\nexec /usr/lib/restante/bin/node /usr/lib/restante/bin/restante.js "$@"\n',
    0o755,
  );
  const places = { restante: "/usr/bin/restante" };
  const unit = (name, text) => write(join(stage, "usr/lib/systemd/system", name), text);
  unit("restante.service", units.serveUnit({ ...places, config: "/etc/restante/restante.toml" }));
  unit("restante-lmtp.service", units.lmtpUnit({ ...places, config: "/etc/restante/lmtp.toml" }));
  write(join(stage, "usr/lib/sysusers.d/restante.conf"), units.SYSUSERS);
  write(join(stage, "usr/lib/tmpfiles.d/restante.conf"), units.TMPFILES);
  write(
    join(stage, "usr/share/man/man1/restante.1.gz"),
    gzipSync(readFileSync(join(lib, "man/restante.1")), { level: 9 }),
  );
  for (const [shell, place] of [
    ["bash", "bash-completion/completions/restante"],
    ["zsh", "zsh/vendor-completions/_restante"],
    ["fish", "fish/vendor_completions.d/restante.fish"],
  ])
    install(join(lib, `completion/restante.${shell}`), join(stage, "usr/share", place));
  cpSync(join(lib, "docs"), join(stage, "usr/share/doc/restante"), { recursive: true });
  install(join(root, "LICENSE"), join(stage, "usr/share/doc/restante/copyright"));
  for (const name of ["docs", "man", "completion"]) rmSync(join(lib, name), { recursive: true });
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  write(join(stage, "DEBIAN/control"), control(version, architecture, sizeOf(stage)));
  write(join(stage, "DEBIAN/postinst"), POSTINST, 0o755);
  write(join(stage, "DEBIAN/prerm"), PRERM, 0o755);
  write(join(stage, "DEBIAN/postrm"), POSTRM, 0o755);
  const file = join(folder, `restante_${version}_${architecture}.deb`);
  execFileSync("dpkg-deb", ["--root-owner-group", "-Zxz", "-z1", "--build", stage, file], { stdio: "inherit" });
  rmSync(stage, { recursive: true });
  return file;
}

const control = (version, architecture, bytes) => `Package: restante
Version: ${version}
Architecture: ${architecture}
Maintainer: Restante
Section: mail
Priority: optional
Installed-Size: ${Math.ceil(bytes / 1024)}
Depends: libc6 (>= 2.28), libstdc++6, systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles
Recommends: ca-certificates
Suggests: postfix
Description: mail server whose stored bytes only the mailbox's owner can open
 IMAP for mail programs, LMTP for Postfix, HTTPS. Each mail is sealed to its
 owner's key as it comes; whoever has the disk, but not the owner's password
 or recovery code, has nothing.
 .
 The service is not started by itself: run restante setup first.
`;

const POSTINST = `#!/bin/sh
set -e
if [ "$1" = configure ]; then
  systemd-sysusers restante.conf
  systemd-tmpfiles --create restante.conf
  if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    # After an upgrade: what runs is started anew, and nothing that does not.
    systemctl try-restart restante.service restante-lmtp.service
  fi
fi
`;
const PRERM = `#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
  systemctl stop restante.service restante-lmtp.service
fi
`;
/** Mail, keys and configuration stay: nobody loses them by purging a package. */
const POSTRM = `#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
`;

/** Folders of the installed packages that the command line needs, below the root. */
function productionPackages() {
  const args = ["ls", "--omit=dev", "--omit=optional", "--all", "--parseable", "--workspace=@restante/cli"];
  return (
    execFileSync("npm", args, { cwd: root, encoding: "utf8", maxBuffer: 2 ** 24 })
      .split("\n")
      .map((path) => relative(root, path))
      .filter((path) => path.startsWith("node_modules/") && !path.startsWith("node_modules/@restante/"))
      // One inside another comes with it.
      .filter((path) => path.lastIndexOf("node_modules/") === 0 && existsSync(join(root, path)))
  );
}

function sizeOf(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + readFileSync(join(entry.parentPath, entry.name)).length, 0);
}

function install(from, to, mode = 0o644) {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to);
  chmodSync(to, mode);
}

function write(file, text, mode = 0o644) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text, { mode });
}
